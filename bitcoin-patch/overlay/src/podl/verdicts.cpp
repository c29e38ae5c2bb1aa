// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/verdicts.h>

#include <tinyformat.h>

#include <algorithm>
#include <array>
#include <utility>

namespace podl {

std::string Describe(const Verdict& verdict)
{
    return strprintf("%s on %s counted %u (rank sum %u)", verdict.evaluator, verdict.device, verdict.count, verdict.rank_sum);
}

VerdictSource SourceOf(const Verdict& verdict)
{
    return verdict.evaluator == INTERNAL_EVALUATOR ? VerdictSource::INTERNAL : VerdictSource::RPC;
}

Verdicts::Verdicts(EvaluatorMode mode, Table verdicts, Table confirmations, std::set<VerdictKey> conflicts)
    : m_mode{mode}, m_verdicts{std::move(verdicts)}, m_confirmations{std::move(confirmations)}, m_conflicts{std::move(conflicts)}
{
    for (const auto* table : {&m_verdicts, &m_confirmations}) {
        for (const auto& [_, stored] : *table) Credit(stored);
    }
}

EvaluatorView& Verdicts::ViewOf(const std::string& name, const std::string& device)
{
    auto& view{m_evaluators[{name, device}]};
    view.name = name;
    view.device = device;
    return view;
}

void Verdicts::Credit(const StoredVerdict& stored)
{
    auto& view{ViewOf(stored.verdict.evaluator, stored.verdict.device)};
    view.verdicts++;
    view.last = std::max(view.last, stored.time);
}

void Verdicts::Introduce(const std::string& name, const std::string& device)
{
    ViewOf(name, device);
}

Verdicts::Relation Verdicts::Compare(const VerdictKey& key, const Verdict& verdict) const
{
    const auto* known{Find(key)};
    if (!known) return Relation::FIRST;
    if (known->verdict.count != verdict.count || known->verdict.rank_sum != verdict.rank_sum) return Relation::DIFFERENT;
    return Has(key, SourceOf(verdict)) ? Relation::SAME : Relation::CONFIRMS;
}

void Verdicts::Add(const VerdictKey& key, StoredVerdict verdict)
{
    Credit(verdict);
    m_verdicts.emplace(key, std::move(verdict));
}

void Verdicts::AddConfirmation(const VerdictKey& key, StoredVerdict verdict)
{
    Credit(verdict);
    m_confirmations.emplace(key, std::move(verdict));
}

bool Verdicts::Has(const VerdictKey& key, VerdictSource source) const
{
    return std::ranges::any_of(std::array{&m_verdicts, &m_confirmations}, [&](const Table* table) {
        const auto it{table->find(key)};
        return it != table->end() && SourceOf(it->second.verdict) == source;
    });
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
    const bool needs_own{m_mode == EvaluatorMode::INTERNAL || m_mode == EvaluatorMode::BOTH};
    const bool needs_rpc{m_mode == EvaluatorMode::SIDECAR || m_mode == EvaluatorMode::BOTH};
    if ((needs_own && !Has(key, VerdictSource::INTERNAL)) || (needs_rpc && !Has(key, VerdictSource::RPC))) return std::nullopt;
    return Measured{known->verdict.count, known->verdict.rank_sum};
}

std::vector<EvaluatorView> Verdicts::Evaluators() const
{
    std::vector<EvaluatorView> views;
    for (const auto& [_, view] : m_evaluators) views.push_back(view);
    return views;
}

} // namespace podl
