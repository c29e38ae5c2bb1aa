// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/manager.h>
#include <podl/net.h>
#include <podl/net_messages.h>

#include <addrman.h>
#include <chain.h>
#include <kernel/notifications_interface.h>
#include <net.h>
#include <netgroup.h>
#include <protocol.h>
#include <streams.h>
#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>
#include <test/fuzz/podl_script.h>
#include <test/fuzz/util.h>
#include <test/util/net.h>
#include <test/util/random.h>
#include <util/time.h>
#include <validation.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

constexpr size_t MAX_PEERS{3};

/** What Net needs besides the manager, made once. */
struct Surroundings {
    Script m_script;
    kernel::Notifications m_notifications;
    util::SignalInterrupt m_interrupt;
    ChainstateManager m_chainman;
    CBlockIndex m_tip;
    NetGroupManager m_groups{NetGroupManager::NoAsmap()};
    AddrMan m_addrman{m_groups, /*deterministic=*/true, /*consistency_check_ratio=*/0};

    Surroundings()
        : m_chainman{m_interrupt, {.chainparams = Params(), .datadir = m_script.m_path_root, .notifications = m_notifications, .worker_threads_num = 0},
                     {.chainparams = Params(), .blocks_dir = m_script.m_path_root, .notifications = m_notifications,
                      .block_tree_db_params = {.path = m_script.m_path_root / "index", .cache_bytes = 1 << 20, .memory_only = true}}}
    {
        m_tip.nHeight = FIRST_HEIGHT;
        WITH_LOCK(cs_main, m_chainman.m_best_header = &m_tip);
    }
};

Surroundings* g_surroundings;

/** A node and its peers, driven by an input. */
class Driver
{
public:
    Driver(Surroundings& world, FuzzedDataProvider& provider)
        : m_script{world.m_script}, m_provider{provider}, m_connman{0, 0, world.m_addrman, world.m_groups, Params()}
    {
        m_script.Reset();
        m_net = std::make_unique<Net>(*m_script.m_manager, m_connman, world.m_chainman, [this](NodeId peer, const std::string&) { m_punished.insert(peer); });
    }

    void Step() EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);

private:
    struct Peer {
        std::unique_ptr<CNode> node;
        bool honest{true}; //!< has sent nothing but what is right
    };

    Script& m_script;
    FuzzedDataProvider& m_provider;
    ConnmanTestMsg m_connman;
    std::unique_ptr<Net> m_net;
    std::map<NodeId, Peer> m_peers;
    std::set<NodeId> m_punished;
    NodeId m_next{0};

    void Connect() EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void Disconnect(NodeId peer);
    void Receive(NodeId peer, const char* type, const Bytes& payload, bool honest) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void ReceiveRight(NodeId peer) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void ReceiveSpoiled(NodeId peer) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void Tick(NodeId peer) EXCLUSIVE_LOCKS_REQUIRED(NetEventsInterface::g_msgproc_mutex);
    void SubmitLocally();
    DataMessage Data(const Piece& piece, Bytes bytes) const;
    ScheduleMessage Page();
};

void Driver::Connect()
{
    if (m_peers.size() >= MAX_PEERS) return;
    const NodeId id{m_next++};
    auto node{std::make_unique<CNode>(id, /*sock=*/nullptr, CAddress{}, /*nKeyedNetGroupIn=*/0, /*nLocalHostNonceIn=*/0, CAddress{}, "", ConnectionType::OUTBOUND_FULL_RELAY, /*inbound_onion=*/false, /*network_key=*/0)};
    const auto& peer{m_peers[id] = Peer{std::move(node)}};
    m_net->SendHandshake(*peer.node);
    const bool speaks{m_provider.ConsumeIntegralInRange(0, 15) != 0};
    if (speaks) Receive(id, NetMsgType::SENDPODL, ToBytes(HandshakeMessage{WIRE_VERSION, m_script.m_manager->ChainId()}), /*honest=*/true);
    assert(m_net->IsPodlPeer(id) == speaks);
    peer.node->fSuccessfullyConnected = true;
}

void Driver::Disconnect(NodeId peer)
{
    m_net->Disconnected(peer);
    m_peers.erase(peer);
    m_punished.erase(peer);
}

void Driver::Receive(NodeId peer, const char* type, const Bytes& payload, bool honest)
{
    auto& state{m_peers.at(peer)};
    state.honest = state.honest && honest;
    assert(m_net->ProcessMessage(*state.node, type, DataStream{payload}));
    m_connman.FlushSendBuffer(*state.node);
    // Whoever says only what is right is never blamed.
    assert(!state.honest || !m_punished.contains(peer));
}

DataMessage Driver::Data(const Piece& piece, Bytes bytes) const
{
    const uint64_t size{bytes.size()};
    return {{piece.type, piece.id}, 0, Chunk{size, {}, std::move(bytes)}};
}

/** Some entries in a row. */
ScheduleMessage Driver::Page()
{
    const auto& all{m_script.m_entries};
    const auto from{m_provider.ConsumeIntegralInRange<size_t>(0, all.size() - 1)};
    const auto count{m_provider.ConsumeIntegralInRange<size_t>(1, all.size() - from)};
    ScheduleMessage page{.more = from + count < all.size(), .entries = {}};
    for (size_t i{from}; i < from + count; ++i) page.entries.push_back(all[i].bytes);
    return page;
}

