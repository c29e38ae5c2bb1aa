// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_FINAL_CHECK_H
#define BITCOIN_PODL_FINAL_CHECK_H

#include <podl/disclosure.h>
#include <podl/entry.h>
#include <podl/result.h>
#include <podl/task.h>

#include <primitives/block.h>
#include <uint256.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace podl {

/** What a candidate of an open height is checked against. Points into the schedule; do not keep. */
struct Round {
    uint256 chain_id;
    const TaskRecord& task; //!< in force at this height
    uint32_t height;
    uint256 opening_release_id; //!< what openings of this height must name
    uint256 release_id;         //!< the latest attempt
    uint64_t release_time;
    const Release& release;

    /** Position of a block hash in the release's list. */
    std::optional<uint32_t> Position(const uint256& block_hash) const;
};

/** Models of the accepted finals: which roots are used up and which are admissible as parents. */
class ModelHistory
{
    std::set<uint256> m_used;
    //! Model root to (task id, architecture).
    std::map<uint256, std::pair<uint256, uint8_t>> m_models;

public:
    void Add(const Opening& opening, uint8_t architecture);
    /** Take back what Add() has done. */
    void Remove(const Opening& opening);
    /** Whether an accepted final has this weights or model root. */
    bool IsUsed(const uint256& root) const { return m_used.contains(root); }
    /** Whether a recipe may name this parent: zero, or a model of this task with the same architecture. */
    bool IsParent(const uint256& parent, const uint256& task_id, uint8_t architecture) const;
};

/** Whether the release lists the header and the header fits the release: podl-not-committed, podl-commit-prev, podl-commit-time (LATER). */
Result<void> CheckListed(const Round& round, const CBlockHeader& header);

/**
 * Opening, recipe, payout script, parent, fresh roots and signed claim of a candidate whose header is listed.
 *
 * @returns the first broken rule, as DATA
 */
Result<void> CheckDisclosure(const Round& round, const ModelHistory& models, const Disclosure& disclosure, const SignedClaim& claim);

/** Everything about a final that is not grammar: podl-final-invalid (EVIDENCE), with the broken rule as detail. */
Result<void> CheckFinal(const Round& round, const ModelHistory& models, const Final& final);

} // namespace podl

#endif // BITCOIN_PODL_FINAL_CHECK_H
