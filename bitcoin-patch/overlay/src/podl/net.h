// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_NET_H
#define BITCOIN_PODL_NET_H

#include <podl/manager.h>
#include <podl/net_chunk_fetcher.h>
#include <podl/net_messages.h>
#include <podl/net_peer.h>
#include <podl/net_schedule_sync.h>
#include <podl/net_server.h>
#include <podl/net_small_fetcher.h>

#include <net.h>
#include <primitives/block.h>
#include <sync.h>
#include <threadsafety.h>
#include <uint256.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

class CBlockIndex;
class ChainstateManager;
class DataStream;

namespace podl {

/**
 * P2P side of PoDL (docs/interfaces.md, P2P): relay and fetch of everything the manager handles.
 *
 * All work is done by the message thread; other threads only leave notes under m_mutex, which is an innermost lock:
 * the manager is never called and nothing is sent while it is held.
 */
class Net final : private Listener
{
public:
    using Punish = std::function<void(NodeId, const std::string&)>;

    /** All references must outlive the object. @param[in] punish  marks a peer as misbehaving */
    Net(Manager& manager, CConnman& connman, ChainstateManager& chainman, Punish punish);
    ~Net();

    /** Offer PoDL, between VERSION and VERACK. */
    void SendHandshake(CNode& node);
    /** @returns whether the message is one of PoDL; it is then done with */
    bool ProcessMessage(CNode& node, const std::string& msg_type, const DataStream& payload)
        EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex, !m_mutex);
    /** What is due to a peer. @returns whether headers should be asked of it; if that is done, call AskedHeaders() */
    bool SendMessages(CNode& node) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex, !m_mutex);
    void AskedHeaders(NodeId peer) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void Disconnected(NodeId peer) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

    bool IsPodlPeer(NodeId peer) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

    /**
     * Cut a connected batch at the first PoDL header that the schedule does not name: it would be refused, and with
     * it what the batch tells about the peer. @returns whether headers remain
     */
    bool AdmitHeaders(const CBlockIndex& prev, std::vector<CBlockHeader>& headers) const;

private:
    using Clock = SteadyClock; //!< the fetchers' too: a system clock that is set back must not stop them

    //! What other threads leave for the message thread.
    struct Notes {
        std::vector<NodeId> gone;
        std::vector<ObjectRef> objects; //!< accepted or stored
        bool changed{false}; //!< what is wanted may have changed
    };

    void EntryAccepted(const uint256& id) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void CommitmentAccepted(const uint256& hash) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void RevealAccepted(const uint256& reveal_id, const uint256& hash) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void CandidateChanged(const uint256& hash) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void ObjectStored(ObjectKind kind, const uint256& hash) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void Note(const ObjectRef& object) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

    // Everything below runs in the message thread (net.cpp: messages in; net_tick.cpp: what is due).

    void OnHandshake(CNode& node, std::span<const unsigned char> payload) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void OnInv(NodeId peer, const InvMessage& message) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void OnGetData(CNode& node, const GetDataMessage& message) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void OnData(NodeId peer, DataMessage&& message) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void OnSmall(NodeId peer, const ObjectRef& object, const Bytes& bytes) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void OnChunk(NodeId peer, DataMessage&& message) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void OnGetSchedule(CNode& node, const GetScheduleMessage& message) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void OnSchedule(NodeId peer, ScheduleMessage&& message) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);

    /** Parse a payload; a malformed one is misbehaviour. */
    template <typename Message>
    std::optional<Message> Read(NodeId peer, const std::string& msg_type, std::span<const unsigned char> payload);
    Submission Submit(const ObjectRef& object, const Bytes& bytes);
    /** Count a refusal that the sender could have foreseen. @returns whether it was one */
    bool Judge(NodeId peer, const ObjectRef& object, const Submission& result) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void Offence(NodeId peer, const std::string& reason) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);

    /** State of a peer; made, and the peer greeted, when it is first asked for. */
    PeerState& State(NodeId peer) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    bool IsLoading() const;
    bool Have(const ObjectRef& object) const;
    void ReadNotes() EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex, !m_mutex);
    void OnNewEntry(const uint256& id) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    /** The first release can only be judged by who knows the header that it names. */
    bool CanReadSchedule() EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void Plan() EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void AnnounceToAll(const ObjectRef& object) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void ReadPage(NodeId peer, PeerState& state) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void Flush(CNode& node, PeerState& state) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);

    template <typename Message>
    void Send(CNode& node, const char* msg_type, const Message& message);

    Manager& m_manager;
    CConnman& m_connman;
    ChainstateManager& m_chainman;
    const Punish m_punish;

    mutable Mutex m_mutex;
    std::set<NodeId> m_podl_peers GUARDED_BY(m_mutex);
    Notes m_notes GUARDED_BY(m_mutex);

    Server m_server GUARDED_BY(NetEventsInterface::g_msgproc_mutex);
    SmallFetcher m_small GUARDED_BY(NetEventsInterface::g_msgproc_mutex);
    ChunkFetcher m_chunks GUARDED_BY(NetEventsInterface::g_msgproc_mutex);
    ScheduleSync m_schedule GUARDED_BY(NetEventsInterface::g_msgproc_mutex);
    std::map<NodeId, PeerState> m_peers GUARDED_BY(NetEventsInterface::g_msgproc_mutex);
    bool m_has_first_parent GUARDED_BY(NetEventsInterface::g_msgproc_mutex){false};
    bool m_replan GUARDED_BY(NetEventsInterface::g_msgproc_mutex){true};
    bool m_advanced GUARDED_BY(NetEventsInterface::g_msgproc_mutex){false}; //!< what could not be judged may be judged now
    std::optional<uint256> m_open_prev GUARDED_BY(NetEventsInterface::g_msgproc_mutex){}; //!< what commitments build on
    Clock::time_point m_next_plan GUARDED_BY(NetEventsInterface::g_msgproc_mutex){};
    Clock::time_point m_next_wanted GUARDED_BY(NetEventsInterface::g_msgproc_mutex){};
};

/** Whether a peer may see a block: one that does not speak PoDL misreads a PoDL header and all that follows it. */
inline bool MayShow(const Net* net, NodeId peer, int32_t version)
{
    return !CBlockHeader::IsPodlVersion(version) || (net && net->IsPodlPeer(peer));
}

/** Cut a batch for the low-work sync at its first PoDL header, which that cannot hold: the peer's chain ends there. */
inline void CutPodlHeaders(std::vector<CBlockHeader>& headers)
{
    headers.erase(std::ranges::find_if(headers, [](const CBlockHeader& header) { return header.IsPodl(); }), headers.end());
}

} // namespace podl

#endif // BITCOIN_PODL_NET_H
