// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/state.h>

#include <logging.h>
#include <tinyformat.h>
#include <util/strencodings.h>

#include <algorithm>
#include <utility>

/** The schedule's entries, alarms, and what stops the schedule: equivocation. */
namespace podl {
namespace {

//! Alarms kept; the first ones tell most.
constexpr size_t MAX_ALARMS{256};

} // namespace

Submission Refusal(const Reject& reject)
{
    const auto status{reject.cls == FailureClass::LATER ? SubmitStatus::LATER : SubmitStatus::REFUSED};
    return {status, reject.cls, reject.reason, reject.detail};
}

Submission StoreFailure()
{
    return Refusal({FailureClass::LATER, "podl-store-error", "this node could not write it to disk"});
}

Submission State::AddEntry(const Entry& entry, int64_t now, std::optional<int> prev_height, Events& events)
{
    if (m_schedule.Find(entry.id)) return {.status = SubmitStatus::DUPLICATE};
    if (m_not_chosen.contains(entry.id) || m_not_chosen.contains(entry.prev)) {
        return Refusal({FailureClass::EVIDENCE, "podl-entry-not-chosen", "this node's operator has chosen another entry"});
    }
    const auto result{Judge(entry, now, prev_height, events)};
    Refresh(now, events);
    return result;
}

Submission State::Judge(const Entry& entry, int64_t now, std::optional<int> prev_height, Events& events)
{
    const auto checked{m_schedule.Check(entry, now, [&](const uint256&) { return prev_height; }, IsFrozen())};
    if (!checked && checked.error().cls != FailureClass::LATER) return RefuseEntry(entry, checked.error(), now, events);
    if (!checked && WithdrawsValid(entry)) return RefuseEntry(entry, {FailureClass::EVIDENCE, "podl-final-not-void", "this node has connected the block of the final before it"}, now, events);
    if (IsFrozen()) return Refusal({FailureClass::LATER, "podl-schedule-frozen", "getpodlinfo shows the alarm"});
    if (!checked) {
        if (checked.error().reason != "podl-final-void") KeepOrphan(entry);
        return Refusal(checked.error());
    }
    if (!m_store->WriteEntry(m_schedule.Size(), entry.bytes)) {
        KeepOrphan(entry); // the worker tries again
        return StoreFailure();
    }
    if (const auto* final{entry.AsFinal()}) ReportSuboptimal(entry, *final, now);
    m_schedule.Append(entry);
    Apply(entry);
    AfterEntry(entry, now);
    events.push_back({.type = Event::Type::ENTRY, .id = entry.id});
    return {};
}

Submission State::RefuseEntry(const Entry& entry, const Reject& reject, int64_t now, Events& events)
{
    if (reject.cls == FailureClass::EVIDENCE) {
        const auto found{m_schedule.FindConflict(entry)};
        if (found && reject.reason == "podl-entry-equivocation") {
            if (!AddEquivocation(*found, entry.bytes, now)) return StoreFailure();
        } else {
            AddAlarm(reject.reason, reject.detail, {HexStr(entry.id)}, now);
        }
    }
    return Refusal(reject);
}

void State::KeepOrphan(const Entry& entry)
{
    // Only the requester can fill the buffer; anyone else's entries are no schedule at all.
    const auto& key{m_schedule.TaskFor(m_schedule.FirstHeight())->task.requester_key};
    if (entry.chain_id != m_schedule.ChainId() || !VerifyEntrySignature(entry, key)) return;
    if (std::ranges::find(m_orphans, entry.id, &Entry::id) != m_orphans.end()) return;
    if (m_orphans.size() >= MAX_ORPHANS) m_orphans.pop_front();
    m_orphans.push_back(entry);
}

std::vector<Entry> State::TakeOrphans()
{
    std::vector<Entry> taken;
    for (auto it{m_orphans.begin()}; it != m_orphans.end();) {
        const bool known{m_schedule.Find(it->prev).has_value()};
        if (known) taken.push_back(std::move(*it));
        it = known ? m_orphans.erase(it) : std::next(it);
    }
    return taken;
}

bool State::WithdrawsValid(const Entry& entry) const
{
    const auto index{m_schedule.Withdraws(entry)};
    const auto* final{index ? FindFinal(m_schedule.At(*index).AsFinal()->BlockHash()) : nullptr};
    return final && final->entry_id == m_schedule.At(*index).id && final->connected;
}

bool State::AddEquivocation(const Equivocation& found, const Bytes& other, int64_t now)
{
    // Of several slots the lowest one: which evidence came first must not decide what connects.
    const bool is_lowest{!m_freeze || found.slot < m_freeze->slot};
    const bool freezes{is_lowest && found.finals_behind < FINAL_DEPTH};
    if (freezes) {
        const Freeze freeze{found.slot, found.accepted, found.other, other};
        if (!m_store->WriteFreeze(freeze)) return false;
        m_freeze = freeze;
    }
    const auto detail{strprintf("slot %u, %u finals behind it", found.slot, found.finals_behind)};
    AddAlarm("podl-entry-equivocation", detail, {HexStr(found.accepted), HexStr(found.other)}, now);
    return true;
}

std::optional<uint32_t> State::FrozenHeight() const
{
    if (!m_freeze) return std::nullopt;
    return m_schedule.OpenHeight(m_freeze->slot);
}

void State::AfterEntry(const Entry& entry, int64_t now)
{
    if (entry.AsTask()) return;
    // Reveals are signed for one attempt. A stale record is dropped at the next start, so a failure is harmless.
    (void)m_store->ClearReveals();
    const auto* final{entry.AsFinal()};
    if (!final) return;
    if (m_pool.Open(m_schedule.NextHeight(), final->BlockHash())) (void)m_store->ClearCommitments();
    DropLosers();
    UpdateVoid(final->BlockHash(), now);
}

void State::ReportSuboptimal(const Entry& entry, const Final& final, int64_t now)
{
    const auto hash{final.BlockHash()};
    const auto* named{m_table.Find(hash)};
    const bool measured{named && named->state == CandidateState::VALID};
    for (const auto* candidate : m_table.Ranking()) {
        // Without a measurement of the named one a tie cannot be judged.
        if (candidate == named || (!measured && candidate->facts.measured->count <= final.claim.claim)) return;
        const bool skipped{std::ranges::find(final.skipped, candidate->position, [](const Skipped& s) { return uint32_t{s.list_index}; }) != final.skipped.end()};
        if (skipped) continue;
        const auto& better{*candidate->facts.measured};
        const auto detail{strprintf("height %u: candidate %s with %u correct (rank sum %u) is better than the named one with %u and was not skipped",
                                    final.height, candidate->hash.GetHex(), better.count, better.rank_sum, final.claim.claim)};
        AddAlarm("podl-final-suboptimal", detail, {HexStr(entry.id), hash.GetHex(), candidate->hash.GetHex()}, now);
        return;
    }
}

void State::AddAlarm(const std::string& reason, const std::string& detail, const std::vector<std::string>& ids, int64_t now)
{
    const auto same{[&](const AlarmView& alarm) { return alarm.reason == reason && alarm.ids == ids; }};
    if (std::ranges::any_of(m_alarms, same)) return;
    LogWarning("PoDL alarm: %s: %s", reason, detail);
    if (m_alarms.size() >= MAX_ALARMS) return;
    m_alarms.push_back({reason, detail, now, ids});
    // What cannot be written is shown at least until the node stops, and written with the next one: a hole would be damage.
    while (m_alarms_written < m_alarms.size() && m_store->WriteAlarm(m_alarms_written, m_alarms[m_alarms_written])) ++m_alarms_written;
}

void State::AddConflictAlarm(const VerdictKey& key, const std::string& second, int64_t now)
{
    const auto* first{m_verdicts.Find(key)};
    const auto detail{(first ? Describe(first->verdict) : "a verdict") + ", " + second};
    AddAlarm("podl-verdict-conflict", detail, {HexStr(key.weights_root), HexStr(key.test_root)}, now);
}

void State::RestoreAlarms(int64_t now)
{
    if (m_freeze) AddEquivocation({m_freeze->slot, m_freeze->accepted, m_freeze->other, m_schedule.FinalsBehind(m_freeze->slot)}, m_freeze->other_bytes, now);
    for (const auto& key : m_verdicts.Conflicts()) AddConflictAlarm(key, "another one differs", now);
}

std::optional<std::string> State::VoidReason(const FinalRecord& final) const
{
    if (const auto fault{FaultOf(final.hash, final.key.weights_root, final.n_params)}) return fault;
    if (const auto fault{m_faults.find(final.release_id)}; fault != m_faults.end()) return fault->second;
    const auto measured{m_verdicts.Trusted(final.key)};
    if (measured && measured->count != final.claim) return "podl-claim-mismatch";
    return std::nullopt;
}

void State::FindVoid(int64_t now)
{
    const auto found{std::ranges::find_if(m_finals, [&](const auto& final) { return VoidReason(final).has_value(); })};
    if (found != m_finals.end()) VoidFinal(found - m_finals.begin(), *VoidReason(*found), now);
}

void State::UpdateVoid(const uint256& id, int64_t now)
{
    const auto [begin, end]{m_final_index.equal_range(id)};
    size_t lowest{m_finals.size()};
    for (auto it{begin}; it != end; ++it) {
        if (it->second < lowest && VoidReason(m_finals[it->second])) lowest = it->second;
    }
    if (lowest < m_finals.size()) VoidFinal(lowest, *VoidReason(m_finals[lowest]), now);
}

} // namespace podl
