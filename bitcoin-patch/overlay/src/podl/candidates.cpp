// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/candidates.h>

#include <algorithm>
#include <cassert>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

namespace podl {
namespace {

std::vector<uint32_t> ClaimsOf(const Candidate& candidate)
{
    std::vector<uint32_t> claims;
    for (const auto& reveal : candidate.reveals) claims.push_back(reveal.claim.claim);
    return claims;
}

/** A verdict makes a candidate only together with sound body and weights; it breaks one by itself. */
RankedCandidate Rank(const Candidate& candidate)
{
    const auto& facts{candidate.facts};
    RankedCandidate ranked{candidate.position, ClaimsOf(candidate), facts.measured};
    if (ranked.Verified() && !(facts.body && facts.weights)) ranked.measured.reset();
    return ranked;
}

std::vector<RankedCandidate> RankAll(const std::vector<const Candidate*>& candidates)
{
    std::vector<RankedCandidate> ranked;
    for (const auto* candidate : candidates) ranked.push_back(Rank(*candidate));
    return ranked;
}

CandidateState StateOf(const Candidate& candidate, bool needed, bool shard)
{
    const auto& facts{candidate.facts};
    if (!facts.fault.empty()) return CandidateState::INVALID;
    const auto ranked{Rank(candidate)};
    if (ranked.measured) return ranked.Verified() ? CandidateState::VALID : CandidateState::FALSE_CLAIM;
    if (!needed) return CandidateState::NOT_NEEDED;
    if (!facts.body) return CandidateState::WAITING_BODY;
    if (!facts.weights) return CandidateState::WAITING_WEIGHTS;
    return shard ? CandidateState::WAITING_VERDICT : CandidateState::WAITING_SHARD;
}

} // namespace

std::string StateName(CandidateState state)
{
    switch (state) {
    case CandidateState::WAITING_BODY: return "waiting-body";
    case CandidateState::WAITING_WEIGHTS: return "waiting-weights";
    case CandidateState::WAITING_SHARD: return "waiting-shard";
    case CandidateState::WAITING_VERDICT: return "waiting-verdict";
    case CandidateState::NOT_NEEDED: return "not-needed";
    case CandidateState::VALID: return "valid";
    case CandidateState::FALSE_CLAIM: return "false-claim";
    case CandidateState::INVALID: return "invalid";
    } // no default case, so the compiler can warn about missing cases
    assert(false);
}

void CandidateTable::Open(const uint256& release_id)
{
    m_release_id = release_id;
    m_candidates.clear();
}

CandidateTable::Added CandidateTable::Outlook(uint32_t position, uint32_t claim) const
{
    const auto it{m_candidates.find(position)};
    if (it == m_candidates.end()) return Added::KEPT;
    auto claims{ClaimsOf(it->second)};
    if (std::ranges::find(claims, claim) != claims.end()) return Added::DUPLICATE;
    if (!AddClaim(claims, claim)) return Added::LOWER;
    return it->second.taken < MAX_TAKEN ? Added::KEPT : Added::SPENT;
}

CandidateTable::Added CandidateTable::Add(Reveal reveal, uint32_t position, std::optional<uint256>& dropped)
{
    if (const auto outlook{Outlook(position, reveal.claim.claim)}; outlook != Added::KEPT) return outlook;
    auto& candidate{m_candidates[position]};
    auto claims{ClaimsOf(candidate)};
    AddClaim(claims, reveal.claim.claim);
    ++candidate.taken;
    candidate.hash = reveal.BlockHash();
    candidate.position = position;
    candidate.disclosure = reveal.disclosure;
    const auto at{std::ranges::find(claims, reveal.claim.claim)};
    candidate.reveals.insert(candidate.reveals.begin() + std::distance(claims.begin(), at), std::move(reveal));
    if (candidate.reveals.size() > claims.size()) {
        dropped = candidate.reveals.back().id;
        candidate.reveals.pop_back();
    }
    return Added::KEPT;
}

const Candidate* CandidateTable::Find(const uint256& hash) const
{
    const auto it{std::ranges::find_if(m_candidates, [&](const auto& item) { return item.second.hash == hash; })};
    return it == m_candidates.end() ? nullptr : &it->second;
}

const Reveal* CandidateTable::FindReveal(const uint256& reveal_id) const
{
    for (const auto& [_, candidate] : m_candidates) {
        const auto it{std::ranges::find(candidate.reveals, reveal_id, &Reveal::id)};
        if (it != candidate.reveals.end()) return &*it;
    }
    return nullptr;
}

std::vector<const Candidate*> CandidateTable::Sound() const
{
    std::vector<const Candidate*> sound;
    for (const auto& [_, candidate] : m_candidates) {
        if (candidate.facts.fault.empty()) sound.push_back(&candidate);
    }
    return sound;
}

std::vector<const Candidate*> CandidateTable::Order() const
{
    const auto sound{Sound()};
    std::vector<const Candidate*> order;
    for (const size_t i : EvaluationOrder(RankAll(sound))) order.push_back(sound[i]);
    return order;
}

std::vector<const Candidate*> CandidateTable::Ranking() const
{
    auto rest{Sound()};
    std::vector<const Candidate*> ranking;
    while (const auto best{Winner(RankAll(rest))}) {
        ranking.push_back(rest[*best]);
        rest.erase(rest.begin() + *best);
    }
    return ranking;
}

std::vector<const Candidate*> CandidateTable::Spare() const
{
    auto spare{Sound()};
    std::erase_if(spare, [](const Candidate* candidate) { return candidate->state != CandidateState::NOT_NEEDED; });
    std::ranges::stable_sort(spare, std::greater{}, [](const Candidate* candidate) { return candidate->reveals.front().claim.claim; });
    return spare;
}

std::vector<uint256> CandidateTable::Judge(const std::function<CandidateFacts(const Candidate&)>& facts, bool shard)
{
    std::set<uint32_t> changed;
    for (auto& [position, candidate] : m_candidates) {
        auto now{facts(candidate)};
        if (now != candidate.facts) changed.insert(position);
        candidate.facts = std::move(now);
    }
    const auto order{Order()};
    std::vector<uint256> hashes;
    for (auto& [position, candidate] : m_candidates) {
        const bool needed{std::ranges::find(order, &candidate) != order.end()};
        const auto state{StateOf(candidate, needed, shard)};
        if (state != candidate.state) changed.insert(position);
        candidate.state = state;
        if (changed.contains(position)) hashes.push_back(candidate.hash);
    }
    return hashes;
}

} // namespace podl
