// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_ZMQ_ZMQPODLINIT_H
#define BITCOIN_ZMQ_ZMQPODLINIT_H

#include <common/args.h>
#include <podl/manager.h>
#include <tinyformat.h>
#include <util/result.h>
#include <util/translation.h>

#ifdef ENABLE_ZMQ
#include <zmq/zmqpodlnotifier.h>
#endif

#include <string>
#include <utility>
#include <vector>

/**
 * What init.cpp calls, so that it needs no condition of its own. Inline: these functions call the
 * manager, and the ZMQ library must need no symbol of the node library, which links it.
 */

/** Register -zmqpubpodl and -zmqpubpodlhwm, hidden ones in a build without ZMQ. */
inline void AddPodlZmqArgs(ArgsManager& argsman, std::vector<std::string>& hidden_args)
{
#ifdef ENABLE_ZMQ
    argsman.AddArg("-zmqpubpodl=<address>", "Enable publish proof of deep learning events in <address>, which must not be that of another publisher", ArgsManager::ALLOW_ANY, OptionsCategory::ZMQ);
    argsman.AddArg("-zmqpubpodlhwm=<n>", strprintf("Set publish proof of deep learning events outbound message high water mark (default: %d)", CZMQAbstractNotifier::DEFAULT_ZMQ_SNDHWM), ArgsManager::ALLOW_ANY, OptionsCategory::ZMQ);
#else
    hidden_args.emplace_back("-zmqpubpodl=<address>");
    hidden_args.emplace_back("-zmqpubpodlhwm=<n>");
#endif
}

/** Start publishing, when asked to. A no-op in a build without ZMQ. */
inline util::Result<void> StartPodlZmq(const ArgsManager& args, podl::Manager* manager)
{
#ifdef ENABLE_ZMQ
    auto notifier{ZmqPodlNotifier::Create(args)};
    if (!notifier) return util::Error{util::ErrorString(notifier)};
    if (!*notifier) return {};
    if (!manager) return util::Error{Untranslated("-zmqpubpodl is set, but proof of deep learning is not active on this chain")};
    g_zmq_podl_notifier = std::move(*notifier);
    manager->AddListener(g_zmq_podl_notifier.get());
#endif
    return {};
}

/** Stop publishing; the manager's worker and the servers must have been stopped. */
inline void StopPodlZmq(podl::Manager* manager)
{
#ifdef ENABLE_ZMQ
    if (!g_zmq_podl_notifier) return;
    if (manager) manager->RemoveListener(g_zmq_podl_notifier.get());
    g_zmq_podl_notifier.reset();
#endif
}

#endif // BITCOIN_ZMQ_ZMQPODLINIT_H
