// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/object_check.h>

#include <consensus/consensus.h>
#include <podl/coinbase.h>
#include <podl/data_checks.h>
#include <podl/merkle.h>
#include <primitives/block.h>
#include <primitives/transaction.h>
#include <streams.h>
#include <tinyformat.h>
#include <validation.h>

#include <algorithm>
#include <cassert>
#include <ios>
#include <utility>

namespace podl {
namespace {

/** What is wrong with a body; null if nothing is. */
const char* BodyProblem(const uint256& hash, std::span<const unsigned char> bytes)
{
    const auto block{ParseBody(bytes)};
    if (!block) return "no block";
    if (block->GetHash() != hash) return "another header";
    const bool mutated{block->vtx.empty() || IsBlockMutated(*block, /*check_witness_root=*/true)};
    return mutated ? "the transactions or witnesses are not the header's" : nullptr;
}

/** The bytes are the named ones: weights, model, shard. */
std::optional<Reject> CheckRoot(const ObjectContext& context, std::span<const unsigned char> bytes)
{
    const bool expected{std::ranges::any_of(context.namers, [&](const auto& namer) { return ExpectedSize(context, namer) == bytes.size(); })};
    if (IsNamed(context.id, bytes)) return std::nullopt;
    if (expected) return Reject{FailureClass::DATA, "podl-data-root", "the Merkle root differs"};
    return Reject{FailureClass::DATA, "podl-data-size", strprintf("%u bytes do not fit", bytes.size())};
}

Result<void> CheckUse(const ObjectContext& context, const ObjectNamer& namer, std::span<const unsigned char> bytes)
{
    const auto count{static_cast<uint32_t>(namer.count)};
    switch (context.id.kind) {
    case ObjectKind::WEIGHTS: return CheckWeightBytes(bytes, count);
    case ObjectKind::MODEL: return CheckModelBytes(bytes, count);
    case ObjectKind::SHARD: return CheckShardBytes(bytes, context.task, count);
    case ObjectKind::BODY: return CheckCoinbase(*ParseBody(bytes)->vtx.at(0), namer.payout);
    } // no default case, so the compiler can warn about missing cases
    assert(false);
}

std::optional<Reject> CheckBody(const ObjectContext& context, std::span<const unsigned char> bytes)
{
    if (bytes.size() > MAX_BLOCK_SERIALIZED_SIZE) {
        return Reject{FailureClass::DATA, "podl-data-size", strprintf("%u bytes, a block has at most %u", bytes.size(), MAX_BLOCK_SERIALIZED_SIZE)};
    }
    const char* problem{BodyProblem(context.id.hash, bytes)};
    if (!problem) return std::nullopt;
    return Reject{FailureClass::DATA, "podl-body-mismatch", problem};
}

} // namespace

std::shared_ptr<const CBlock> ParseBody(std::span<const unsigned char> bytes)
{
    try {
        SpanReader reader{bytes};
        auto block{std::make_shared<CBlock>()};
        reader >> TX_WITH_WITNESS(*block);
        if (!reader.empty()) return nullptr;
        return block;
    } catch (const std::ios_base::failure&) {
        return nullptr;
    }
}

bool IsNamed(const ObjectId& id, std::span<const unsigned char> bytes)
{
    if (id.kind == ObjectKind::BODY) return !BodyProblem(id.hash, bytes);
    return !bytes.empty() && DataRoot(bytes) == id.hash;
}

uint64_t ExpectedSize(const ObjectContext& context, const ObjectNamer& namer)
{
    switch (context.id.kind) {
    case ObjectKind::BODY: return MAX_BLOCK_SERIALIZED_SIZE;
    case ObjectKind::WEIGHTS: return namer.count * WEIGHT_BYTES;
    case ObjectKind::MODEL: return namer.count * MODEL_BYTES;
    case ObjectKind::SHARD: return context.task.DataSize(static_cast<uint32_t>(namer.count));
    } // no default case, so the compiler can warn about missing cases
    assert(false);
}

ObjectFindings CheckObject(const ObjectContext& context, std::span<const unsigned char> bytes)
{
    ObjectFindings findings;
    findings.reject = context.id.kind == ObjectKind::BODY ? CheckBody(context, bytes) : CheckRoot(context, bytes);
    if (findings.reject) return findings;
    for (const auto& namer : context.namers) {
        const auto use{CheckUse(context, namer, bytes)};
        if (!use) findings.faults.push_back({namer, use.error().reason});
    }
    if (findings.faults.size() == context.namers.size()) {
        findings.reject = Reject{FailureClass::PERM, findings.faults.front().reason, "the named bytes break a rule"};
    }
    return findings;
}

} // namespace podl
