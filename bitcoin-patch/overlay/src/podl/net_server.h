// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_NET_SERVER_H
#define BITCOIN_PODL_NET_SERVER_H

#include <podl/net_messages.h>

#include <net.h> // For NodeId.
#include <uint256.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace podl {

class Manager;

/** Answers what peers ask for, each thing only a few times per peer and height. */
class Server
{
public:
    //! How often one peer gets the same chunk per height.
    static constexpr int MAX_SERVED{3};
    //! The same for pages of the schedule; a peer may ask again because it has to wait, for its clock or for a block.
    static constexpr int MAX_PAGES_SERVED{10};
    //! Different things that one peer gets per height.
    static constexpr size_t MAX_SERVED_CHUNKS{20'000};

    explicit Server(const Manager& manager) : m_manager{manager} {}

    /** @param[in] bulk  whether bodies and data may be sent at all (upload target) */
    DataMessage Answer(NodeId peer, const GetDataMessage& request, bool bulk);
    ScheduleMessage Answer(NodeId peer, const GetScheduleMessage& request);
    /** What a new peer should hear of: commitments, reveals, bytes of the open round. */
    std::vector<ObjectRef> Inventory() const;

    void Disconnected(NodeId peer) { m_served.erase(peer); }
    void NewHeight() { m_served.clear(); }

private:
    //! Trees of data objects kept at hand; one is needed for every chunk of an object.
    static constexpr size_t MAX_TREES{256};

    bool MayServe(NodeId peer, const ObjectRef& object, uint32_t chunk, int limit = MAX_SERVED) const;
    void Served(NodeId peer, const ObjectRef& object, uint32_t chunk) { ++m_served[peer][{object, chunk}]; }
    std::optional<Chunk> ReadSmall(const ObjectRef& object) const;
    std::optional<Chunk> ReadBody(const uint256& hash, uint32_t chunk);
    std::optional<Chunk> ReadData(const uint256& root, uint32_t chunk);
    const std::vector<uint256>* Leaves(ObjectKind kind, const uint256& root, uint64_t size);

    const Manager& m_manager;
    std::map<NodeId, std::map<std::pair<ObjectRef, uint32_t>, int>> m_served;
    std::map<uint256, std::vector<uint256>> m_trees;
    std::deque<uint256> m_tree_order;
    std::pair<uint256, Bytes> m_body; //!< the one asked for last: reading a block for every chunk is slow
};

} // namespace podl

#endif // BITCOIN_PODL_NET_SERVER_H
