// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_NET_SMALL_FETCHER_H
#define BITCOIN_PODL_NET_SMALL_FETCHER_H

#include <podl/net_messages.h>

#include <net.h> // For NodeId.
#include <util/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace podl {

/** Ask a peer for one chunk of an object. */
struct FetchRequest {
    NodeId peer;
    ObjectRef object;
    uint32_t chunk{0};

    friend bool operator==(const FetchRequest&, const FetchRequest&) = default;
};

/**
 * Fetches entries, commitments and reveals that peers announced: each from one peer at a time, in the order in which
 * they were announced, from the next one on silence or refusal. No sockets, no clock and no locks of its own.
 *
 * An id does not cover the signature, so that a bad copy says nothing about the next peer's copy.
 */
class SmallFetcher
{
public:
    //! Announcements remembered per peer; what comes above is forgotten.
    static constexpr size_t MAX_ANNOUNCED{1000};
    //! Requests that wait for one peer's answer.
    static constexpr size_t MAX_IN_FLIGHT{32};
    //! How often an object that could not be judged is fetched once more.
    static constexpr int MAX_RETRIES{3};
    //! Silence after which the next peer is asked.
    static constexpr auto TIMEOUT{5s};

    enum class Outcome {
        DONE,  //!< held now, or not worth another copy
        BAD,   //!< this peer's copy is no good
        LATER, //!< fetch again when the schedule has advanced
    };

    void Announced(NodeId peer, const ObjectRef& object);
    void Disconnected(NodeId peer);
    /** The schedule advanced: what could not be judged may be judged now. */
    void Retry();

    /** Requests that should be sent now. @param[in] have  whether the node holds an object already */
    std::vector<FetchRequest> Next(SteadyClock::time_point now, const std::function<bool(const ObjectRef&)>& have);

    /** An object came. @returns whether somebody announced it and it is still missing; then Judged() must follow */
    bool Received(NodeId peer, const ObjectRef& object);
    void NotFound(NodeId peer, const ObjectRef& object);
    void Judged(NodeId peer, const ObjectRef& object, Outcome outcome);

    size_t Size() const { return m_items.size(); }

private:
    struct Source {
        NodeId peer;
        size_t silent{0}; //!< time-outs for this object, which no answer about another one makes good
    };
    struct Item {
        uint64_t order{0};
        std::vector<Source> sources; //!< in the order of their announcements
        NodeId asked{-1};            //!< the source whose answer is awaited
        SteadyClock::time_point since{};
        int retries{0};
        bool parked{false}; //!< waits for Retry()
    };
    struct Peer {
        size_t announced{0};
        size_t in_flight{0};
        size_t silent{0}; //!< time-outs since its last answer; such a peer is asked last
    };
    using Items = std::map<ObjectRef, Item>;

    NodeId Choose(const Item& item) const;
    void Expire(SteadyClock::time_point now);
    void StopWaiting(Item& item);
    void Answered(Item& item, NodeId peer);
    void DropSource(Items::iterator item, NodeId peer);
    void Erase(Items::iterator item);

    Items m_items;
    std::map<uint64_t, ObjectRef> m_queue; //!< items that want to be asked for
    std::map<NodeId, Peer> m_peers;
    uint64_t m_next_order{0};
};

} // namespace podl

#endif // BITCOIN_PODL_NET_SMALL_FETCHER_H
