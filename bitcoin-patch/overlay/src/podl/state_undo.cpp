// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/state.h>

#include <tinyformat.h>
#include <util/check.h>
#include <util/strencodings.h>

#include <algorithm>
#include <utility>

/** What is taken back: void finals, and what stands behind an entry that the operator has not chosen. */
namespace podl {

void State::Withdraw(const Entry& entry)
{
    if (!m_schedule.IsVoid() && entry.prev == m_schedule.LastId() && m_schedule.Withdraws(entry)) VoidLast();
}

void State::VoidLast()
{
    m_schedule.VoidLast();
    auto record{std::move(m_finals.back())};
    m_finals.pop_back();
    std::erase_if(m_final_index, [&](const auto& item) { return item.second == m_finals.size(); });
    for (const auto& id : ObjectsOf(record)) {
        if (!m_final_index.contains(id.hash)) m_archive.erase(id);
    }
    m_voided.push_back(std::move(record));
    m_first_open = std::min(m_first_open, m_finals.size());
    m_first_kept = std::min(m_first_kept, m_finals.size());
}

void State::VoidFinal(size_t index, const std::string& reason, int64_t now)
{
    const auto final{m_finals[index]};
    AddAlarm(reason, strprintf("the final of height %u is void", final.height), {HexStr(final.entry_id), final.hash.GetHex()}, now);
    size_t size{*Assert(m_schedule.Find(final.entry_id)) + 1};
    while (size < m_schedule.Size() && m_schedule.At(size).AsShards()) ++size;
    // On disk what is cut off goes with the next entry; until then every start cuts it off again.
    if (size < m_schedule.Size()) Rebuild(size);
    VoidLast();
    // Commitments on its block, or above; at a start those for its own height are still to be read.
    if (m_pool.Size() > 0) {
        m_pool = {};
        (void)m_store->ClearCommitments();
    }
    if (final.connected && m_store->WriteUndo(final.height)) m_undo_height = final.height;
    if (m_freeze && IsIdle(*m_freeze)) {
        (void)m_store->EraseFreeze();
        m_freeze.reset();
    }
}

void State::RestoreVoid()
{
    if (!m_schedule.IsVoid() || VoidReason(m_voided.back())) return;
    Rebuild(m_schedule.Size());
    // Commitments for its height may have come meanwhile.
    if (m_pool.Open(m_schedule.NextHeight(), m_finals.back().hash)) (void)m_store->ClearCommitments();
    DropLosers();
}

bool State::IsIdle(const Freeze& freeze) const
{
    if (freeze.slot >= m_schedule.Size()) return true;
    const auto other{ParseEntry(freeze.other_bytes)};
    return other && m_schedule.IsIdle(*other);
}

void State::Rebuild(size_t size)
{
    auto entries{m_schedule.Reset()};
    const auto before{std::exchange(m_finals, {})};
    m_voided.clear();
    m_final_index.clear();
    m_archive.clear();
    entries.resize(size);
    for (auto& entry : entries) {
        Withdraw(entry);
        m_schedule.Append(std::move(entry));
        Apply(m_schedule.At(m_schedule.Size() - 1));
    }
    CopyProgress(before);
}

void State::CopyProgress(const std::vector<FinalRecord>& before)
{
    for (size_t i{0}; i < std::min(before.size(), m_finals.size()); ++i) {
        if (before[i].entry_id == m_finals[i].entry_id) m_finals[i] = before[i];
    }
    m_first_open = std::ranges::find(m_finals, false, &FinalRecord::connected) - m_finals.begin();
    m_first_kept = std::min(m_first_kept, m_first_open);
}

std::optional<Entry> State::Contested() const
{
    const auto entry{m_freeze ? ParseEntry(m_freeze->other_bytes) : Refuse(FailureClass::LATER, "")};
    if (!entry) return std::nullopt;
    return *entry;
}

Submission State::Choose(const uint256& id, int64_t now, std::optional<int> prev_height, Events& events)
{
    if (!m_freeze) return Refusal({FailureClass::DATA, "podl-choice-none", "the schedule is not frozen"});
    const auto freeze{*m_freeze};
    if (id == freeze.other) return Replace(freeze, now, prev_height, events);
    if (id != freeze.accepted) {
        return Refusal({FailureClass::DATA, "podl-choice-unknown", strprintf("the choice is between %s and %s", HexStr(freeze.accepted), HexStr(freeze.other))});
    }
    if (!m_store->WriteChoice(freeze.other, std::nullopt)) return StoreFailure();
    m_not_chosen.insert(freeze.other);
    m_freeze.reset();
    Refresh(now, events);
    return {};
}

Submission State::Replace(const Freeze& freeze, int64_t now, std::optional<int> prev_height, Events& events)
{
    const auto other{Contested()};
    if (!other) return Refusal({FailureClass::LATER, "podl-store-corrupt", "the other entry cannot be read"});
    std::vector<Entry> tail;
    for (size_t i{freeze.slot}; i < m_schedule.Size(); ++i) tail.push_back(m_schedule.At(i));
    const auto finals{m_finals};
    m_freeze.reset(); // it speaks of entries that are taken out now
    const auto append{[&](const Entry& entry) {
        Withdraw(entry);
        m_schedule.Append(entry);
        Apply(entry);
    }};
    Rebuild(freeze.slot);
    FindVoid(now);
    const auto checked{m_schedule.Check(*other, now, [&](const uint256&) { return prev_height; })};
    const auto height{m_schedule.NextHeight()};
    if (!checked || !m_store->WriteChoice(freeze.accepted, Replacement{static_cast<uint32_t>(freeze.slot), other->bytes, height})) {
        for (const auto& entry : tail) append(entry);
        CopyProgress(finals);
        m_freeze = freeze;
        return checked ? StoreFailure() : Refusal(checked.error());
    }
    m_not_chosen.insert(freeze.accepted);
    m_undo_height = height;
    m_orphans.clear();
    m_pool = {};
    (void)m_store->ClearCommitments();
    append(*other);
    AfterEntry(*other, now);
    events.push_back({.type = Event::Type::ENTRY, .id = other->id});
    Refresh(now, events);
    return {};
}

std::optional<UndoTask> State::Undo() const
{
    if (!m_undo_height) return std::nullopt;
    const auto* final{m_schedule.FinalFor(*m_undo_height)};
    return UndoTask{*m_undo_height, final ? final->AsFinal()->BlockHash() : uint256{}};
}

void State::SetUndone(uint32_t height)
{
    if (m_undo_height == height && m_store->EraseUndo()) m_undo_height.reset();
}

void State::AddUndoAlarm(uint32_t height, int64_t now)
{
    AddAlarm("podl-undo-failed", strprintf("the block of height %u cannot be disconnected", height), {}, now);
}

} // namespace podl
