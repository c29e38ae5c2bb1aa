// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/schedule.h>

#include <podl/merkle.h>

#include <tinyformat.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

/** The rules by which an entry may follow the log (protocol section 5). */
namespace podl {
namespace {

util::Unexpected<Reject> Bad(const char* reason, std::string detail)
{
    return Refuse(FailureClass::DATA, reason, std::move(detail));
}

Result<void> CheckNotFuture(uint64_t time, int64_t now)
{
    const uint64_t latest{static_cast<uint64_t>(std::max<int64_t>(now, 0)) + MAX_FUTURE_TIME}; // a first task may have any time
    if (time <= latest) return {};
    return Refuse(FailureClass::LATER, "podl-entry-future", strprintf("time %u is %u s ahead", time, time - latest + MAX_FUTURE_TIME));
}

/** The chain's first entry, which names the key it is signed with. */
Result<void> CheckFirst(const Entry& entry, int64_t now)
{
    const Task* task{entry.AsTask()};
    if (!task) return Bad("podl-entry-grammar", "a chain starts with a task");
    if (!entry.chain_id.IsNull() || !entry.prev.IsNull()) return Bad("podl-entry-chain", "a chain's first task has neither chain nor predecessor");
    if (!VerifyEntrySignature(entry, task->requester_key)) return Bad("podl-entry-badsig", "not signed by its requester key");
    if (auto future{CheckNotFuture(entry.time, now)}; !future) return future;
    if (auto programs{CheckTask(*task)}; !programs) return util::Unexpected{programs.error()};
    return {};
}

Result<void> CheckList(const Release& release, const Task& task)
{
    if (release.list.empty() || release.list.size() > task.list_size) {
        return Bad("podl-release-list", strprintf("%u headers, not 1..%u", release.list.size(), task.list_size));
    }
    const std::set<uint256> unique(release.list.begin(), release.list.end());
    if (unique.size() != release.list.size()) return Bad("podl-release-list", "a header is listed twice");
    if (unique.begin()->IsNull()) return Bad("podl-release-list", "a hash is zero");
    return {};
}

Result<void> CheckTestSize(const Release& release, const Task& task)
{
    if (release.n < task.shard_min || release.n > task.shard_max) {
        return Bad("podl-release-testsize", strprintf("%u samples, not %u..%u", release.n, task.shard_min, task.shard_max));
    }
    return {};
}

} // namespace

Result<void> Schedule::Check(const Entry& entry, int64_t now, const BlockHeightLookup& lookup, bool frozen) const
{
    if (Empty()) return CheckFirst(entry, now);
    if (entry.chain_id != ChainId()) return Bad("podl-entry-chain", "another chain");
    if (!VerifyEntrySignature(entry, m_tasks.front().task.requester_key)) return Bad("podl-entry-badsig", "not signed by the requester");
    if (auto link{CheckLink(entry, frozen)}; !link) return link;
    if (auto future{CheckNotFuture(entry.time, now)}; !future) return future;
    return CheckBody(entry, lookup);
}

Result<void> Schedule::CheckVoid(const Entry& entry) const
{
    if (const auto final{Withdraws(entry)}; final && Counts(*final)) {
        return Refuse(FailureClass::LATER, "podl-void-unproven", "this node has no proof that the final before it is void");
    }
    if (IsIdle(entry)) return Refuse(FailureClass::LATER, "podl-final-void", "the final before it is void, only the next attempt can follow");
    return {};
}

Result<void> Schedule::CheckLink(const Entry& entry, bool frozen) const
{
    if (auto voids{CheckVoid(entry)}; !voids) return voids;
    if (FindConflict(entry)) return Refuse(FailureClass::EVIDENCE, "podl-entry-equivocation", "another entry was accepted behind the same one");
    if (frozen) return Refuse(FailureClass::LATER, "podl-schedule-frozen", "nothing more is accepted; getpodlinfo shows the alarm");
    if (entry.prev != LastId()) return Refuse(FailureClass::LATER, "podl-entry-prev", "the entry before it is not the last one here");
    if (entry.time < m_entries.back().time) return Bad("podl-entry-time", "dated before its predecessor");
    return {};
}

Result<void> Schedule::CheckBody(const Entry& entry, const BlockHeightLookup& lookup) const
{
    if (const Task* task{entry.AsTask()}) return CheckTaskBody(*task);
    if (const Release* release{entry.AsRelease()}) return CheckReleaseBody(*release, entry.time, lookup);
    if (const Final* final{entry.AsFinal()}) return CheckFinalBody(*final, entry.time);
    return CheckShardsBody(std::get<Shards>(entry.body));
}

Result<void> Schedule::CheckTaskBody(const Task& task) const
{
    if (!m_entries.back().AsFinal()) return Bad("podl-entry-grammar", "a task follows a final");
    const TaskRecord& last{m_tasks.back()};
    if (last.task.first_height > NextHeight()) return Bad("podl-task-conflict", "a task is pending already");
    if (task.first_height <= last.task.first_height || task.first_height <= NextHeight()) {
        return Bad("podl-task-conflict", "first height too low");
    }
    if (auto programs{CheckTask(task)}; !programs) return util::Unexpected{programs.error()};
    return CheckLaterTask(m_tasks.front().task, task);
}

Result<void> Schedule::CheckReleaseBody(const Release& release, uint64_t time, const BlockHeightLookup& lookup) const
{
    const Entry* latest{LatestRelease(NextHeight())};
    const uint32_t attempt{latest ? latest->AsRelease()->attempt + 1U : 0U};
    if (release.height != NextHeight() || release.attempt != attempt) {
        return Bad("podl-release-grammar", strprintf("height %u attempt %u instead of height %u attempt %u", release.height, release.attempt, NextHeight(), attempt));
    }
    if (release.prev_block.IsNull() || release.test_root.IsNull() || release.salt.IsNull()) {
        return Bad("podl-release-null", "previous block, test root or salt is zero");
    }
    if (auto times{CheckReleaseTime(release, time)}; !times) return times;
    const size_t task{TaskIndexFor(release.height)};
    if (auto shard{CheckShard(release, m_tasks[task].task, m_shards[task])}; !shard) return shard;
    if (auto list{CheckList(release, m_tasks[task].task)}; !list) return list;
    return CheckReleasePrev(release, lookup);
}

Result<void> Schedule::CheckShard(const Release& release, const Task& task, const ShardList& list) const
{
    if (release.shard_index != list.used) return Bad("podl-release-shard-order", strprintf("shard %u instead of %u", release.shard_index, list.used));
    if (auto size{CheckTestSize(release, task)}; !size) return size;
    const uint256 leaf{ShardCommitment(release.salt, release.test_root, release.n)};
    const uint64_t length{uint256::size() * uint64_t{list.count}};
    if (!VerifyProof(leaf, release.shard_index, list.count, length, release.path, list.root)) {
        return Bad("podl-release-shard-root", "not the shard that the requester committed to");
    }
    if (m_test_roots.contains(release.test_root)) return Bad("podl-release-shard-reused", "an earlier release opened this shard");
    return {};
}

Result<void> Schedule::CheckShardsBody(const Shards& shards) const
{
    const ShardList& list{m_shards[TaskIndexFor(NextHeight())]};
    if (list.used < list.count) return Bad("podl-shards-early", strprintf("%u sealed shards are left", list.count - list.used));
    if (shards.n_shards < 1 || shards.n_shards > MAX_SHARDS) return Bad("podl-shards-range", strprintf("%u shards, not 1..%u", shards.n_shards, MAX_SHARDS));
    if (shards.shard_list_root.IsNull()) return Bad("podl-shards-range", "the root of the shard list is zero");
    return {};
}

Result<void> Schedule::CheckReleaseTime(const Release& release, uint64_t time) const
{
    const Task& task{TaskFor(release.height)->task};
    const Entry* since{m_void ? &m_entries[*m_void] : LatestRelease(release.height)};
    const uint32_t wait{since && !m_void ? task.max_phase : task.min_commit};
    if (!since) since = release.height == FirstHeight() ? &m_entries.front() : FinalFor(release.height - 1);
    // Accepted times are at most MAX_FUTURE_TIME ahead of a clock: no overflow.
    if (time >= since->time + wait) return {};
    return Bad("podl-release-time", strprintf("only %u s after its start, needs %u", time - since->time, wait));
}

Result<void> Schedule::CheckReleasePrev(const Release& release, const BlockHeightLookup& lookup) const
{
    if (const auto block{CommitPrev(release.height)}) {
        if (release.prev_block == *block) return {};
        return Bad("podl-release-prev", "not the block of the last final");
    }
    const auto height{lookup(release.prev_block)};
    if (!height) return Refuse(FailureClass::LATER, "podl-release-prev", "previous block is not known here");
    if (int64_t{*height} + 1 != release.height) return Bad("podl-release-prev", strprintf("previous block has height %d", *height));
    return {};
}

Result<void> Schedule::CheckFinalBody(const Final& final, uint64_t time) const
{
    const auto round{RoundFor(NextHeight())};
    if (!round) return Bad("podl-entry-grammar", "no release of this height before the final");
    if (final.height != round->height || final.attempt != round->release.attempt) {
        return Bad("podl-entry-grammar", strprintf("height %u attempt %u instead of height %u attempt %u", final.height, final.attempt, round->height, round->release.attempt));
    }
    if (time < round->release_time + round->task.task.min_reveal) return Bad("podl-final-time", "too soon after its release");
    return CheckFinal(*round, m_models, final);
}

Result<void> Schedule::CheckReveal(const Reveal& reveal) const
{
    const auto later{[](const char* reason, std::string detail) { return Refuse(FailureClass::LATER, reason, std::move(detail)); }};
    const auto index{Find(reveal.release_id)};
    if (!index || !At(*index).AsRelease()) return later("podl-reveal-release", "the release is not known here");
    const auto round{RoundFor(NextHeight())};
    if (!round || round->release_id != reveal.release_id) return later("podl-late-reveal", "the release's attempt is over");
    const CBlockHeader& header{reveal.disclosure.header};
    if (auto listed{CheckListed(*round, header)}; !listed) return listed;
    if (!MeetsStamp(header.GetHash(), round->task.task.stamp_bits)) return Bad("podl-commit-stamp", "the header lacks the stamp");
    return CheckDisclosure(*round, m_models, reveal.disclosure, reveal.claim);
}

} // namespace podl
