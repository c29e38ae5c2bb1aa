// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/task.h>

#include <arith_uint256.h>
#include <hash.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <utility>

namespace podl {
namespace {

constexpr uint32_t MiB{1 << 20};

/** One rule of a task: whether it holds, and the field to name if not. */
using Rule = std::pair<bool, const char*>;

Result<void> CheckRules(std::span<const Rule> rules, const char* reason)
{
    const auto broken{std::ranges::find(rules, false, &Rule::first)};
    if (broken == rules.end()) return {};
    return Refuse(FailureClass::DATA, reason, std::string{broken->second} + " out of range");
}

constexpr bool Between(uint64_t value, uint64_t low, uint64_t high) { return low <= value && value <= high; }

Result<void> CheckRanges(const Task& t)
{
    const Rule rules[]{
        {t.arithmetic == 1, "arithmetic"},
        {t.first_height >= 1, "first_height"},
        {!t.requester_key.IsNull(), "requester_key"},
        {!t.training_root.IsNull(), "training_root"},
        {!t.shard_list_root.IsNull(), "shard_list_root"},
        {Between(t.b_min, 1, t.b_max) && t.b_max <= 15, "batch bounds"},
        {Between(t.epochs_min, 1, t.epochs_max) && t.epochs_max <= 254, "epoch bounds"},
        {t.k_min <= t.k_max && t.k_max <= 16, "rate bounds"},
        {t.b_min <= 15 && Between(t.training_n, uint64_t{1} << t.b_min, 1 << 24), "training_n"},
        {Between(t.n_shards, 1, MAX_SHARDS), "n_shards"},
        {Between(t.shard_min, 64, t.shard_max) && t.shard_max <= 20000, "shard sizes"},
        {t.max_phase >= t.min_reveal, "max_phase"},
        {t.require_replay <= 1, "require_replay"},
        {t.stamp_bits <= 32, "stamp_bits"},
        {Between(t.list_size, 1, 64), "list_size"},
        {Between(t.pool_size, t.list_size, 512), "pool_size"},
        {Between(t.max_weights, 1, 4 * MiB), "max_weights"},
        {Between(t.chunks_in_flight, 1, 16), "chunks_in_flight"},
        {Between(t.downloads, 1, 8), "downloads"},
        {t.buffer_bytes <= 32 * MiB, "buffer_bytes"},
        {t.disk_bytes <= 256 * MiB, "disk_bytes"},
    };
    return CheckRules(rules, "podl-task-range");
}

Result<std::vector<Program>> LoadPrograms(const Task& task)
{
    std::vector<Program> programs;
    for (const auto& bytes : task.programs) {
        auto program{Program::Parse(bytes, task.dims, task.classes)};
        const std::string name{strprintf("program %u: ", programs.size())};
        if (!program) return Refuse(FailureClass::DATA, "podl-task-range", name + program.error().detail);
        if (program->n_params > task.max_weights) {
            return Refuse(FailureClass::DATA, "podl-task-range", name + strprintf("%u parameters exceed max_weights", program->n_params));
        }
        programs.push_back(std::move(*program));
    }
    return programs;
}

/** Evaluation of a full list fits a third of Phase 2. */
bool FitsBudget(const Task& task, std::span<const Program> programs)
{
    const uint64_t macs{std::ranges::max(programs, {}, &Program::macs).macs};
    const arith_uint256 work{arith_uint256{macs} * arith_uint256{uint64_t{task.list_size} * task.shard_max}};
    const arith_uint256 phase{arith_uint256{task.evaluation_rate} * arith_uint256{task.max_phase}};
    return work * arith_uint256{3} <= phase;
}

} // namespace

uint64_t Task::SampleSize() const
{
    return std::accumulate(dims.begin(), dims.end(), uint64_t{1}, std::multiplies{});
}

Result<std::vector<Program>> CheckTask(const Task& task)
{
    if (auto ranges{CheckRanges(task)}; !ranges) return util::Unexpected{ranges.error()};
    auto programs{LoadPrograms(task)};
    if (programs && !FitsBudget(task, *programs)) {
        return Refuse(FailureClass::DATA, "podl-task-budget", "evaluating a full list takes more than a third of Phase 2");
    }
    return programs;
}

Result<void> CheckLaterTask(const Task& first, const Task& later)
{
    const Rule rules[]{
        {later.requester_key == first.requester_key, "requester_key"},
        {later.stamp_bits <= first.stamp_bits, "stamp_bits"},
        {later.list_size <= first.list_size, "list_size"},
        {later.pool_size <= first.pool_size, "pool_size"},
        {later.max_weights <= first.max_weights, "max_weights"},
        {later.buffer_bytes <= first.buffer_bytes, "buffer_bytes"},
        {later.disk_bytes <= first.disk_bytes, "disk_bytes"},
        {later.shard_max <= first.shard_max, "shard_max"},
        {later.min_commit >= first.min_commit, "min_commit"},
        {later.min_reveal >= first.min_reveal, "min_reveal"},
        {later.max_phase <= first.max_phase, "max_phase"},
    };
    return CheckRules(rules, "podl-task-conflict");
}

uint256 ShardCommitment(const uint256& salt, const uint256& root, uint32_t n)
{
    HashWriter writer{TaggedHash("PoDL/shard/v1")};
    writer << salt << root << n;
    return writer.GetSHA256();
}

} // namespace podl
