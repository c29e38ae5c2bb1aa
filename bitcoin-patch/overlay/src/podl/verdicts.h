// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_VERDICTS_H
#define BITCOIN_PODL_VERDICTS_H

#include <podl/store.h>
#include <podl/views.h>
#include <podl/winner.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace podl {

/** Who measured what, for people. */
std::string Describe(const Verdict& verdict);

/** What evaluators measured. The first verdict for a key stands. Not thread-safe. */
class Verdicts
{
public:
    enum class Relation { FIRST, SAME, DIFFERENT };

    Verdicts() = default;
    Verdicts(std::map<VerdictKey, StoredVerdict> verdicts, std::set<VerdictKey> conflicts);

    /** How a verdict compares with what is known. */
    Relation Compare(const VerdictKey& key, const Verdict& verdict) const;
    void Add(const VerdictKey& key, StoredVerdict verdict);
    void AddConflict(const VerdictKey& key) { m_conflicts.insert(key); }
    /** Count an evaluator's verdict for getpodlinfo. */
    void Credit(const StoredVerdict& stored);

    bool InConflict(const VerdictKey& key) const { return m_conflicts.contains(key); }
    const std::set<VerdictKey>& Conflicts() const { return m_conflicts; }
    const StoredVerdict* Find(const VerdictKey& key) const;
    /** Count and rank sum; nullopt while unknown or in conflict, when nothing may be built on them. */
    std::optional<Measured> Trusted(const VerdictKey& key) const;

    std::vector<EvaluatorView> Evaluators() const;

private:
    std::map<VerdictKey, StoredVerdict> m_verdicts;
    std::set<VerdictKey> m_conflicts;
    std::map<std::pair<std::string, std::string>, EvaluatorView> m_evaluators; //!< by name and device
};

} // namespace podl

#endif // BITCOIN_PODL_VERDICTS_H
