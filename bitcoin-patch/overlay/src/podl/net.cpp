// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net.h>

#include <chain.h>
#include <logging.h>
#include <net_permissions.h>
#include <netmessagemaker.h>
#include <protocol.h>
#include <span.h>
#include <streams.h>
#include <tinyformat.h>
#include <validation.h>

#include <array>
#include <utility>

namespace podl {
namespace {

/** One line about a refusal, for the log and for the reason of a punishment. */
std::string Describe(const ObjectRef& object, const std::string& reason, const std::string& detail)
{
    return strprintf("%s: %s%s%s", object.ToString(), reason, detail.empty() ? "" : ", ", detail);
}

bool IsPodlMessage(const std::string& msg_type)
{
    static const std::array TYPES{NetMsgType::PODLINV, NetMsgType::PODLGETDATA, NetMsgType::PODLDATA, NetMsgType::GETPODLSCHED, NetMsgType::PODLSCHED};
    return std::ranges::find(TYPES, msg_type) != TYPES.end();
}

} // namespace

Net::Net(Manager& manager, CConnman& connman, ChainstateManager& chainman, Punish punish)
    : m_manager{manager}, m_connman{connman}, m_chainman{chainman}, m_punish{std::move(punish)}, m_server{manager}
{
    m_manager.AddListener(this);
}

Net::~Net() { m_manager.RemoveListener(this); }

bool Net::IsPodlPeer(NodeId peer) const
{
    LOCK(m_mutex);
    return m_podl_peers.contains(peer);
}

void Net::Disconnected(NodeId peer)
{
    LOCK(m_mutex);
    if (m_podl_peers.erase(peer)) m_notes.gone.push_back(peer);
}

bool Net::IsLoading() const { return m_chainman.m_blockman.LoadingBlocks(); }

bool Net::AdmitHeaders(const CBlockIndex& prev, std::vector<CBlockHeader>& headers) const
{
    for (size_t i{0}; i < headers.size(); ++i) {
        if (!headers[i].IsPodl()) continue;
        // The header before is usually new, too; its place is all that matters here.
        CBlockIndex parent{i == 0 ? prev.GetBlockHeader() : headers[i - 1]};
        parent.nHeight = prev.nHeight + static_cast<int>(i);
        parent.phashBlock = &headers[i].hashPrevBlock;
        if (m_manager.CheckHeader(headers[i].GetHash(), parent) == HeaderStatus::ADMIT) continue;
        LogDebug(BCLog::PODL, "Headers from height %d on are not in the schedule, ignoring %u of %u", parent.nHeight + 1, headers.size() - i, headers.size());
        headers.resize(i);
    }
    return !headers.empty();
}

template <typename Message>
std::optional<Message> Net::Read(NodeId peer, const std::string& msg_type, std::span<const unsigned char> payload)
{
    auto message{ParseMessage<Message>(payload)};
    if (message) return std::move(*message);
    m_punish(peer, strprintf("%s in %s: %s", message.error().reason, msg_type, message.error().detail));
    return std::nullopt;
}

bool Net::ProcessMessage(CNode& node, const std::string& msg_type, const DataStream& stream)
{
    AssertLockHeld(NetEventsInterface::g_msgproc_mutex);
    const std::span payload{MakeUCharSpan(stream)};
    const NodeId peer{node.GetId()};
    if (msg_type == NetMsgType::SENDPODL) {
        OnHandshake(node, payload);
        return true;
    }
    if (!IsPodlMessage(msg_type)) return false;
    if (!node.fSuccessfullyConnected || !IsPodlPeer(peer)) {
        LogDebug(BCLog::PODL, "Ignoring %s without handshake, peer=%d", msg_type, peer);
        return true;
    }
    // Announcements are not repeated, so they are remembered even now.
    if (IsLoading() && msg_type != NetMsgType::PODLINV) {
        LogDebug(BCLog::PODL, "Ignoring %s while importing blocks, peer=%d", msg_type, peer);
        return true;
    }
    m_replan = true;
    if (msg_type == NetMsgType::PODLINV) {
        if (auto message{Read<InvMessage>(peer, msg_type, payload)}) OnInv(peer, *message);
    } else if (msg_type == NetMsgType::PODLGETDATA) {
        if (auto message{Read<GetDataMessage>(peer, msg_type, payload)}) OnGetData(node, *message);
    } else if (msg_type == NetMsgType::PODLDATA) {
        if (auto message{Read<DataMessage>(peer, msg_type, payload)}) OnData(peer, std::move(*message));
    } else if (msg_type == NetMsgType::GETPODLSCHED) {
        if (auto message{Read<GetScheduleMessage>(peer, msg_type, payload)}) OnGetSchedule(node, *message);
    } else {
        if (auto message{Read<ScheduleMessage>(peer, msg_type, payload)}) OnSchedule(peer, std::move(*message));
    }
    return true;
}

void Net::OnHandshake(CNode& node, std::span<const unsigned char> payload)
{
    const NodeId peer{node.GetId()};
    if (node.fSuccessfullyConnected) {
        LogDebug(BCLog::PODL, "sendpodl received after verack, %s", node.DisconnectMsg());
        node.fDisconnect = true;
        return;
    }
    const auto message{Read<HandshakeMessage>(peer, NetMsgType::SENDPODL, payload)};
    if (!message || node.IsPrivateBroadcastConn()) return;
    if (message->version != WIRE_VERSION || message->chain_id != m_manager.ChainId()) {
        LogDebug(BCLog::PODL, "sendpodl with another %s, %s", message->version != WIRE_VERSION ? "version" : "chain id", node.DisconnectMsg());
        node.fDisconnect = true;
        return;
    }
    LOCK(m_mutex);
    if (!m_podl_peers.insert(peer).second) LogDebug(BCLog::PODL, "Ignoring duplicate sendpodl, peer=%d", peer);
}

void Net::OnInv(NodeId peer, const InvMessage& message)
{
    PeerState& state{State(peer)};
    for (const ObjectRef& object : message.objects) {
        state.SetKnown(object);
        if (object.type == ObjectType::ENTRY) m_schedule.Heard(peer);
        if (IsSmall(object.type)) {
            m_small.Announced(peer, object);
        } else {
            m_chunks.Announced(peer, object);
        }
    }
}

void Net::OnGetData(CNode& node, const GetDataMessage& message)
{
    State(node.GetId());
    const bool bulk{!m_connman.OutboundTargetReached(/*historicalBlockServingLimit=*/false) || node.HasPermission(NetPermissionFlags::Download)};
    Send(node, NetMsgType::PODLDATA, m_server.Answer(node.GetId(), message, bulk));
}

void Net::OnData(NodeId peer, DataMessage&& message)
{
    State(peer);
    const ObjectRef object{message.object};
    if (!message.content) {
        if (IsSmall(object.type)) {
            m_small.NotFound(peer, object);
        } else {
            m_chunks.NotFound(peer, object, message.chunk, Clock::now());
        }
    } else if (!IsSmall(object.type)) {
        OnChunk(peer, std::move(message));
    } else if (m_small.Received(peer, object)) {
        OnSmall(peer, object, message.content->bytes);
    }
}

void Net::OnSmall(NodeId peer, const ObjectRef& object, const Bytes& bytes)
{
    using enum SmallFetcher::Outcome;
    if (SmallObjectId(object.type, bytes) != object.id) {
        Offence(peer, Describe(object, "podl-data-root", ""));
        m_small.Judged(peer, object, BAD);
        return;
    }
    const Submission result{Submit(object, bytes)};
    if (Judge(peer, object, result)) {
        m_small.Judged(peer, object, BAD);
    } else if (result.status == SubmitStatus::LATER && object.type != ObjectType::ENTRY) {
        m_small.Judged(peer, object, LATER);
    } else {
        // An entry that must wait comes with the schedule.
        m_small.Judged(peer, object, DONE);
        if (result.reason == "podl-entry-prev" || result.reason == "podl-release-prev") m_schedule.Orphan(peer, Clock::now());
    }
}

void Net::OnChunk(NodeId peer, DataMessage&& message)
{
    const ObjectRef object{message.object};
    const ChunkFetcher::Delivery delivery{m_chunks.Received(peer, std::move(message), Clock::now())};
    switch (delivery.status) {
    case ChunkFetcher::Delivery::Status::IGNORED:
    case ChunkFetcher::Delivery::Status::KEPT:
        return;
    case ChunkFetcher::Delivery::Status::BAD:
        Offence(peer, Describe(object, delivery.reason, ""));
        return;
    case ChunkFetcher::Delivery::Status::COMPLETE: {
        const Submission result{m_manager.AddObject(delivery.kind, object.id, delivery.bytes)};
        // Chunks of data are proven one by one and may come from many peers: only a body has a single sender.
        if (object.type == ObjectType::BODY && Judge(peer, object, result)) m_chunks.Refused(peer, object, Clock::now());
        LogDebug(BCLog::PODL, "Fetched %s, %u bytes: %s", object.ToString(), delivery.bytes.size(), result.reason.empty() ? "stored" : result.reason);
        return;
    }
    } // no default case, so the compiler can warn about missing cases
}

void Net::OnGetSchedule(CNode& node, const GetScheduleMessage& message)
{
    State(node.GetId());
    const ScheduleMessage page{m_server.Answer(node.GetId(), message)};
    if (page.entries.empty()) m_schedule.Heard(node.GetId());
    Send(node, NetMsgType::PODLSCHED, page);
}

void Net::OnSchedule(NodeId peer, ScheduleMessage&& message)
{
    PeerState& state{State(peer)};
    if (message.more && message.entries.empty()) {
        m_punish(peer, "podl-message in podlsched: more after nothing");
        return;
    }
    if (!m_schedule.Arrived(peer)) {
        LogDebug(BCLog::PODL, "Ignoring podlsched that was not asked for, peer=%d", peer);
        return;
    }
    state.m_page = PageReader{std::move(message)};
}

Submission Net::Submit(const ObjectRef& object, const Bytes& bytes)
{
    switch (object.type) {
    case ObjectType::ENTRY: return m_manager.SubmitEntry(bytes);
    case ObjectType::COMMITMENT: return m_manager.SubmitCommitment(bytes);
    case ObjectType::REVEAL: return m_manager.SubmitReveal(bytes);
    case ObjectType::BODY:
    case ObjectType::DATA: break;
    } // no default case, so the compiler can warn about missing cases
    assert(false);
}

bool Net::Judge(NodeId peer, const ObjectRef& object, const Submission& result)
{
    if (result.status == SubmitStatus::ACCEPTED || result.status == SubmitStatus::DUPLICATE) return false;
    LogDebug(BCLog::PODL, "Not taken from peer=%d: %s", peer, Describe(object, result.reason, result.detail));
    if (result.status != SubmitStatus::REFUSED || result.cls != FailureClass::DATA) return false;
    Offence(peer, Describe(object, result.reason, result.detail));
    return true;
}

void Net::Offence(NodeId peer, const std::string& reason)
{
    if (++State(peer).m_offences >= PeerState::MAX_OFFENCES) m_punish(peer, reason);
}

template <typename Message>
void Net::Send(CNode& node, const char* msg_type, const Message& message)
{
    m_connman.PushMessage(&node, NetMsg::Make(msg_type, message));
}

void Net::SendHandshake(CNode& node)
{
    Send(node, NetMsgType::SENDPODL, HandshakeMessage{WIRE_VERSION, m_manager.ChainId()});
}

void Net::Flush(CNode& node, PeerState& state)
{
    for (const auto& question : std::exchange(state.m_questions, {})) {
        Send(node, NetMsgType::GETPODLSCHED, GetScheduleMessage{question.after.value_or(m_manager.LastEntryId())});
    }
    for (const auto& request : std::exchange(state.m_requests, {})) {
        Send(node, NetMsgType::PODLGETDATA, GetDataMessage{request.object, request.chunk});
    }
    const InvMessage inv{state.TakeAnnouncements()};
    if (!inv.objects.empty()) Send(node, NetMsgType::PODLINV, inv);
}

} // namespace podl
