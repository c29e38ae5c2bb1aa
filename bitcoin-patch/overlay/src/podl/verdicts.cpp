// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/verdicts.h>

#include <tinyformat.h>

#include <algorithm>
#include <utility>

namespace podl {

std::string Describe(const Verdict& verdict)
{
    return strprintf("%s on %s counted %u (rank sum %u)", verdict.evaluator, verdict.device, verdict.count, verdict.rank_sum);
}

Verdicts::Verdicts(std::map<VerdictKey, StoredVerdict> verdicts, std::set<VerdictKey> conflicts)
    : m_verdicts{std::move(verdicts)}, m_conflicts{std::move(conflicts)}
{
    for (const auto& [_, stored] : m_verdicts) Credit(stored);
}

void Verdicts::Credit(const StoredVerdict& stored)
{
    auto& view{m_evaluators[{stored.verdict.evaluator, stored.verdict.device}]};
    view.name = stored.verdict.evaluator;
    view.device = stored.verdict.device;
    view.verdicts++;
    view.last = std::max(view.last, stored.time);
}

Verdicts::Relation Verdicts::Compare(const VerdictKey& key, const Verdict& verdict) const
{
    const auto* known{Find(key)};
    if (!known) return Relation::FIRST;
    const bool same{known->verdict.count == verdict.count && known->verdict.rank_sum == verdict.rank_sum};
    return same ? Relation::SAME : Relation::DIFFERENT;
}

void Verdicts::Add(const VerdictKey& key, StoredVerdict verdict)
{
    Credit(verdict);
    m_verdicts.emplace(key, std::move(verdict));
}

const StoredVerdict* Verdicts::Find(const VerdictKey& key) const
{
    const auto it{m_verdicts.find(key)};
    return it == m_verdicts.end() ? nullptr : &it->second;
}

std::optional<Measured> Verdicts::Trusted(const VerdictKey& key) const
{
    const auto* known{Find(key)};
    if (!known || InConflict(key)) return std::nullopt;
    return Measured{known->verdict.count, known->verdict.rank_sum};
}

std::vector<EvaluatorView> Verdicts::Evaluators() const
{
    std::vector<EvaluatorView> views;
    for (const auto& [_, view] : m_evaluators) views.push_back(view);
    return views;
}

} // namespace podl
