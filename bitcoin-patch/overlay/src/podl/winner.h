// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_WINNER_H
#define BITCOIN_PODL_WINNER_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/** Rank of a height's candidates (protocol section 6): pure functions of the message set. */
namespace podl {

/** What an evaluator measured. */
struct Measured {
    uint32_t count{0};    //!< correctly classified samples
    uint64_t rank_sum{0}; //!< lower is better

    friend bool operator==(const Measured&, const Measured&) = default;
};

/** A listed header that is valid in all but its claims. */
struct RankedCandidate {
    uint32_t position{0};              //!< in the release's list
    std::vector<uint32_t> claims;      //!< signed claims, distinct, highest first
    std::optional<Measured> measured;  //!< nullopt: unknown so far

    /** A signed claim equals the measured count. */
    bool Verified() const;
    /** Highest claim; 0 without claims. */
    uint32_t TopClaim() const;
};

/** Claims kept per header. */
inline constexpr size_t MAX_CLAIMS{2};

/**
 * Keep the highest distinct claims of a header, sorted from the highest down.
 *
 * @returns whether the claim is new and kept
 */
bool AddClaim(std::vector<uint32_t>& claims, uint32_t claim);

/** Index of the best verified candidate: highest count, then lowest rank sum, then position. */
std::optional<size_t> Winner(std::span<const RankedCandidate> candidates);

/**
 * Indices of the candidates that still have to be evaluated, in the order in which they should be.
 *
 * Empty once every unverified claim is lower than the best verified count: Winner() is then decided.
 */
std::vector<size_t> EvaluationOrder(std::span<const RankedCandidate> candidates);

/** Whether count and rank sum can belong to n samples of this many classes. */
bool IsPlausible(const Measured& measured, uint32_t n, uint16_t classes);

/** Accuracy work of one block, floor(2^24 * n / (n - correct + 1)): reported, never sorted by. */
uint64_t AccuracyWork(uint32_t n, uint32_t correct);

} // namespace podl

#endif // BITCOIN_PODL_WINNER_H
