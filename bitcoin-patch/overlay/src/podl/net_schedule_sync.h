// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_NET_SCHEDULE_SYNC_H
#define BITCOIN_PODL_NET_SCHEDULE_SYNC_H

#include <net.h> // For NodeId.
#include <uint256.h>
#include <util/time.h>

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

namespace podl {

/**
 * Decides when which peer is asked for the schedule: each one when it connects, further while its pages bring
 * something new, again after an entry without predecessor, and now and then. No sockets, no clock and no locks of its own.
 */
class ScheduleSync
{
public:
    //! Silence after which the answer is given up.
    static constexpr auto TIMEOUT{30s};
    //! How often a peer is asked although nothing hints at news: a lost or refused announcement heals.
    static constexpr auto POLL_INTERVAL{2min};
    //! The same after an entry that was refused or must wait.
    static constexpr auto STOPPED_INTERVAL{30s};
    //! The same after a page that another peer's page had made old.
    static constexpr auto OVERTAKEN_INTERVAL{5s};
    //! Shortest time between two questions that orphans of one peer cause.
    static constexpr auto ORPHAN_INTERVAL{10s};

    struct Question {
        NodeId peer;
        std::optional<uint256> after; //!< empty: the last entry of our own schedule
    };

    /** What became of a page. */
    struct Page {
        bool more{false};       //!< the peer has more
        bool from_start{false}; //!< it begins with the chain's first entry: the peer does not know our last one
        bool stopped{false};    //!< an entry was refused or must wait; the rest was not looked at
        size_t fresh{0};        //!< entries accepted
        size_t known{0};        //!< entries held already
        uint256 last{};         //!< last entry of the page that we hold
        size_t last_index{0};   //!< and its place in our schedule
    };

    void Connected(NodeId peer) { m_peers.try_emplace(peer); }
    void Disconnected(NodeId peer) { m_peers.erase(peer); }
    /** A peer has shown that it has what we have. */
    void Heard(NodeId peer);
    /** Our schedule has advanced: what had to wait, and what follows it, may be in order now. */
    void Advanced();
    /** A peer sent an entry whose predecessor we do not have. */
    void Orphan(NodeId peer, SteadyClock::time_point now);
    /** Questions to send now. */
    std::vector<Question> Next(SteadyClock::time_point now);
    /** A page came; Received() follows when it is read. @returns whether it was asked for */
    bool Arrived(NodeId peer);
    void Received(NodeId peer, const Page& page, SteadyClock::time_point now);
    /** Whether a page is being read or the next one is under way, so that the schedule is about to advance. */
    bool IsBusy() const;

private:
    struct Peer {
        bool ask{true};
        bool reading{false}; //!< between Arrived() and Received()
        bool bulk{false};   //!< the question continues an earlier page
        bool stopped{false}; //!< the rest of its last page was not looked at
        bool behind{false}; //!< does not know our last entry: asking again is in vain until it shows something
        bool walk{false};   //!< read on although nothing is new, to find where the schedules part
        size_t walked{0};   //!< how far that has come
        std::optional<uint256> after{};
        std::optional<SteadyClock::time_point> since{}; //!< when the question went out
        SteadyClock::time_point next_poll{};
        SteadyClock::time_point next_orphan{};
    };

    std::map<NodeId, Peer> m_peers;
};

} // namespace podl

#endif // BITCOIN_PODL_NET_SCHEDULE_SYNC_H
