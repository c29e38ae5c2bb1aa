// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_NET_CHUNK_FETCHER_H
#define BITCOIN_PODL_NET_CHUNK_FETCHER_H

#include <podl/net_messages.h>
#include <podl/net_small_fetcher.h>
#include <podl/views.h>

#include <net.h> // For NodeId.
#include <util/time.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace podl {

/**
 * Fetches bodies and data objects chunk by chunk.
 *
 * A chunk of a data object is proven by its path before it is kept, so that any peer may give any chunk. A body can
 * only be checked whole: all its chunks come from one peer per try. Silence and "not found" blame nobody, they only
 * make another peer be asked. No sockets, no clock and no locks of its own.
 */
class ChunkFetcher
{
public:
    //! Announcements remembered per peer, the latest ones.
    static constexpr size_t MAX_ANNOUNCED{2000};
    //! Silence of a peer that makes its requests go to another one.
    static constexpr auto STALL_TIMEOUT{5s};
    //! The same for a request whose peer does answer others: nobody holds a chunk by trickling.
    static constexpr auto CHUNK_TIMEOUT{20s};
    //! For how long a peer is not asked for an object again that it does not have, or does not send.
    static constexpr auto AVOID_TIME{30s};
    //! The same after a proven fault.
    static constexpr auto AVOID_BAD_TIME{10min};
    //! Pause of an object that is complete, should it still be wanted then.
    static constexpr auto COMPLETE_PAUSE{60s};

    struct Delivery {
        enum class Status {
            IGNORED,  //!< not asked for, or no longer
            KEPT,
            COMPLETE, //!< kind and bytes are set
            BAD,      //!< proven fault of the sender, reason is set
        };
        Status status{Status::IGNORED};
        std::string reason{};
        ObjectKind kind{ObjectKind::BODY};
        Bytes bytes{};
    };

    void Connected(NodeId peer);
    void Disconnected(NodeId peer);
    void SetLimits(const PeerLimits& limits) { m_limits = limits; }
    /** What to fetch, most urgent first, as long as it does not stall; everything else is forgotten. */
    void SetWanted(const std::vector<Want>& wanted);
    void Announced(NodeId peer, const ObjectRef& object);

    std::vector<FetchRequest> Next(SteadyClock::time_point now);
    Delivery Received(NodeId peer, DataMessage&& message, SteadyClock::time_point now);
    void NotFound(NodeId peer, const ObjectRef& object, uint32_t chunk, SteadyClock::time_point now);
    /** A body turned out to be wrong as a whole: try again with another peer. */
    void Refused(NodeId peer, const ObjectRef& object, SteadyClock::time_point now);

private:
    struct Ask {
        SteadyClock::time_point since{};
        bool live{true}; //!< counted in Peer::in_flight; an answer that comes after a time-out is still taken
    };
    struct Item {
        Want want;
        std::optional<uint64_t> size{}; //!< once a chunk has told it; for data it is proven and stays
        std::map<uint32_t, Bytes> chunks{};
        std::map<std::pair<uint32_t, NodeId>, Ask> asks{};
        std::map<NodeId, SteadyClock::time_point> avoid{}; //!< peers not to ask before that time
        std::map<NodeId, size_t> failures{};             //!< how often a peer was silent, lied or took back what it had announced
        size_t stalls{0};                                //!< time-outs: what had fewer has its turn first
        NodeId source{-1};                               //!< the peer of a body's current try
        SteadyClock::time_point not_before{};
    };
    struct Peer {
        size_t in_flight{0};
        size_t silent{0}; //!< time-outs since its last answer
        SteadyClock::time_point last_answer{};
        std::set<ObjectRef> has{};
        std::deque<ObjectRef> has_order{};
    };
    using Items = std::map<ObjectRef, Item>;

    static bool IsLive(const Item& item);
    static uint64_t Reserved(const Item& item) { return item.size.value_or(item.want.size); }
    void Expire(SteadyClock::time_point now);
    bool Fits(const ObjectRef& object);
    void AskFor(const ObjectRef& object, Item& item, SteadyClock::time_point now, std::vector<FetchRequest>& requests);
    NodeId Choose(const ObjectRef& object, const Item& item, SteadyClock::time_point now) const;
    Delivery Check(const ObjectRef& object, const Item& item, uint32_t chunk, const Chunk& content) const;
    Delivery Keep(Item& item, uint32_t chunk, Chunk&& content, SteadyClock::time_point now);
    void Avoid(const ObjectRef& object, Item& item, NodeId peer, SteadyClock::time_point until);
    void Answered(NodeId peer, SteadyClock::time_point now);
    void Restart(Item& item);
    void Release(std::pair<const std::pair<uint32_t, NodeId>, Ask>& ask);

    PeerLimits m_limits{};
    Items m_items;
    std::vector<ObjectRef> m_order;
    std::map<NodeId, Peer> m_peers;
};

} // namespace podl

#endif // BITCOIN_PODL_NET_CHUNK_FETCHER_H
