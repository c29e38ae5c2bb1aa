// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/state.h>

#include <pow.h>
#include <tinyformat.h>
#include <util/check.h>
#include <util/strencodings.h>

#include <algorithm>
#include <utility>

/** Commitments, reveals, verdicts and audits. */
namespace podl {
namespace {

//! Longest name of an evaluator, device or auditor.
constexpr size_t MAX_NAME{128};

} // namespace

std::optional<uint256> State::OpenPrev(const std::optional<uint256>& first_tip) const
{
    const auto height{m_schedule.NextHeight()};
    if (const auto prev{m_schedule.CommitPrev(height)}) return prev;
    // Also in Phase 2 of the first height: a reorganisation below it leaves the listed headers on a block that is gone.
    if (first_tip) return first_tip;
    if (const auto* release{m_schedule.LatestRelease(height)}) return release->AsRelease()->prev_block;
    return std::nullopt;
}

std::optional<Reject> State::CheckCommitment(const CBlockHeader& header, int64_t now, const std::optional<uint256>& prev, const std::optional<ParentInfo>& parent) const
{
    const auto& task{m_schedule.TaskFor(m_schedule.NextHeight())->task};
    const auto hash{header.GetHash()};
    if (!CheckProofOfWork(hash, header.nBits, *m_consensus)) return Reject{FailureClass::DATA, "podl-commit-stamp", "nBits"};
    if (IsFrozen()) return Reject{FailureClass::LATER, "podl-schedule-frozen", ""};
    if (!prev || header.hashPrevBlock != *prev) {
        return Reject{FailureClass::LATER, "podl-commit-prev", prev ? "builds on another block than " + prev->GetHex() : "the block to build on is not known yet"};
    }
    // Which task asks for a stamp depends on the block to build on.
    if (!MeetsStamp(hash, task.stamp_bits)) return Reject{FailureClass::DATA, "podl-commit-stamp", strprintf("needs %u bits", task.stamp_bits)};
    if (parent && header.nBits != parent->next_bits) return Reject{FailureClass::DATA, "podl-commit-stamp", strprintf("nBits is not %08x", parent->next_bits)};
    if (parent && header.GetBlockTime() <= parent->median_time_past) {
        return Reject{FailureClass::LATER, "podl-commit-time", strprintf("not above the parent's median time %d", parent->median_time_past)};
    }
    if (header.GetBlockTime() > now + MAX_FUTURE_TIME) return Reject{FailureClass::LATER, "podl-commit-time", "ahead of this node's clock"};
    if (m_pool.IsFor(m_schedule.NextHeight(), *prev) && !m_pool.PlaceFor(hash, task.pool_size)) {
        return Reject{FailureClass::LATER, "podl-commit-full", strprintf("%u with lower block hashes are held", m_pool.Size())};
    }
    return std::nullopt;
}

Submission State::AddCommitment(const CBlockHeader& header, const Bytes& bytes, int64_t now, const std::optional<uint256>& first_tip, const std::optional<ParentInfo>& parent, Events& events)
{
    const auto hash{header.GetHash()};
    if (m_pool.Has(hash)) return {.status = SubmitStatus::DUPLICATE};
    if (const auto reject{CheckCommitment(header, now, OpenPrev(first_tip), parent)}) return Refusal(*reject);
    if (m_pool.Open(m_schedule.NextHeight(), header.hashPrevBlock)) (void)m_store->ClearCommitments();
    const CommitmentView commitment{hash, bytes, now};
    const auto place{*Assert(m_pool.PlaceFor(hash, m_schedule.TaskFor(m_schedule.NextHeight())->task.pool_size))};
    if (!m_store->WriteCommitment(place, commitment)) return StoreFailure();
    m_pool.Put(place, commitment);
    events.push_back({.type = Event::Type::COMMITMENT, .id = hash});
    return {};
}

Submission State::AddReveal(Reveal reveal, int64_t now, Events& events)
{
    const auto hash{reveal.BlockHash()};
    const auto id{reveal.id};
    if (m_table.FindReveal(id)) return {.status = SubmitStatus::DUPLICATE};
    if (const auto checked{m_schedule.CheckReveal(reveal)}; !checked) return Refusal(checked.error());
    if (IsFrozen()) return Refusal({FailureClass::LATER, "podl-schedule-frozen", ""});
    const auto position{*Assert(m_schedule.RoundFor(m_schedule.NextHeight()))->Position(hash)};
    switch (m_table.Outlook(position, reveal.claim.claim)) {
    case CandidateTable::Added::KEPT: break;
    case CandidateTable::Added::DUPLICATE: return {.status = SubmitStatus::DUPLICATE};
    case CandidateTable::Added::LOWER: return Refusal({FailureClass::LATER, "podl-late-reveal", "two higher claims of this header are held"});
    case CandidateTable::Added::SPENT: return Refusal({FailureClass::LATER, "podl-late-reveal", "this header has made too many claims"});
    } // no default case, so the compiler can warn about missing cases
    if (!m_store->WriteReveal(id, reveal.bytes)) return StoreFailure();
    std::optional<uint256> dropped;
    m_table.Add(std::move(reveal), position, dropped);
    if (dropped) (void)m_store->EraseReveal(*dropped);
    m_unusable.clear(); // the reveal may name them anew
    events.push_back({.type = Event::Type::REVEAL, .id = id, .block = hash});
    events.push_back({.type = Event::Type::CANDIDATE, .id = hash});
    Refresh(now, events);
    return {};
}

VerdictKey State::KeyOf(const Disclosure& disclosure, const Round& round) const
{
    const auto& program{round.task.programs.at(disclosure.recipe.architecture)};
    return {round.task.task.arithmetic, program.hash, disclosure.opening.weights_root, round.release.test_root};
}

std::optional<std::pair<uint32_t, uint16_t>> State::TestOf(const VerdictKey& key) const
{
    const auto [begin, end]{m_final_index.equal_range(key.weights_root)};
    for (auto it{begin}; it != end; ++it) {
        const auto& final{m_finals[it->second]};
        if (final.key == key) return std::pair{final.n, m_schedule.TaskFor(final.height)->task.classes};
    }
    // A verdict may also take back, or confirm, the proof of a void final.
    for (const auto& final : m_voided) {
        if (final.key == key) return std::pair{final.n, m_schedule.TaskFor(final.height)->task.classes};
    }
    const auto round{m_schedule.RoundFor(m_schedule.NextHeight())};
    if (!round) return std::nullopt;
    for (const auto& [_, candidate] : m_table.ByPosition()) {
        if (KeyOf(candidate.disclosure, *round) == key) return std::pair{round->release.n, round->task.task.classes};
    }
    return std::nullopt;
}

Submission State::AddVerdict(const VerdictKey& key, const Verdict& verdict, int64_t now, Events& events)
{
    const auto test{TestOf(key)};
    if (!test) return Refusal({FailureClass::DATA, "podl-verdict-key", "no final and no candidate has these roots and this program"});
    if (verdict.device.size() > MAX_NAME || verdict.evaluator.size() > MAX_NAME) {
        return Refusal({FailureClass::DATA, "podl-verdict-range", strprintf("names have at most %u bytes", MAX_NAME)});
    }
    const auto [n, classes]{*test};
    if (!IsPlausible({verdict.count, verdict.rank_sum}, n, classes)) {
        return Refusal({FailureClass::DATA, "podl-verdict-range", strprintf("impossible for %u samples of %u classes", n, classes)});
    }
    const StoredVerdict stored{verdict, now};
    switch (m_verdicts.Compare(key, verdict)) {
    case Verdicts::Relation::SAME:
        m_verdicts.Credit(stored);
        return {.status = SubmitStatus::DUPLICATE};
    case Verdicts::Relation::DIFFERENT: {
        if (!m_store->WriteConflict(key)) return StoreFailure();
        m_verdicts.AddConflict(key);
        RestoreVoid(); // a final that only the first verdict contradicts is unknown again, not void
        AddConflictAlarm(key, Describe(verdict), now);
        Refresh(now, events);
        return Refusal({FailureClass::EVIDENCE, "podl-verdict-conflict", "before: " + Describe(m_verdicts.Find(key)->verdict)});
    }
    case Verdicts::Relation::CONFIRMS:
        if (!m_store->WriteConfirmation(key, stored)) return StoreFailure();
        m_verdicts.AddConfirmation(key, stored);
        break;
    case Verdicts::Relation::FIRST:
        if (!m_store->WriteVerdict(key, stored)) return StoreFailure();
        m_verdicts.Add(key, stored);
        break;
    } // no default case, so the compiler can warn about missing cases
    events.push_back({.type = Event::Type::VERDICT, .verdict = key});
    UpdateVoid(key.weights_root, now);
    Refresh(now, events);
    return {};
}

Submission State::AddAudit(const uint256& block, const Audit& audit)
{
    if (!FindFinal(block)) return Refusal({FailureClass::LATER, "podl-final-missing", "no final names this block"});
    if (audit.auditor.size() > MAX_NAME) return Refusal({FailureClass::DATA, "podl-verdict-range", strprintf("names have at most %u bytes", MAX_NAME)});
    if (!m_store->WriteAudit(block, audit)) return StoreFailure();
    return {};
}

CandidateFacts State::FactsOf(const Candidate& candidate, const Round& round) const
{
    const auto& opening{candidate.disclosure.opening};
    return {
        .fault = FaultOf(candidate.hash, opening.weights_root, opening.n_params).value_or(""),
        .body = m_files.Has({ObjectKind::BODY, candidate.hash}),
        .weights = m_files.Has({ObjectKind::WEIGHTS, opening.weights_root}),
        .model = m_files.Has({ObjectKind::MODEL, opening.model_root}),
        .measured = m_verdicts.Trusted(KeyOf(candidate.disclosure, round)),
    };
}

void State::Refresh(int64_t now, Events& events)
{
    const auto round{m_schedule.RoundFor(m_schedule.NextHeight())};
    if (round && m_table.Size() > 0) {
        const bool shard{m_files.Has({ObjectKind::SHARD, round->release.test_root})};
        for (const auto& hash : m_table.Judge([&](const Candidate& candidate) { return FactsOf(candidate, *round); }, shard)) {
            const bool told{std::ranges::any_of(events, [&](const Event& event) { return event.type == Event::Type::CANDIDATE && event.id == hash; })};
            if (!told) events.push_back({.type = Event::Type::CANDIDATE, .id = hash});
        }
    }
    std::map<WaitKey, int64_t> waiting;
    for (const auto& need : Needs(now)) {
        if (need.background) continue;
        const auto id{need.what == "body" || need.what == "evaluator" ? need.id.GetHex() : HexStr(need.id)};
        const WaitKey key{need.what, id, need.height};
        const auto known{m_waiting.find(key)};
        waiting.emplace(key, known == m_waiting.end() ? now : known->second);
    }
    m_waiting = std::move(waiting);
}

} // namespace podl
