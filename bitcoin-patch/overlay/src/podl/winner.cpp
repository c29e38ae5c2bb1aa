// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/winner.h>

#include <algorithm>
#include <functional>
#include <tuple>

namespace podl {
namespace {

/** Sorts the best candidate first; both must be measured. */
bool RanksBefore(const RankedCandidate& a, const RankedCandidate& b)
{
    return std::make_tuple(b.measured->count, a.measured->rank_sum, a.position) <
           std::make_tuple(a.measured->count, b.measured->rank_sum, b.position);
}

} // namespace

bool RankedCandidate::Verified() const
{
    return measured && std::ranges::find(claims, measured->count) != claims.end();
}

uint32_t RankedCandidate::TopClaim() const
{
    return claims.empty() ? 0 : claims.front();
}

bool AddClaim(std::vector<uint32_t>& claims, uint32_t claim)
{
    const auto at{std::ranges::lower_bound(claims, claim, std::greater{})};
    if (at != claims.end() && *at == claim) return false;
    if (at == claims.end() && claims.size() >= MAX_CLAIMS) return false;
    claims.insert(at, claim);
    if (claims.size() > MAX_CLAIMS) claims.pop_back();
    return true;
}

std::optional<size_t> Winner(std::span<const RankedCandidate> candidates)
{
    std::optional<size_t> best;
    for (size_t i{0}; i < candidates.size(); ++i) {
        if (!candidates[i].Verified()) continue;
        if (!best || RanksBefore(candidates[i], candidates[*best])) best = i;
    }
    return best;
}

std::vector<size_t> EvaluationOrder(std::span<const RankedCandidate> candidates)
{
    const auto best{Winner(candidates)};
    const uint32_t threshold{best ? candidates[*best].measured->count : 0};
    std::vector<size_t> order;
    for (size_t i{0}; i < candidates.size(); ++i) {
        const auto& candidate{candidates[i]};
        if (candidate.measured || candidate.claims.empty() || candidate.TopClaim() < threshold) continue;
        order.push_back(i);
    }
    std::ranges::sort(order, [&](size_t a, size_t b) {
        return std::make_tuple(candidates[b].TopClaim(), candidates[a].position) <
               std::make_tuple(candidates[a].TopClaim(), candidates[b].position);
    });
    return order;
}

bool IsPlausible(const Measured& measured, uint32_t n, uint16_t classes)
{
    if (measured.count > n) return false;
    // A correct answer has rank 0; a wrong one at least 1 and at most classes - 1.
    const uint64_t wrong{n - measured.count};
    return measured.rank_sum >= wrong && measured.rank_sum <= wrong * (classes - 1);
}

uint64_t AccuracyWork(uint32_t n, uint32_t correct)
{
    // Below 2^56: no overflow for any n of 32 bits.
    return (uint64_t{n} << 24) / (uint64_t{n} - correct + 1);
}

} // namespace podl
