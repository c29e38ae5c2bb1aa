// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/state.h>

#include <podl/codec.h>

#include <algorithm>
#include <utility>

namespace podl {
namespace {

CandidateView ViewOf(const Candidate& candidate)
{
    const auto& [header, opening, recipe, payout]{candidate.disclosure};
    CandidateView view{
        .hash = candidate.hash,
        .position = candidate.position,
        .architecture = recipe.architecture,
        .opening = ToBytes(opening),
        .recipe = ToBytes(recipe),
        .payout = payout,
        .header = ToBytes(Using<HeaderFormatter>(header)),
        .weights_root = opening.weights_root,
        .model_root = opening.model_root,
        .parent = recipe.parent,
        .body = candidate.facts.body,
        .weights = candidate.facts.weights,
        .model = candidate.facts.model,
        .state = StateName(candidate.state),
        .reason = candidate.facts.fault,
    };
    for (const auto& reveal : candidate.reveals) {
        view.claims.push_back(reveal.claim.claim);
        view.signatures.emplace_back(reveal.claim.signature.begin(), reveal.claim.signature.end());
    }
    if (const auto& measured{candidate.facts.measured}) {
        view.count = measured->count;
        view.rank_sum = measured->rank_sum;
    }
    return view;
}

JobView JobOf(bool is_final, const Round& round, const Disclosure& disclosure, uint32_t claim)
{
    return {
        .is_final = is_final,
        .height = static_cast<int>(round.height),
        .arithmetic = round.task.task.arithmetic,
        .program = round.task.programs.at(disclosure.recipe.architecture).bytes,
        .shape = round.task.task.dims,
        .classes = round.task.task.classes,
        .weights_root = disclosure.opening.weights_root,
        .test_root = round.release.test_root,
        .n = round.release.n,
        .claim = claim,
    };
}

} // namespace

InfoView State::Info(const std::optional<uint256>& first_tip) const
{
    const auto height{m_schedule.NextHeight()};
    InfoView view{
        .podl_height = m_podl_height,
        .chain_id = m_schedule.ChainId(),
        .task_id = m_schedule.TaskFor(height)->id,
        .height = static_cast<int>(height),
        .opening_release_id = m_schedule.OpeningReleaseId(height).value_or(uint256{}),
        .prev = OpenPrev(first_tip),
        .entries = m_schedule.Size(),
        .digest = m_schedule.LastId(),
        .finals = m_schedule.FinalCount(),
        .commitments = Commitments(first_tip).commitments.size(),
        .candidates = m_table.Size(),
        .frozen = IsFrozen(),
        .is_void = m_schedule.IsVoid(),
        .alarms = m_alarms,
        .evaluator = m_evaluator,
        .evaluators = m_verdicts.Evaluators(),
    };
    if (const auto round{m_schedule.RoundFor(height)}) {
        view.reveal_phase = true;
        view.attempt = round->release.attempt;
        view.release_id = round->release_id;
    }
    for (const auto& final : m_finals) {
        if (IsJudged(final)) ++view.evaluated;
        if (!VoidReason(final)) view.accuracy_work += AccuracyWork(final.n, final.claim);
    }
    for (const auto& [key, since] : m_waiting) {
        const auto& [what, id, wait_height]{key};
        view.waiting.push_back({what, id, wait_height, since});
    }
    return view;
}

ScheduleView State::Entries(size_t from, size_t count) const
{
    ScheduleView view{.total = m_schedule.Size()};
    for (size_t i{from}; i < m_schedule.Size() && i - from < count; ++i) {
        const auto& entry{m_schedule.At(i)};
        view.entries.push_back({i, entry.id, entry.bytes});
    }
    return view;
}

CommitmentsView State::Commitments(const std::optional<uint256>& first_tip) const
{
    const int height(m_schedule.NextHeight());
    CommitmentsView view{.height = height, .prev = OpenPrev(first_tip)};
    if (view.prev && m_pool.IsFor(height, *view.prev)) view.commitments = m_pool.All();
    return view;
}

std::vector<JobView> State::Jobs(VerdictSource source) const
{
    std::vector<JobView> jobs;
    const size_t end{std::min(m_finals.size(), m_first_open + LOOKAHEAD)};
    for (size_t i{m_first_open}; i < end; ++i) {
        const auto& record{m_finals[i]};
        const bool ready{m_files.Has({ObjectKind::WEIGHTS, record.key.weights_root}) && m_files.Has({ObjectKind::SHARD, record.key.test_root})};
        if (record.connected || !m_verdicts.Wants(record.key, source) || !ready) continue;
        const auto& final{*m_schedule.FinalFor(record.height)->AsFinal()};
        jobs.push_back(JobOf(/*is_final=*/true, *m_schedule.RoundFor(record.height), final.disclosure, record.claim));
    }
    const auto round{m_schedule.RoundFor(m_schedule.NextHeight())};
    if (!round) return jobs;
    for (const auto* candidate : m_table.Order()) {
        if (candidate->state != CandidateState::WAITING_VERDICT) continue;
        if (!m_verdicts.Wants(KeyOf(candidate->disclosure, *round), source)) continue;
        jobs.push_back(JobOf(/*is_final=*/false, *round, candidate->disclosure, candidate->reveals.front().claim.claim));
    }
    return jobs;
}

CandidatesView State::CandidatesNow() const
{
    CandidatesView view{.height = static_cast<int>(m_schedule.NextHeight()), .jobs = Jobs(VerdictSource::RPC)};
    const auto round{m_schedule.RoundFor(m_schedule.NextHeight())};
    if (!round) return view;
    view.attempt = round->release.attempt;
    view.release_id = round->release_id;
    view.test_root = round->release.test_root;
    view.n = round->release.n;
    view.shard = m_files.Has({ObjectKind::SHARD, view.test_root});
    for (const auto& [_, candidate] : m_table.ByPosition()) view.candidates.push_back(ViewOf(candidate));
    return view;
}

TemplateView State::Template(const uint256& prev_block, const std::optional<uint256>& first_tip) const
{
    const auto height{m_schedule.NextHeight()};
    const auto prev{OpenPrev(first_tip)};
    TemplateView view{
        .height = static_cast<int>(height),
        .opening_release_id = m_schedule.OpeningReleaseId(height).value_or(uint256{}),
    };
    if (m_schedule.InReveal()) {
        view.reveal_phase = true;
        view.reveal_release_id = m_schedule.LatestRelease(height)->id;
    }
    view.can_commit = prev == prev_block && !IsFrozen();
    return view;
}

std::vector<Want> State::Wanted(int64_t now) const
{
    std::vector<Want> wants;
    for (const auto& need : Needs(now)) {
        if (need.want) wants.push_back(*need.want);
    }
    return wants;
}

PeerLimits State::Limits() const
{
    const auto& task{m_schedule.TaskFor(m_schedule.NextHeight())->task};
    return {task.chunks_in_flight, task.downloads, task.buffer_bytes};
}

} // namespace podl
