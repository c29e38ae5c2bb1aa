// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_ZMQ_ZMQPODLNOTIFIER_H
#define BITCOIN_ZMQ_ZMQPODLNOTIFIER_H

#include <podl/manager.h>
#include <sync.h>
#include <threadsafety.h>
#include <uint256.h>
#include <util/result.h>
#include <zmq/zmqpublishnotifier.h>

#include <list>
#include <memory>
#include <span>
#include <string>

class ArgsManager;
class UniValue;

/**
 * Publishes what the PoDL manager accepts (docs/interfaces.md, "ZMQ").
 *
 * It is no CZMQAbstractNotifier: those are called from the scheduler thread alone, whereas the
 * manager calls its listeners from its worker and from the threads that submit. ZMQ sockets are
 * not thread-safe, so this class has sockets and a context of its own and sends under a mutex.
 * That mutex is also what makes all topics of a socket one ordered stream: each publisher counts
 * its messages, whatever their topic.
 */
class ZmqPodlNotifier final : public podl::Listener
{
public:
    ~ZmqPodlNotifier();

    /**
     * Bind the sockets of -zmqpubpodl.
     *
     * @returns null when the option is not set; an error when an address cannot be bound or is
     *          one that another publisher of this node uses
     */
    static util::Result<std::unique_ptr<ZmqPodlNotifier>> Create(const ArgsManager& args);

    void EntryAccepted(const uint256& id) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void CommitmentAccepted(const uint256& hash) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void CandidateChanged(const uint256& hash) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void VerdictAccepted(const podl::VerdictKey& key) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

private:
    struct Publisher {
        std::unique_ptr<CZMQAbstractPublishNotifier> socket;
        bool failed{false}; //!< stays silent from its first failed send on, as upstream's do
    };

    friend void PushPodlNotifications(UniValue& result);

    ZmqPodlNotifier();
    bool Bind(const std::string& address, int hwm);
    void Publish(const char* topic, std::span<const unsigned char> body) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

    Mutex m_mutex;
    void* m_context;
    //! The list itself does not change after Create(); sending is what the mutex protects.
    std::list<Publisher> m_publishers;
};

extern std::unique_ptr<ZmqPodlNotifier> g_zmq_podl_notifier;

/** Append the publishers of -zmqpubpodl to the result of getzmqnotifications. */
void PushPodlNotifications(UniValue& result);

#endif // BITCOIN_ZMQ_ZMQPODLNOTIFIER_H