void Driver::ReceiveRight(NodeId peer)
{
    const auto& piece{m_script.PickPiece(m_provider)};
    const ObjectRef ref{piece.type, piece.id};
    switch (m_provider.ConsumeIntegralInRange(0, 6)) {
    case 0: {
        InvMessage inv;
        for (const auto& known : m_script.m_pieces) inv.objects.push_back({known.type, known.id});
        return Receive(peer, NetMsgType::PODLINV, ToBytes(inv), /*honest=*/true);
    }
    case 1: return Receive(peer, NetMsgType::PODLINV, ToBytes(InvMessage{{ref}}), /*honest=*/true);
    case 2: return Receive(peer, NetMsgType::PODLGETDATA, ToBytes(GetDataMessage{ref, 0}), /*honest=*/true);
    case 3: return Receive(peer, NetMsgType::PODLDATA, ToBytes(Data(piece, piece.bytes)), /*honest=*/true);
    case 4: return Receive(peer, NetMsgType::PODLDATA, ToBytes(DataMessage{ref, 0}), /*honest=*/true);
    case 5: return Receive(peer, NetMsgType::GETPODLSCHED, ToBytes(GetScheduleMessage{m_provider.ConsumeBool() ? piece.id : uint256{}}), /*honest=*/true);
    case 6: return Receive(peer, NetMsgType::PODLSCHED, ToBytes(Page()), /*honest=*/true);
    }
}

void Driver::ReceiveSpoiled(NodeId peer)
{
    static constexpr std::array TYPES{NetMsgType::SENDPODL, NetMsgType::PODLINV, NetMsgType::PODLGETDATA, NetMsgType::PODLDATA, NetMsgType::GETPODLSCHED, NetMsgType::PODLSCHED};
    const auto& piece{m_script.PickPiece(m_provider)};
    bool changed;
    auto bytes{m_script.Spoil(m_provider, piece, changed)};
    switch (m_provider.ConsumeIntegralInRange(0, 3)) {
    case 0: return Receive(peer, m_provider.PickValueInArray(TYPES), ConsumeRandomLengthByteVector<unsigned char>(m_provider, 2000), /*honest=*/false);
    case 1: return Receive(peer, NetMsgType::PODLSCHED, ToBytes(ScheduleMessage{m_provider.ConsumeBool(), {bytes}}), /*honest=*/false);
    case 2: {
        auto message{Data(piece, std::move(bytes))};
        // Spoiled bytes under their own id, as a liar would send them.
        if (m_provider.ConsumeBool()) message.object.id = SmallObjectId(piece.type, message.content->bytes).value_or(piece.id);
        Receive(peer, NetMsgType::PODLINV, ToBytes(InvMessage{{message.object}}), /*honest=*/false);
        Tick(peer);
        return Receive(peer, NetMsgType::PODLDATA, ToBytes(message), /*honest=*/false);
    }
    case 3: return Receive(peer, NetMsgType::PODLGETDATA, ToBytes(GetDataMessage{{piece.type, piece.id}, IsSmall(piece.type) ? 0 : m_provider.ConsumeIntegral<uint32_t>()}), /*honest=*/false);
    }
}

void Driver::Tick(NodeId peer)
{
    auto& node{*m_peers.at(peer).node};
    if (m_net->SendMessages(node)) m_net->AskedHeaders(peer);
    m_connman.FlushSendBuffer(node);
    assert(!m_peers.at(peer).honest || !m_punished.contains(peer));
}

void Driver::SubmitLocally()
{
    const auto& piece{m_script.PickPiece(m_provider)};
    m_script.SubmitBytes(piece.type, piece.kind, piece.id, piece.bytes);
}

void Driver::Step()
{
    if (m_peers.empty()) Connect();
    const auto peer{std::next(m_peers.begin(), m_provider.ConsumeIntegralInRange<size_t>(0, m_peers.size() - 1))->first};
    switch (m_provider.ConsumeIntegralInRange(0, 9)) {
    case 0: Connect(); break;
    case 1: m_provider.ConsumeIntegralInRange(0, 3) == 0 ? Disconnect(peer) : Tick(peer); break;
    case 2:
    case 3:
    case 4: ReceiveRight(peer); break;
    case 5:
    case 6: ReceiveSpoiled(peer); break;
    case 7: SubmitLocally(); break;
    case 8: Tick(peer); break;
    case 9: SetMockTime(GetTime() + m_provider.ConsumeIntegralInRange<int64_t>(0, 200)); break;
    }
}

} // namespace

void initialize_podl_net()
{
    static Surroundings surroundings;
    g_surroundings = &surroundings;
}

FUZZ_TARGET(podl_net, .init = initialize_podl_net)
{
    SeedRandomStateForTest(SeedRand::ZEROS);
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    LOCK(NetEventsInterface::g_msgproc_mutex);
    Driver driver{*g_surroundings, provider};
    LIMITED_WHILE(provider.remaining_bytes() > 0, 200) driver.Step();
}
