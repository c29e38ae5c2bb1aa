// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_GATE_H
#define BITCOIN_PODL_GATE_H

#include <chain.h>
#include <consensus/validation.h>
#include <kernel/cs_main.h>
#include <sync.h>
#include <uint256.h>

#include <cassert>
#include <vector>

namespace podl {

/** What the requester's schedule says about a PoDL header. */
enum class HeaderStatus {
    ADMIT,     //!< the header of its height's current final
    NOT_YET,   //!< no final is known for that height
    NOT_FINAL, //!< the final names another header
};

/**
 * What validation asks of the PoDL manager (protocol section 6).
 *
 * Both calls happen with cs_main held: an implementation may take only innermost locks,
 * must not block and must not call back into validation.
 */
class BlockGate
{
public:
    virtual ~BlockGate() = default;

    /** Whether the header may enter the block index. */
    virtual HeaderStatus CheckHeader(const uint256& hash, const CBlockIndex& prev) = 0;

    /** Whether the block may be connected now; false holds it as a candidate. */
    virtual bool MayConnect(const CBlockIndex& index) EXCLUSIVE_LOCKS_REQUIRED(::cs_main) = 0;
};

/**
 * Ask the gate about a new PoDL header; without a gate every one is refused.
 *
 * BLOCK_HEADER_LOW_WORK is the only result that no peer is punished for: what a node knows of
 * the schedule is not its peers' fault.
 *
 * @param[in,out] state  set to the reason when the header is refused
 * @returns whether the header may enter the block index
 */
inline bool AdmitHeader(BlockGate* gate, const uint256& hash, const CBlockIndex& prev, BlockValidationState& state)
{
    switch (gate ? gate->CheckHeader(hash, prev) : HeaderStatus::NOT_YET) {
    case HeaderStatus::ADMIT:
        return true;
    case HeaderStatus::NOT_YET:
        return state.Invalid(BlockValidationResult::BLOCK_HEADER_LOW_WORK, "podl-final-missing", "no final is known for this height");
    case HeaderStatus::NOT_FINAL:
        return state.Invalid(BlockValidationResult::BLOCK_HEADER_LOW_WORK, "podl-not-final", "the final of this height names another header or is void");
    } // no default case, so the compiler can warn about missing cases
    assert(false);
}

/**
 * Whether the path from the active chain to the candidate holds a block that may not be connected yet.
 *
 * @param[in,out] held  lowest held block of each branch met so far; makes the descendants of a held
 *                      block cost one ancestor look-up each instead of a walk
 */
inline bool DescendsFromHeld(BlockGate* gate, const CBlockIndex& candidate, const CChain& chain, std::vector<const CBlockIndex*>& held)
    EXCLUSIVE_LOCKS_REQUIRED(::cs_main)
{
    if (!gate) return false;
    for (const CBlockIndex* block : held) {
        if (candidate.GetAncestor(block->nHeight) == block) return true;
    }
    const CBlockIndex* fork{chain.FindFork(candidate)};
    for (int height{fork ? fork->nHeight + 1 : 0}; height <= candidate.nHeight; ++height) {
        const CBlockIndex* block{candidate.GetAncestor(height)};
        if (!CBlockHeader::IsPodlVersion(block->nVersion) || gate->MayConnect(*block)) continue;
        held.push_back(block);
        return true;
    }
    return false;
}

} // namespace podl

#endif // BITCOIN_PODL_GATE_H
