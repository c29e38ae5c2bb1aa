// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/manager.h>

#include <podl/chain_link.h>
#include <podl/object_check.h>
#include <podl/state.h>
#include <tinyformat.h>
#include <util/time.h>

#include <utility>

/** What users and peers hand in. */
namespace podl {

Submission Manager::SubmitEntry(std::span<const unsigned char> bytes, uint256* id)
{
    const auto entry{ParseEntry(bytes)};
    if (!entry) return Refusal(entry.error());
    if (id) *id = entry->id;
    const auto result{SubmitParsed(*entry)};
    if (result.status == SubmitStatus::ACCEPTED) RetryOrphans();
    return result;
}

Submission Manager::SubmitParsed(const Entry& entry)
{
    std::optional<int> prev_height;
    const auto* release{entry.AsRelease()};
    if (release && int64_t{release->height} == m_options.podl_height) {
        if (const auto chain{GetChain()}) prev_height = chain->HeightOf(release->prev_block);
    }
    Events events;
    const auto result{WITH_LOCK(m_mutex, return m_state->AddEntry(entry, GetTime(), prev_height, events))};
    Notify(events);
    return result;
}

void Manager::RetryOrphans()
{
    bool accepted{true};
    while (accepted) {
        accepted = false;
        for (const auto& entry : WITH_LOCK(m_mutex, return m_state->TakeOrphans())) {
            if (SubmitParsed(entry).status == SubmitStatus::ACCEPTED) accepted = true;
        }
    }
}

Submission Manager::SubmitCommitment(std::span<const unsigned char> bytes, uint256* hash)
{
    const auto header{ParseCommitment(bytes)};
    if (!header) return Refusal(header.error());
    if (hash) *hash = header->GetHash();
    const auto first_tip{FirstTip()};
    const auto chain{GetChain()};
    const auto parent{chain ? chain->Parent(*header) : std::nullopt};
    Events events;
    const auto result{WITH_LOCK(m_mutex, return m_state->AddCommitment(*header, Bytes(bytes.begin(), bytes.end()), GetTime(), first_tip, parent, events))};
    Notify(events);
    return result;
}

Submission Manager::SubmitReveal(std::span<const unsigned char> bytes, uint256* hash)
{
    auto reveal{ParseReveal(bytes)};
    if (!reveal) return Refusal(reveal.error());
    if (hash) *hash = reveal->BlockHash();
    Events events;
    const auto result{WITH_LOCK(m_mutex, return m_state->AddReveal(std::move(*reveal), GetTime(), events))};
    Notify(events);
    return result;
}

Submission Manager::SubmitVerdict(const VerdictKey& key, const Verdict& verdict)
{
    NoteSidecar();
    if (SourceOf(verdict) == VerdictSource::INTERNAL) {
        return Refusal({FailureClass::DATA, "podl-verdict-range", strprintf("%s is the name of the node's own evaluator", INTERNAL_EVALUATOR)});
    }
    return SubmitOwnVerdict(key, verdict);
}

Submission Manager::SubmitOwnVerdict(const VerdictKey& key, const Verdict& verdict)
{
    Events events;
    const auto result{WITH_LOCK(m_mutex, return m_state->AddVerdict(key, verdict, GetTime(), events))};
    Notify(events);
    return result;
}

Submission Manager::SubmitAudit(const uint256& block, const Audit& audit)
{
    LOCK(m_mutex);
    return m_state->AddAudit(block, audit);
}

PieceResult Manager::SubmitPiece(ObjectKind kind, const uint256& hash, uint64_t size, uint64_t offset, std::span<const unsigned char> piece)
{
    const auto refusal{[](const Reject& reject, uint64_t received) { return PieceResult{Refusal(reject), received, false}; }};
    if (piece.size() > MAX_PIECE_BYTES) return refusal({FailureClass::DATA, "podl-data-size", strprintf("a piece has at most %u bytes", MAX_PIECE_BYTES)}, 0);
    const ObjectId id{kind, hash};
    std::optional<Bytes> whole;
    uint64_t received{0};
    {
        LOCK(m_mutex);
        if (const auto held{m_state->Files().Size(id)}) return {{.status = SubmitStatus::DUPLICATE}, *held, true};
        if (const auto context{m_state->ContextFor(id, size)}; !context) return refusal(context.error(), 0);
        const auto step{m_state->Parts().Put(id, size, offset, piece, m_state->BufferBytes(), whole)};
        received = whole ? size : m_state->Parts().Received(id);
        if (step == Assembly::Step::TOO_LARGE) return refusal({FailureClass::LATER, "podl-data-full", "larger than the task's buffer"}, received);
        if (step == Assembly::Step::UNKNOWN) return refusal({FailureClass::LATER, "podl-data-missing", "the pieces before this one are not here (any more)"}, 0);
        if (step == Assembly::Step::OUT_OF_ORDER) return refusal({FailureClass::DATA, "podl-data-size", strprintf("the next piece starts at %u", received)}, received);
    }
    if (!whole) return {{}, received, false};
    const auto result{AddObject(kind, hash, *whole)};
    const bool complete{result.status == SubmitStatus::ACCEPTED || result.status == SubmitStatus::DUPLICATE};
    return {result, complete ? size : 0, complete};
}

Submission Manager::AddObject(ObjectKind kind, const uint256& hash, std::span<const unsigned char> bytes)
{
    const ObjectId id{kind, hash};
    const auto context{WITH_LOCK(m_mutex, return m_state->ContextFor(id, bytes.size()))};
    if (!context) return Refusal(context.error());
    if (!*context) return {.status = SubmitStatus::DUPLICATE};
    // Megabytes are hashed and written without the lock.
    const auto findings{CheckObject(**context, bytes)};
    Events events;
    const bool recorded{findings.faults.empty() || WITH_LOCK(m_mutex, return m_state->AddFindings(id, findings, GetTime(), events))};
    Submission result;
    if (!recorded) {
        result = StoreFailure();
    } else if (findings.reject) {
        result = Refusal(*findings.reject);
    } else if (!WITH_LOCK(m_mutex, return &m_state->Files())->WriteFile(id, bytes)) {
        result = StoreFailure();
    } else {
        LOCK(m_mutex);
        result = m_state->AddObject(id, bytes.size(), GetTime(), events);
    }
    Notify(events);
    return result;
}

} // namespace podl
