// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/state.h>

#include <podl/data_checks.h>
#include <podl/evaluator.h>
#include <tinyformat.h>
#include <util/check.h>

#include <utility>

namespace podl {
namespace {

std::string Corrupt(size_t index, const Reject& reject)
{
    return strprintf("podl-store-corrupt: entry %u: %s (%s)", index, reject.reason, reject.detail);
}

} // namespace

State::State(const ManagerOptions& options, std::unique_ptr<Store> store)
    : m_podl_height{options.podl_height}, m_consensus{options.consensus}, m_evaluator{options.evaluator}, m_store{std::move(store)}, m_files{options.dir / "data"}, m_proofs{options.dir / "proofs"}
{
}

util::Expected<std::unique_ptr<State>, std::string> State::Load(const ManagerOptions& options, int64_t now)
{
    auto store{Store::Open(options.dir / "db", options.memory_only, /*wipe=*/options.resync)};
    if (!store) return util::Unexpected{store.error()};
    if (options.resync && !(*store)->WriteResyncing(true)) return util::Unexpected{std::string{"podl-store-open: cannot write"}};
    auto stored{(*store)->Load()};
    if (!stored) return util::Unexpected{stored.error()};
    try {
        std::unique_ptr<State> state{new State{options, std::move(*store)}};
        if (options.resync) {
            state->m_files.Clear();
            state->m_proofs.Clear();
        }
        if (const auto problem{state->Replay(std::move(*stored), options.task, now)}) return util::Unexpected{*problem};
        return state;
    } catch (const fs::filesystem_error& e) {
        return util::Unexpected{strprintf("podl-store-open: %s", e.what())};
    }
}

std::optional<std::string> State::Replay(StoredState stored, const Bytes& task, int64_t now)
{
    m_verdicts = Verdicts{m_evaluator, std::move(stored.verdicts), std::move(stored.confirmations), std::move(stored.conflicts)};
    if (m_evaluator != EvaluatorMode::SIDECAR) m_verdicts.Introduce(INTERNAL_EVALUATOR, InternalDevice());
    m_faults = std::move(stored.faults);
    m_alarms = std::move(stored.alarms);
    m_alarms_written = m_alarms.size();
    m_freeze = std::move(stored.freeze);
    m_not_chosen = std::move(stored.not_chosen);
    m_undo_height = stored.undo_height;
    m_resyncing = stored.resyncing;
    if (const auto problem{ReplayLog(std::move(stored.entries), task)}) return problem;
    if (m_freeze && m_freeze->slot >= m_schedule.Size()) m_freeze.reset(); // it was about entries behind a void final
    for (const auto& final : m_finals) CheckLength(final.key.weights_root, final.n_params, now);
    FindVoid(now);
    RestoreAlarms(now);
    ReplayCommitments(stored.commitments);
    ReplayReveals(stored.reveals, now);
    if (!m_schedule.InReveal()) DropLosers();
    Events ignored; // nobody listens yet
    Refresh(now, ignored);
    return std::nullopt;
}

std::optional<std::string> State::ReplayLog(std::vector<Bytes> entries, const Bytes& task)
{
    const bool fresh{entries.empty()};
    if (fresh) entries.push_back(task);
    for (const auto& bytes : entries) {
        if (const auto problem{ReplayEntry(bytes)}) return problem;
    }
    const auto first{ParseEntry(task)};
    if (!first || first->id != m_schedule.ChainId()) return "podl-store-corrupt: the schedule is another chain's";
    if (fresh && !m_store->WriteEntry(0, task)) return "podl-store-open: cannot write the first task";
    return std::nullopt;
}

std::optional<std::string> State::ReplayEntry(const Bytes& bytes)
{
    const size_t index{m_schedule.Size()};
    auto entry{ParseEntry(bytes)};
    if (!entry) return Corrupt(index, entry.error());
    Withdraw(*entry); // accepted before, so the final before it was proven void
    // Likewise neither the clock nor the block index, which is not loaded yet, is asked again.
    const auto known{[&](const uint256&) { return std::optional{m_podl_height - 1}; }};
    if (const auto checked{m_schedule.Check(*entry, static_cast<int64_t>(entry->time), known)}; !checked) return Corrupt(index, checked.error());
    m_schedule.Append(std::move(*entry));
    Apply(m_schedule.At(index));
    return std::nullopt;
}

void State::ReplayCommitments(const std::vector<CommitmentView>& stored)
{
    const auto height{m_schedule.NextHeight()};
    const auto prev{m_schedule.CommitPrev(height)};
    for (const auto& commitment : stored) {
        const auto header{ParseCommitment(commitment.bytes)};
        if (!header || (prev && header->hashPrevBlock != *prev)) continue;
        // At the first height all of them are on the tip of that time.
        if (m_pool.Size() == 0) m_pool.Open(height, header->hashPrevBlock);
        if (m_pool.IsFor(height, header->hashPrevBlock)) m_pool.Add(commitment);
    }
    if (m_pool.Size() == stored.size()) return;
    // A commitment's key in the store is its place in the pool.
    (void)m_store->ClearCommitments();
    for (size_t i{0}; i < m_pool.Size(); ++i) (void)m_store->WriteCommitment(i, m_pool.All()[i]);
}

void State::CheckLength(const uint256& weights_root, uint32_t n_params, int64_t now)
{
    const ObjectId id{ObjectKind::WEIGHTS, weights_root};
    const auto size{m_files.Size(id)};
    if (!size || *size == WEIGHT_BYTES * n_params) return;
    // Either the opening names a wrong length, which makes the block void, or the disk has changed the file.
    const auto bytes{m_files.ReadFile(id, 0, *size)};
    if (bytes && IsNamed(id, *bytes)) {
        m_files.SetChecked(id);
    } else {
        DropDamaged(id, now);
    }
}

void State::ReplayReveals(const std::vector<Bytes>& stored, int64_t now)
{
    const auto round{m_schedule.RoundFor(m_schedule.NextHeight())};
    if (!round) return;
    for (const auto& bytes : stored) {
        auto reveal{ParseReveal(bytes)};
        if (!reveal || !m_schedule.CheckReveal(*reveal)) continue;
        std::optional<uint256> dropped;
        CheckLength(reveal->disclosure.opening.weights_root, reveal->disclosure.opening.n_params, now);
        const auto position{*round->Position(reveal->BlockHash())};
        m_table.Add(std::move(*reveal), position, dropped);
    }
}

void State::Apply(const Entry& entry)
{
    m_unusable.clear(); // the entry may name them anew
    if (entry.AsRelease()) m_table.Open(entry.id);
    if (const auto* final{entry.AsFinal()}) ApplyFinal(entry, *final);
}

void State::ApplyFinal(const Entry& entry, const Final& final)
{
    const auto round{*Assert(m_schedule.RoundFor(final.height))};
    const auto& opening{final.disclosure.opening};
    FinalRecord record{
        .height = final.height,
        .hash = final.BlockHash(),
        .entry_id = entry.id,
        .release_id = round.release_id,
        .key = KeyOf(final.disclosure, round),
        .model_root = opening.model_root,
        .n_params = opening.n_params,
        .n = round.release.n,
        .claim = final.claim.claim,
    };
    record.body_checked = m_files.Has({ObjectKind::BODY, record.hash});
    for (const auto& id : {record.hash, record.release_id, record.key.weights_root, record.model_root, record.key.test_root}) {
        m_final_index.emplace(id, m_finals.size());
    }
    for (const auto& id : ObjectsOf(record)) {
        if (id.kind != ObjectKind::BODY && !m_files.Has(id)) m_archive.insert(id);
    }
    m_finals.push_back(std::move(record));
    m_table.Open(uint256{});
}

} // namespace podl
