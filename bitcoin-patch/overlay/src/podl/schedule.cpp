// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/schedule.h>

#include <util/check.h>

#include <algorithm>
#include <utility>

namespace podl {

void Schedule::Append(Entry entry)
{
    const size_t index{m_entries.size()};
    if (!m_void && Withdraws(entry)) VoidLast();
    m_by_id.emplace(entry.id, index);
    m_finals_before.push_back(m_final_count);
    m_entries.push_back(std::move(entry));

    const Entry& kept{m_entries.back()};
    if (const Task* task{kept.AsTask()}) {
        AppendTask(kept, *task);
    } else if (const Release* release{kept.AsRelease()}) {
        AppendRelease(*release, index);
    } else if (const Final* final{kept.AsFinal()}) {
        AppendFinal(*final, index);
    } else if (const Shards* shards{kept.AsShards()}) {
        AppendShards(*shards);
    }
}

void Schedule::AppendTask(const Entry& entry, const Task& task)
{
    auto programs{CheckTask(task)};
    m_tasks.push_back({.id = entry.id, .time = entry.time, .task = task, .programs = std::move(*Assert(programs))});
    m_shards.push_back({.root = task.shard_list_root, .count = task.n_shards});
}

void Schedule::AppendRelease(const Release& release, size_t index)
{
    m_void.reset();
    ++m_shards[TaskIndexFor(release.height)].used;
    m_test_roots.insert(release.test_root);
    if (release.attempt == 0) {
        m_heights.push_back({.first_release = index, .latest_release = index, .final_entry = std::nullopt});
    } else {
        m_heights.back().latest_release = index;
    }
}

void Schedule::AppendFinal(const Final& final, size_t index)
{
    m_heights.back().final_entry = index;
    m_final_by_hash.emplace(final.BlockHash(), index);
    m_models.Add(final.disclosure.opening, final.disclosure.recipe.architecture);
    ++m_final_count;
}

std::deque<Entry> Schedule::Reset()
{
    m_finals_before.clear();
    m_by_id.clear();
    m_final_by_hash.clear();
    m_heights.clear();
    m_tasks.clear();
    m_shards.clear();
    m_test_roots.clear();
    m_models = {};
    m_final_count = 0;
    m_void.reset();
    return std::exchange(m_entries, {});
}

void Schedule::AppendShards(const Shards& shards)
{
    m_shards[TaskIndexFor(NextHeight())] = {.root = shards.shard_list_root, .count = shards.n_shards};
}

void Schedule::VoidLast()
{
    auto& last{m_heights.back()};
    m_void = *Assert(last.final_entry);
    const Final& final{*Assert(m_entries[*m_void].AsFinal())};
    last.final_entry.reset();
    m_final_by_hash.erase(final.BlockHash());
    m_models.Remove(final.disclosure.opening);
    --m_final_count;
    for (size_t i{*m_void + 1}; i < m_entries.size(); ++i) m_finals_before[i] = m_final_count;
}

std::optional<size_t> Schedule::FinalBefore(const Entry& entry) const
{
    auto index{Find(entry.prev)};
    while (index && m_entries[*index].AsShards()) index = Find(m_entries[*index].prev);
    if (!index || !m_entries[*index].AsFinal()) return std::nullopt;
    return index;
}

std::optional<size_t> Schedule::Withdraws(const Entry& entry) const
{
    const Release* release{entry.AsRelease()};
    const auto before{release ? FinalBefore(entry) : std::nullopt};
    if (!before) return std::nullopt;
    const Final& final{*m_entries[*before].AsFinal()};
    if (release->height != final.height || release->attempt != final.attempt + 1) return std::nullopt;
    return before;
}

bool Schedule::IsIdle(const Entry& entry) const
{
    const auto before{FinalBefore(entry)};
    return before && !Counts(*before) && !entry.AsShards() && !Withdraws(entry);
}

bool Schedule::Counts(size_t index) const
{
    const auto* record{HeightAt(m_entries[index].AsFinal()->height)};
    return record && record->final_entry == index;
}

std::optional<size_t> Schedule::Find(const uint256& id) const
{
    const auto at{m_by_id.find(id)};
    if (at == m_by_id.end()) return std::nullopt;
    return at->second;
}

uint256 Schedule::LastId() const { return Empty() ? uint256{} : m_entries.back().id; }

uint256 Schedule::ChainId() const { return Empty() ? uint256{} : m_entries.front().id; }

uint32_t Schedule::FirstHeight() const { return Empty() ? 0 : m_tasks.front().task.first_height; }

uint32_t Schedule::NextHeight() const { return FirstHeight() + m_final_count; }

size_t Schedule::TaskIndexFor(uint32_t height) const
{
    const auto above{std::ranges::upper_bound(m_tasks, height, {}, [](const TaskRecord& record) { return record.task.first_height; })};
    return above - m_tasks.begin() - 1;
}

const TaskRecord* Schedule::TaskFor(uint32_t height) const
{
    if (Empty() || height < FirstHeight()) return nullptr;
    return &m_tasks[TaskIndexFor(height)];
}

const TaskRecord* Schedule::FindTask(const uint256& task_id) const
{
    const auto at{std::ranges::find(m_tasks, task_id, &TaskRecord::id)};
    return at == m_tasks.end() ? nullptr : &*at;
}

const Schedule::HeightRecord* Schedule::HeightAt(uint32_t height) const
{
    if (height < FirstHeight() || height - FirstHeight() >= m_heights.size()) return nullptr;
    return &m_heights[height - FirstHeight()];
}

const Entry* Schedule::FirstRelease(uint32_t height) const
{
    const HeightRecord* record{HeightAt(height)};
    return record ? &m_entries[record->first_release] : nullptr;
}

const Entry* Schedule::LatestRelease(uint32_t height) const
{
    const HeightRecord* record{HeightAt(height)};
    return record ? &m_entries[record->latest_release] : nullptr;
}

const Entry* Schedule::FinalFor(uint32_t height) const
{
    const HeightRecord* record{HeightAt(height)};
    return record && record->final_entry ? &m_entries[*record->final_entry] : nullptr;
}

const Entry* Schedule::FinalByHash(const uint256& block_hash) const
{
    const auto at{m_final_by_hash.find(block_hash)};
    return at == m_final_by_hash.end() ? nullptr : &m_entries[at->second];
}

std::optional<uint256> Schedule::OpeningReleaseId(uint32_t height) const
{
    if (Empty() || height < FirstHeight()) return std::nullopt;
    if (height == FirstHeight()) return ChainId();
    const Entry* below{FirstRelease(height - 1)};
    if (!below) return std::nullopt;
    return below->id;
}

std::optional<uint256> Schedule::CommitPrev(uint32_t height) const
{
    if (height <= FirstHeight()) return std::nullopt;
    const Entry* below{FinalFor(height - 1)};
    if (!below) return std::nullopt;
    return below->AsFinal()->BlockHash();
}

std::optional<Round> Schedule::RoundFor(uint32_t height) const
{
    const Entry* release{LatestRelease(height)};
    if (!release || (m_void && height == NextHeight())) return std::nullopt;
    return Round{
        .chain_id = ChainId(),
        .task = *Assert(TaskFor(height)),
        .height = height,
        .opening_release_id = *Assert(OpeningReleaseId(height)),
        .release_id = release->id,
        .release_time = release->time,
        .release = *release->AsRelease(),
    };
}

std::optional<Equivocation> Schedule::FindConflict(const Entry& entry) const
{
    const auto before{Find(entry.prev)};
    if (!before || *before + 1 >= Size()) return std::nullopt;
    const size_t slot{*before + 1};
    if (At(slot).id == entry.id) return std::nullopt;
    return Equivocation{.slot = slot, .accepted = At(slot).id, .other = entry.id, .finals_behind = FinalsBehind(slot)};
}

size_t Schedule::FinalsBehind(size_t index) const
{
    const bool itself{At(index).AsFinal() && Counts(index)};
    return m_final_count - m_finals_before.at(index) - itself;
}

} // namespace podl
