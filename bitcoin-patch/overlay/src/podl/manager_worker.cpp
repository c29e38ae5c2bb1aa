// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/manager.h>

#include <logging.h>
#include <podl/chain_link.h>
#include <podl/coinbase.h>
#include <podl/object_check.h>
#include <podl/state.h>
#include <primitives/block.h>
#include <util/time.h>

#include <cassert>
#include <chrono>
#include <limits>
#include <span>

/** The worker: hands the finals' headers and blocks to validation, in the order of their heights. */
namespace podl {
namespace {

//! How often to look for what nobody reports: a parent header that came by P2P, or the end of an import.
constexpr std::chrono::milliseconds POLL{1000};
constexpr std::chrono::milliseconds POLL_LOADING{100};

} // namespace

bool Manager::IsInterrupted() const
{
    LOCK(m_mutex);
    return m_interrupted;
}

void Manager::Run()
{
    bool ready{true};
    while (true) {
        uint64_t target;
        {
            WAIT_LOCK(m_mutex, lock);
            m_wake_cv.wait_for(lock, ready ? POLL : POLL_LOADING, [&]() EXCLUSIVE_LOCKS_REQUIRED(m_mutex) {
                return m_interrupted || (ready && m_requested > m_completed);
            });
            if (m_interrupted) break;
            target = m_requested;
        }
        ready = Work();
        LOCK(m_mutex);
        if (!ready) continue;
        m_completed = target;
        m_idle_cv.notify_all();
    }
    LOCK(m_mutex);
    m_running = false;
    m_idle_cv.notify_all();
}

bool Manager::Work()
{
    const auto chain{GetChain()};
    if (!chain) return true;
    if (!chain->Ready()) return false;
    TakeBack(*chain);
    RetryOrphans();
    bool changed{true};
    while (changed) {
        changed = false;
        for (const auto& task : WITH_LOCK(m_mutex, return m_state->FeedTasks())) {
            if (IsInterrupted()) return true;
            if (Advance(*chain, task)) changed = true;
        }
    }
    const int flushed_height{chain->FlushedHeight()};
    WITH_LOCK(m_mutex, m_state->DropBodies(flushed_height));
    return true;
}

void Manager::TakeBack(ChainLink& chain)
{
    const auto undo{WITH_LOCK(m_mutex, return m_state->Undo())};
    if (!undo) return;
    const bool done{chain.Disconnect(undo->height, undo->named)};
    LOCK(m_mutex);
    if (done) {
        m_state->SetUndone(undo->height);
    } else {
        m_state->AddUndoAlarm(undo->height, GetTime());
    }
}

bool Manager::Advance(ChainLink& chain, const FeedTask& task)
{
    switch (chain.StateOf(task.header.GetHash())) {
    case ChainLink::BlockState::UNKNOWN:
        return AdvanceHeader(chain, task);
    case ChainLink::BlockState::HEADER:
        return AdvanceBody(chain, task);
    case ChainLink::BlockState::DATA:
        return AdvanceData(chain, task);
    case ChainLink::BlockState::CONNECTED: {
        Events events;
        WITH_LOCK(m_mutex, m_state->SetConnected(task.header.GetHash(), GetTime(), events));
        LogDebug(BCLog::PODL, "height %u is connected: %s", task.height, task.header.GetHash().ToString());
        Notify(events);
        return true;
    }
    case ChainLink::BlockState::FAILED: {
        // Without a reason the operator has invalidated it, which proves nothing.
        const auto reason{chain.Refusal(task.header.GetHash())};
        return reason && FailBlock(task, *reason);
    }
    } // no default case, so the compiler can warn about missing cases
    assert(false);
}

bool Manager::FailBlock(const FeedTask& task, const std::string& reason)
{
    Events events;
    const bool recorded{WITH_LOCK(m_mutex, return m_state->AddBlockFault(task.header.GetHash(), reason, GetTime(), events))};
    Notify(events);
    return recorded;
}

bool Manager::AdvanceHeader(ChainLink& chain, const FeedTask& task)
{
    if (!chain.HeightOf(task.header.hashPrevBlock)) return false;
    const auto hash{task.header.GetHash()};
    if (!MeetsStamp(hash, task.stamp_bits)) return FailBlock(task, "podl-commit-stamp");
    chain.FeedHeader(task.header);
    if (chain.StateOf(hash) != ChainLink::BlockState::UNKNOWN) return true;
    const auto reason{chain.Refusal(hash)};
    return reason && FailBlock(task, *reason);
}

bool Manager::AdvanceBody(ChainLink& chain, const FeedTask& task)
{
    const auto hash{task.header.GetHash()};
    if (!task.body_held) return false;
    const auto bytes{ReadObject(ObjectKind::BODY, hash, 0, std::numeric_limits<uint64_t>::max())};
    const auto block{bytes ? ParseBody(*bytes) : nullptr};
    if (!block || block->GetHash() != hash) {
        LogError("PoDL: the stored body of %s cannot be read", hash.ToString());
        return false;
    }
    chain.FeedBlock(block);
    if (chain.StateOf(hash) != ChainLink::BlockState::HEADER) return true;
    const auto reason{chain.Refusal(hash)};
    return reason && FailBlock(task, *reason);
}

bool Manager::AdvanceData(ChainLink& chain, const FeedTask& task)
{
    const auto hash{task.header.GetHash()};
    if (!task.body_checked) {
        const auto block{chain.ReadBlock(hash)};
        if (!block || block->vtx.empty()) return false;
        if (const auto paid{CheckCoinbase(*block->vtx[0], task.payout)}; !paid) return FailBlock(task, paid.error().reason);
        WITH_LOCK(m_mutex, m_state->SetBodyChecked(hash));
        return true;
    }
    if (!task.may_connect) return false;
    chain.Activate();
    return chain.StateOf(hash) != ChainLink::BlockState::DATA;
}

} // namespace podl
