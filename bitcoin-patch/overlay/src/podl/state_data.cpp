// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/state.h>

#include <consensus/consensus.h>
#include <logging.h>
#include <podl/data_checks.h>
#include <tinyformat.h>
#include <util/check.h>
#include <util/strencodings.h>

#include <algorithm>
#include <cassert>
#include <iterator>
#include <tuple>
#include <utility>

/** Data objects: who names them, what is taken, kept and missing. */
namespace podl {
namespace {

//! P2P types of interfaces.md.
constexpr uint8_t P2P_BODY{4};
constexpr uint8_t P2P_DATA{5};

//! For how long the same part of the archive is wanted, seconds.
constexpr int64_t ARCHIVE_TURN{600};

/** What data are worth when room is short, more is better: use, reach, place in the list, kind. */
using Worth = std::tuple<int, int64_t, int64_t, int>;

/**
 * Data are worth what their candidate may still reach, so that which ones are held in the end depends on claims and
 * measurements, not on who came first. Of equal claims the one listed first counts more. Nobody needs the model
 * before the count is known.
 */
Worth WorthOf(const Candidate& candidate, ObjectKind kind)
{
    const bool lost{candidate.state == CandidateState::FALSE_CLAIM || candidate.state == CandidateState::INVALID};
    if (lost) return {};
    const bool early{kind == ObjectKind::MODEL && candidate.state != CandidateState::VALID};
    const auto& measured{candidate.facts.measured};
    const auto reach{measured ? measured->count : candidate.reveals.front().claim.claim};
    return {early ? 1 : 2, reach, -int64_t{candidate.position}, -static_cast<int>(kind)};
}

} // namespace

std::vector<ObjectId> State::ObjectsOf(const FinalRecord& final)
{
    return {
        {ObjectKind::BODY, final.hash},
        {ObjectKind::WEIGHTS, final.key.weights_root},
        {ObjectKind::SHARD, final.key.test_root},
        {ObjectKind::MODEL, final.model_root},
    };
}

std::vector<ObjectId> State::ObjectsOf(const Candidate& candidate)
{
    const auto& opening{candidate.disclosure.opening};
    return {{ObjectKind::BODY, candidate.hash}, {ObjectKind::WEIGHTS, opening.weights_root}, {ObjectKind::MODEL, opening.model_root}};
}

bool State::NamedByFinal(const ObjectId& id) const
{
    const auto [begin, end]{m_final_index.equal_range(id.hash)};
    const auto names{[&](const FinalRecord& final) {
        const auto named{ObjectsOf(final)};
        return std::ranges::find(named, id) != named.end();
    }};
    return std::any_of(begin, end, [&](const auto& item) { return names(m_finals[item.second]); }) || std::ranges::any_of(m_voided, names);
}

ObjectNamer State::FinalNamer(const FinalRecord& final, ObjectKind kind) const
{
    ObjectNamer namer{.id = final.hash, .is_final = true, .count = final.n_params};
    if (kind == ObjectKind::SHARD) {
        namer.id = final.release_id;
        namer.count = final.n;
    }
    if (kind == ObjectKind::BODY) namer.payout = m_schedule.FinalFor(final.height)->AsFinal()->disclosure.payout;
    return namer;
}

std::optional<ObjectContext> State::Context(const ObjectId& id) const
{
    ObjectContext context{.id = id};
    auto height{m_schedule.NextHeight()};
    const auto [begin, end]{m_final_index.equal_range(id.hash)};
    for (auto it{begin}; it != end; ++it) {
        const auto& final{m_finals[it->second]};
        const auto named{ObjectsOf(final)};
        if (std::ranges::find(named, id) == named.end()) continue;
        context.namers.push_back(FinalNamer(final, id.kind));
        height = final.height;
    }
    const auto round{m_schedule.RoundFor(m_schedule.NextHeight())};
    if (round && id == ObjectId{ObjectKind::SHARD, round->release.test_root}) {
        context.namers.push_back({.id = round->release_id, .count = round->release.n});
    }
    for (const auto& [_, candidate] : m_table.ByPosition()) {
        const auto named{ObjectsOf(candidate)};
        if (std::ranges::find(named, id) == named.end()) continue;
        context.namers.push_back({.id = candidate.hash, .count = candidate.disclosure.opening.n_params, .payout = candidate.disclosure.payout});
    }
    if (context.namers.empty()) return std::nullopt;
    context.task = m_schedule.TaskFor(height)->task;
    return context;
}

uint64_t State::SizeLimit(const ObjectContext& context)
{
    const auto& task{context.task};
    switch (context.id.kind) {
    case ObjectKind::BODY: return MAX_BLOCK_SERIALIZED_SIZE;
    case ObjectKind::WEIGHTS: return WEIGHT_BYTES * task.max_weights;
    case ObjectKind::MODEL: return MODEL_BYTES * task.max_weights;
    case ObjectKind::SHARD: return task.DataSize(task.shard_max);
    } // no default case, so the compiler can warn about missing cases
    assert(false);
}

uint64_t State::BufferBytes() const
{
    return m_schedule.TaskFor(m_schedule.FirstHeight())->task.buffer_bytes;
}

Result<std::optional<ObjectContext>> State::ContextFor(const ObjectId& id, uint64_t size)
{
    if (m_files.Has(id)) return std::optional<ObjectContext>{};
    auto context{Context(id)};
    if (!context) return Refuse(FailureClass::LATER, "podl-data-unwanted", "no accepted entry and no candidate names it");
    const auto limit{SizeLimit(*context)};
    if (size == 0 || size > limit) return Refuse(FailureClass::DATA, "podl-data-size", strprintf("%u bytes, not 1..%u", size, limit));
    if (!RoomFor(id, size)) return util::Unexpected{NoRoom()};
    return context;
}

std::optional<std::string> State::FaultOf(const uint256& block, const uint256& weights_root, uint32_t n_params) const
{
    if (const auto fault{m_faults.find(block)}; fault != m_faults.end()) return fault->second;
    // The root commits to the length, so that bytes held for someone else prove it as well.
    const ObjectId weights{ObjectKind::WEIGHTS, weights_root};
    const auto size{m_files.Size(weights)};
    if (size && *size != WEIGHT_BYTES * n_params && !m_files.IsUnchecked(weights)) return "podl-model-size";
    return std::nullopt;
}

bool State::AddFindings(const ObjectId& id, const ObjectFindings& findings, int64_t now, Events& events)
{
    if (findings.reject) m_unusable.insert(id);
    bool written{true};
    for (const auto& [namer, reason] : findings.faults) {
        if (id.kind == ObjectKind::MODEL) {
            // Evaluation does not need the model, so it cannot make a final void.
            if (namer.is_final) AddAlarm(reason, "model bytes of a final", {namer.id.GetHex(), HexStr(id.hash)}, now);
            continue;
        }
        if (m_faults.contains(namer.id)) continue;
        if (!m_store->WriteFault(namer.id, reason)) {
            written = false;
            continue;
        }
        m_faults.emplace(namer.id, reason);
        if (id.kind == ObjectKind::SHARD) AddAlarm(reason, "the opened shard is malformed", {HexStr(namer.id), HexStr(id.hash)}, now);
        UpdateVoid(namer.id, now);
    }
    Refresh(now, events);
    return written;
}

Submission State::AddObject(const ObjectId& id, uint64_t size, int64_t now, Events& events)
{
    if (!Context(id)) {
        m_files.Remove(id);
        return Refusal({FailureClass::LATER, "podl-data-unwanted", "nobody names it any more"});
    }
    if (m_files.Has(id)) return {.status = SubmitStatus::DUPLICATE};
    const auto victims{RoomFor(id, size)};
    if (!victims) {
        m_files.Remove(id);
        return Refusal(NoRoom());
    }
    for (const auto& victim : *victims) m_files.Remove(victim);
    m_files.Add(id, size);
    m_archive.erase(id);
    if (id.kind == ObjectKind::BODY) {
        // Not every final with this id in the index: another one may name a model like this block.
        SetBodyChecked(id.hash);
    }
    events.push_back({.type = Event::Type::OBJECT, .id = id.hash, .kind = id.kind});
    Refresh(now, events);
    return {};
}

void State::SetChecked(const ObjectId& id, int64_t now)
{
    ObjectFiles& files{m_files.Has(id) ? m_files : m_proofs};
    if (!files.IsUnchecked(id)) return;
    files.SetChecked(id);
    if (id.kind == ObjectKind::WEIGHTS) UpdateVoid(id.hash, now); // their length counts from now on
}

void State::DropDamaged(const ObjectId& id, int64_t now)
{
    ObjectFiles& files{m_files.Has(id) ? m_files : m_proofs};
    if (!files.Has(id)) return;
    LogError("PoDL: the file %s is missing or damaged. It is thrown away, and fetched again from peers while it is needed.", fs::PathToString(files.PathOf(id)));
    files.Remove(id);
    // What only void finals name is a proof that others hold, too: it is no part of the archive.
    if (id.kind != ObjectKind::BODY && m_final_index.contains(id.hash)) m_archive.insert(id);
    Events untold; // whoever reads next sees it
    Refresh(now, untold);
}

const ObjectFiles* State::Holder(const ObjectId& id) const
{
    if (m_files.Has(id)) return &m_files;
    return m_proofs.Has(id) ? &m_proofs : nullptr;
}

uint64_t State::CandidateBytes() const
{
    uint64_t bytes{0};
    for (const auto& [id, size] : m_files.All()) {
        if (id.kind != ObjectKind::SHARD && !NamedByFinal(id)) bytes += size;
    }
    return bytes;
}

Reject State::NoRoom() const
{
    return {FailureClass::LATER, "podl-data-full", strprintf("%u bytes of candidates' data held", CandidateBytes())};
}

uint64_t State::CandidateQuota() const
{
    return m_schedule.TaskFor(m_schedule.FirstHeight())->task.disk_bytes;
}

std::optional<std::vector<ObjectId>> State::RoomFor(const ObjectId& id, uint64_t size) const
{
    std::vector<ObjectId> victims;
    if (id.kind == ObjectKind::SHARD || NamedByFinal(id)) return victims;
    const uint64_t quota{CandidateQuota()};
    if (size > quota) return std::nullopt;
    std::map<ObjectId, Worth> worth; // nothing for what is not here, such as data of an earlier attempt
    for (const auto& [_, candidate] : m_table.ByPosition()) {
        for (const auto& object : ObjectsOf(candidate)) worth[object] = std::max(worth[object], WorthOf(candidate, object.kind));
    }
    std::vector<std::pair<Worth, ObjectId>> lower;
    for (const auto& [held, _] : m_files.All()) {
        if (held.kind != ObjectKind::SHARD && !NamedByFinal(held) && worth[held] < worth[id]) lower.emplace_back(worth[held], held);
    }
    std::ranges::sort(lower);
    auto bytes{CandidateBytes()};
    for (auto it{lower.begin()}; it != lower.end() && bytes > quota - size; ++it) {
        bytes -= *m_files.Size(it->second);
        victims.push_back(it->second);
    }
    if (bytes > quota - size) return std::nullopt;
    return victims;
}

void State::DropLosers()
{
    std::vector<ObjectId> losers;
    for (const auto& [id, _] : m_files.All()) {
        if (!NamedByFinal(id)) losers.push_back(id);
    }
    for (const auto& id : losers) m_files.Remove(id);
}

void State::AddNeed(const ObjectId& id, int height, std::vector<Need>& needs, bool background) const
{
    if (m_files.Has(id) || m_unusable.contains(id)) return;
    const auto context{Context(id)};
    if (!context) return;
    const auto type{id.kind == ObjectKind::BODY ? P2P_BODY : P2P_DATA};
    const Want want{type, id.hash, id.kind, ExpectedSize(*context, context->namers.front()), SizeLimit(*context)};
    needs.push_back({KindName(id.kind), id.hash, height, want, background});
}

void State::FinalNeeds(const FinalRecord& final, std::vector<Need>& needs) const
{
    const int height(final.height);
    if (!final.in_chain) AddNeed({ObjectKind::BODY, final.hash}, height, needs);
    if (m_verdicts.Settled(final.key)) return;
    const size_t before{needs.size()};
    AddNeed({ObjectKind::WEIGHTS, final.key.weights_root}, height, needs);
    AddNeed({ObjectKind::SHARD, final.key.test_root}, height, needs);
    if (needs.size() == before) needs.push_back({"evaluator", final.hash, height});
}

void State::RoundNeeds(std::vector<Need>& needs) const
{
    const auto round{m_schedule.RoundFor(m_schedule.NextHeight())};
    if (!round) return;
    const int height(round->height);
    AddNeed({ObjectKind::SHARD, round->release.test_root}, height, needs);
    // All of them: the task's limit is on what moves at once, and bytes that are withheld must not hide the others.
    for (const auto* candidate : m_table.Order()) {
        AddNeed({ObjectKind::BODY, candidate->hash}, height, needs);
        AddNeed({ObjectKind::WEIGHTS, candidate->disclosure.opening.weights_root}, height, needs);
        if (candidate->state == CandidateState::WAITING_VERDICT) needs.push_back({"evaluator", candidate->hash, height});
    }
    for (const auto* candidate : m_table.Ranking()) {
        AddNeed({ObjectKind::MODEL, candidate->disclosure.opening.model_root}, height, needs);
    }
    SpareNeeds(height, round->task.task.downloads, needs);
}

void State::SpareNeeds(int height, size_t limit, std::vector<Need>& needs) const
{
    // The other half of the quota is for what is needed.
    if (CandidateBytes() > CandidateQuota() / 2) return;
    const size_t end{needs.size() + limit};
    for (const auto* candidate : m_table.Spare()) {
        for (const auto& id : ObjectsOf(*candidate)) {
            if (needs.size() < end) AddNeed(id, height, needs, /*background=*/true);
        }
    }
}

void State::ArchiveNeeds(int64_t now, std::vector<Need>& needs) const
{
    // In turns: what nobody has any more must not hide the rest.
    const size_t turns{(m_archive.size() + LOOKAHEAD - 1) / LOOKAHEAD};
    if (turns == 0) return;
    auto it{std::next(m_archive.begin(), now / ARCHIVE_TURN % turns * LOOKAHEAD)};
    for (size_t left{std::min(LOOKAHEAD, m_archive.size())}; left > 0; --left) {
        const bool listed{std::ranges::any_of(needs, [&](const Need& need) { return need.want && ObjectId{need.want->kind, need.id} == *it; })};
        const auto named{m_final_index.find(it->hash)};
        assert(named != m_final_index.end()); // the archive is that of finals that count
        if (!listed) AddNeed(*it, m_finals[named->second].height, needs);
        if (++it == m_archive.end()) it = m_archive.begin();
    }
}

std::vector<State::Need> State::Needs(int64_t now) const
{
    std::vector<Need> needs;
    const size_t end{std::min(m_finals.size(), m_first_open + LOOKAHEAD)};
    for (size_t i{m_first_open}; i < end; ++i) {
        if (!m_finals[i].connected) FinalNeeds(m_finals[i], needs);
    }
    RoundNeeds(needs);
    ArchiveNeeds(now, needs);
    for (const auto& orphan : m_orphans) {
        if (!m_schedule.Find(orphan.prev)) needs.push_back({"entry", orphan.prev, static_cast<int>(m_schedule.NextHeight())});
    }
    return needs;
}

} // namespace podl
