// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/manager.h>

#include <podl/chain_link.h>
#include <podl/codec.h>
#include <podl/object_check.h>
#include <podl/state.h>
#include <primitives/block.h>
#include <primitives/transaction.h>
#include <tinyformat.h>
#include <util/time.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

/** Data objects: taken in, read, and thrown away when the disk has changed them. Megabytes move without the lock. */
namespace podl {
namespace {

constexpr auto WHOLE{std::numeric_limits<uint64_t>::max()};

/** Whether the refused bytes make a final void: nodes that come later will need them. */
bool IsProof(const ObjectContext& context, const Reject& reject)
{
    if (reject.cls != FailureClass::PERM || context.id.kind == ObjectKind::MODEL) return false;
    return context.id.kind == ObjectKind::SHARD || std::ranges::any_of(context.namers, &ObjectNamer::is_final);
}

} // namespace

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
        auto& proofs{*WITH_LOCK(m_mutex, return &m_state->Proofs())};
        if (IsProof(**context, *findings.reject) && proofs.WriteFile(id, bytes)) WITH_LOCK(m_mutex, proofs.Add(id, bytes.size()));
    } else if (!WITH_LOCK(m_mutex, return &m_state->Files())->WriteFile(id, bytes)) {
        result = StoreFailure();
    } else {
        LOCK(m_mutex);
        result = m_state->AddObject(id, bytes.size(), GetTime(), events);
    }
    Notify(events);
    return result;
}

std::optional<Bytes> Manager::BodyFromChain(const uint256& hash) const
{
    const auto chain{GetChain()};
    if (!chain || !WITH_LOCK(m_mutex, return m_state->Log().FinalByHash(hash) != nullptr)) return std::nullopt;
    const auto block{chain->ReadBlock(hash)};
    if (!block) return std::nullopt;
    return ToBytes(TX_WITH_WITNESS(*block));
}

std::optional<Bytes> Manager::ReadWhole(const ObjectFiles& files, const ObjectId& id) const
{
    auto bytes{files.ReadFile(id, 0, WHOLE)};
    std::error_code error;
    // Memory or file descriptors that ran short say nothing about the file.
    if (!bytes && fs::is_regular_file(files.PathOf(id), error)) return std::nullopt;
    const bool sound{bytes && IsNamed(id, *bytes)};
    LOCK(m_mutex);
    if (!sound) {
        m_state->DropDamaged(id, GetTime());
        return std::nullopt;
    }
    m_state->SetChecked(id, GetTime());
    return bytes;
}

const ObjectFiles* Manager::FilesOf(const ObjectId& id) const
{
    const ObjectFiles* files{nullptr};
    bool unchecked{false};
    {
        LOCK(m_mutex);
        files = m_state->Holder(id);
        unchecked = files && files->IsUnchecked(id);
    }
    return unchecked && !ReadWhole(*files, id) ? nullptr : files;
}

std::optional<uint64_t> Manager::ObjectSize(ObjectKind kind, const uint256& hash) const
{
    const ObjectId id{kind, hash};
    if (const auto* files{FilesOf(id)}) return WITH_LOCK(m_mutex, return files->Size(id));
    if (kind != ObjectKind::BODY) return std::nullopt;
    const auto body{BodyFromChain(hash)};
    if (!body) return std::nullopt;
    return body->size();
}

std::optional<Bytes> Manager::ReadObject(ObjectKind kind, const uint256& hash, uint64_t offset, uint64_t length) const
{
    const ObjectId id{kind, hash};
    if (const auto* files{FilesOf(id)}) return offset == 0 && length == WHOLE ? ReadWhole(*files, id) : files->ReadFile(id, offset, length);
    if (kind != ObjectKind::BODY) return std::nullopt;
    const auto body{BodyFromChain(hash)};
    if (!body || offset > body->size()) return std::nullopt;
    const auto end{offset + std::min<uint64_t>(length, body->size() - offset)};
    return Bytes(body->begin() + offset, body->begin() + end);
}

std::optional<ObjectKind> Manager::KindOfRoot(const uint256& root) const
{
    LOCK(m_mutex);
    for (const auto kind : {ObjectKind::WEIGHTS, ObjectKind::MODEL, ObjectKind::SHARD}) {
        if (m_state->Holder({kind, root})) return kind;
    }
    return std::nullopt;
}

} // namespace podl
