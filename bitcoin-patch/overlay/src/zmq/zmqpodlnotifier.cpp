// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <zmq/zmqpodlnotifier.h>

#include <common/args.h>
#include <logging.h>
#include <netbase.h>
#include <tinyformat.h>
#include <univalue.h>
#include <util/translation.h>
#include <zmq/zmqabstractnotifier.h>
#include <zmq/zmqnotificationinterface.h>
#include <zmq/zmqutil.h>

#include <zmq.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace {

constexpr const char* MSG_ENTRY{"podlentry"};
constexpr const char* MSG_COMMITMENT{"podlcommitment"};
constexpr const char* MSG_CANDIDATE{"podlcandidate"};
constexpr const char* MSG_VERDICT{"podlverdict"};

/** Block hashes travel in display order, as in the topic hashblock. */
std::array<unsigned char, 32> DisplayOrder(const uint256& hash)
{
    std::array<unsigned char, 32> out;
    std::reverse_copy(hash.begin(), hash.end(), out.begin());
    return out;
}

/** Whether another publisher of this node sends on the address, from another thread. */
bool UsedByUpstream(const std::string& address)
{
    if (!g_zmq_notification_interface) return false;
    const auto notifiers{g_zmq_notification_interface->GetActiveNotifiers()};
    return std::ranges::any_of(notifiers, [&](const auto* n) { return n->GetAddress() == address; });
}

} // namespace

ZmqPodlNotifier::ZmqPodlNotifier() : m_context{zmq_ctx_new()} {}

ZmqPodlNotifier::~ZmqPodlNotifier()
{
    for (Publisher& publisher : m_publishers) publisher.socket->Shutdown(); // with linger 0
    if (m_context) zmq_ctx_term(m_context);
}

util::Result<std::unique_ptr<ZmqPodlNotifier>> ZmqPodlNotifier::Create(const ArgsManager& args)
{
    const std::vector<std::string> addresses{args.GetArgs("-zmqpubpodl")};
    if (addresses.empty()) return std::unique_ptr<ZmqPodlNotifier>{};

    const int hwm{static_cast<int>(args.GetIntArg("-zmqpubpodlhwm", CZMQAbstractNotifier::DEFAULT_ZMQ_SNDHWM))};
    std::unique_ptr<ZmqPodlNotifier> notifier{new ZmqPodlNotifier()};
    for (std::string address : addresses) {
        // libzmq uses prefix "ipc://" for UNIX domain sockets
        if (address.starts_with(ADDR_PREFIX_UNIX)) address.replace(0, ADDR_PREFIX_UNIX.length(), ADDR_PREFIX_IPC);
        if (!notifier->Bind(address, hwm)) {
            return util::Error{strprintf(_("Cannot publish on -zmqpubpodl=%s: the address cannot be bound or is used by another publisher"), address)};
        }
    }
    return notifier;
}

bool ZmqPodlNotifier::Bind(const std::string& address, int hwm)
{
    const bool used{std::ranges::any_of(m_publishers, [&](const Publisher& p) { return p.socket->GetAddress() == address; })};
    if (!m_context || used || UsedByUpstream(address)) return false;

    auto socket{std::make_unique<CZMQAbstractPublishNotifier>()};
    socket->SetType("pubpodl");
    socket->SetAddress(address);
    socket->SetOutboundMessageHighWaterMark(hwm);
    if (!socket->Initialize(m_context)) {
        socket->Shutdown(); // forgets the closed handle, which its destructor insists on
        return false;
    }
    LogDebug(BCLog::ZMQ, "Notifier pubpodl ready (address = %s)\n", address);
    m_publishers.push_back({.socket = std::move(socket)});
    return true;
}

void ZmqPodlNotifier::Publish(const char* topic, std::span<const unsigned char> body)
{
    LOCK(m_mutex);
    for (Publisher& publisher : m_publishers) {
        if (publisher.failed) continue;
        publisher.failed = !publisher.socket->SendZmqMessage(topic, body.data(), body.size());
        if (publisher.failed) LogWarning("Publishing proof of deep learning events to %s failed and stops\n", publisher.socket->GetAddress());
    }
}

void ZmqPodlNotifier::EntryAccepted(const uint256& id)
{
    Publish(MSG_ENTRY, id);
}

void ZmqPodlNotifier::CommitmentAccepted(const uint256& hash)
{
    Publish(MSG_COMMITMENT, DisplayOrder(hash));
}

void ZmqPodlNotifier::CandidateChanged(const uint256& hash)
{
    Publish(MSG_CANDIDATE, DisplayOrder(hash));
}

void ZmqPodlNotifier::VerdictAccepted(const podl::VerdictKey& key)
{
    std::array<unsigned char, 64> body;
    std::ranges::copy(key.weights_root, body.begin());
    std::ranges::copy(key.test_root, body.begin() + 32);
    Publish(MSG_VERDICT, body);
}

std::unique_ptr<ZmqPodlNotifier> g_zmq_podl_notifier;

void PushPodlNotifications(UniValue& result)
{
    if (!g_zmq_podl_notifier) return;
    for (const auto& publisher : g_zmq_podl_notifier->m_publishers) {
        UniValue entry{UniValue::VOBJ};
        entry.pushKV("type", publisher.socket->GetType());
        entry.pushKV("address", publisher.socket->GetAddress());
        entry.pushKV("hwm", publisher.socket->GetOutboundMessageHighWaterMark());
        result.push_back(std::move(entry));
    }
}
