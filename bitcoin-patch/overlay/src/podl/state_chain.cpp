// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/state.h>

#include <tinyformat.h>

#include <algorithm>

/** What validation asks, and how far the blocks of the finals are (protocol section 7). */
namespace podl {

State::FinalRecord* State::FindFinal(const uint256& hash)
{
    const auto [begin, end]{m_final_index.equal_range(hash)};
    const auto it{std::find_if(begin, end, [&](const auto& item) { return m_finals[item.second].hash == hash; })};
    return it == end ? nullptr : &m_finals[it->second];
}

const State::FinalRecord* State::FindFinal(const uint256& hash) const { return const_cast<State*>(this)->FindFinal(hash); }

bool State::IsJudged(const FinalRecord& final) const
{
    const auto measured{m_verdicts.Trusted(final.key)};
    return measured && measured->count == final.claim;
}

bool State::Fulfilled(const FinalRecord& final) const
{
    const auto frozen{FrozenHeight()};
    if (frozen && *frozen <= final.height) return false;
    return final.body_checked && IsJudged(final);
}

HeaderStatus State::CheckHeader(const uint256& hash, int height) const
{
    const auto* named{height < 0 ? nullptr : m_schedule.FinalFor(static_cast<uint32_t>(height))};
    if (!named) {
        const bool was_named{std::ranges::any_of(m_voided, [&](const auto& final) { return final.hash == hash && int(final.height) == height; })};
        return was_named ? HeaderStatus::NOT_FINAL : HeaderStatus::NOT_YET;
    }
    const auto* final{FindFinal(hash)};
    const bool admitted{final && final->entry_id == named->id && !VoidReason(*final)};
    return admitted ? HeaderStatus::ADMIT : HeaderStatus::NOT_FINAL;
}

bool State::MayConnect(const uint256& hash, bool connected, bool& news)
{
    auto* final{FindFinal(hash)};
    if (!final || VoidReason(*final)) return false;
    if (connected) return true;
    news = !final->in_chain;
    final->in_chain = true;
    return Fulfilled(*final);
}

std::vector<FeedTask> State::FeedTasks() const
{
    std::vector<FeedTask> tasks;
    const size_t end{std::min(m_finals.size(), m_first_open + LOOKAHEAD)};
    for (size_t i{m_first_open}; i < end; ++i) {
        const auto& final{m_finals[i]};
        const auto& disclosure{m_schedule.FinalFor(final.height)->AsFinal()->disclosure};
        tasks.push_back({
            .height = final.height,
            .header = disclosure.header,
            .payout = disclosure.payout,
            .stamp_bits = m_schedule.TaskFor(final.height)->task.stamp_bits,
            .body_held = m_files.Has({ObjectKind::BODY, final.hash}),
            .body_checked = final.body_checked,
            .may_connect = Fulfilled(final),
        });
    }
    return tasks;
}

void State::SetBodyChecked(const uint256& hash)
{
    if (auto* final{FindFinal(hash)}) final->body_checked = true;
}

void State::SetConnected(const uint256& hash, int64_t now, Events& events)
{
    auto* final{FindFinal(hash)};
    if (!final) return;
    final->connected = final->in_chain = final->body_checked = true;
    while (m_first_open < m_finals.size() && m_finals[m_first_open].connected) ++m_first_open;
    Refresh(now, events);
}

void State::DropBodies(int flushed_height)
{
    for (; m_first_kept < m_first_open && int(m_finals[m_first_kept].height) <= flushed_height; ++m_first_kept) {
        m_files.Remove({ObjectKind::BODY, m_finals[m_first_kept].hash});
    }
}

bool State::AddBlockFault(const uint256& hash, const std::string& reason, int64_t now, Events& events)
{
    const auto* final{FindFinal(hash)};
    if (!final) return false;
    const ObjectFindings findings{.faults = {{FinalNamer(*final, ObjectKind::BODY), reason}}};
    return AddFindings({ObjectKind::BODY, hash}, findings, now, events);
}

std::optional<std::string> State::CheckTip(int tip_height, bool legacy)
{
    if (legacy && tip_height >= m_podl_height) {
        return strprintf("The data directory holds ordinary blocks up to height %d, but -podlheight=%d wants PoDL blocks from there on: "
                         "use another data directory. Without its folder podl/ this one is an ordinary one again.", tip_height, m_podl_height);
    }
    const int next(m_schedule.NextHeight());
    if (tip_height < next) {
        if (!m_resyncing || m_store->WriteResyncing(false)) m_resyncing = false;
        return std::nullopt;
    }
    if (m_resyncing || m_undo_height) return std::nullopt;
    return strprintf("The block index reaches height %d, but the PoDL schedule in the data directory ends below height %d. "
                     "If podl/ was lost, restart with -podlresync to fetch it again from peers.", tip_height, next);
}

} // namespace podl
