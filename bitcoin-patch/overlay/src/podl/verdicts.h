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

/** Who a verdict came from. */
VerdictSource SourceOf(const Verdict& verdict);

/**
 * What evaluators measured. The first verdict for a key stands; the first equal one of the other source is kept
 * beside it, for nodes that build on it too. Not thread-safe.
 */
class Verdicts
{
public:
    using Table = std::map<VerdictKey, StoredVerdict>;
    enum class Relation {
        FIRST,     //!< nothing is known of the key
        CONFIRMS,  //!< the same as a verdict of the other source, and the first of its own
        SAME,      //!< nothing new
        DIFFERENT,
    };

    explicit Verdicts(EvaluatorMode mode, Table verdicts = {}, Table confirmations = {}, std::set<VerdictKey> conflicts = {});

    /** How a verdict compares with what is known. */
    Relation Compare(const VerdictKey& key, const Verdict& verdict) const;
    void Add(const VerdictKey& key, StoredVerdict verdict);
    void AddConfirmation(const VerdictKey& key, StoredVerdict verdict);
    void AddConflict(const VerdictKey& key) { m_conflicts.insert(key); }
    /** Count an evaluator's verdict for getpodlinfo. */
    void Credit(const StoredVerdict& stored);
    /** Show an evaluator that has measured nothing yet. */
    void Introduce(const std::string& name, const std::string& device);

    bool InConflict(const VerdictKey& key) const { return m_conflicts.contains(key); }
    const std::set<VerdictKey>& Conflicts() const { return m_conflicts; }
    const StoredVerdict* Find(const VerdictKey& key) const;
    /** Count and rank sum; nullopt while unknown, in conflict or without a verdict that the mode asks for: nothing may be built on them. */
    std::optional<Measured> Trusted(const VerdictKey& key) const;
    /** Whether nothing is left to measure. */
    bool Settled(const VerdictKey& key) const { return InConflict(key) || Trusted(key); }
    /** Whether a verdict of this source would help. */
    bool Wants(const VerdictKey& key, VerdictSource source) const { return !Settled(key) && !Has(key, source); }

    std::vector<EvaluatorView> Evaluators() const;

private:
    EvaluatorMode m_mode;
    Table m_verdicts;
    Table m_confirmations;
    std::set<VerdictKey> m_conflicts;
    std::map<std::pair<std::string, std::string>, EvaluatorView> m_evaluators; //!< by name and device

    bool Has(const VerdictKey& key, VerdictSource source) const;
    EvaluatorView& ViewOf(const std::string& name, const std::string& device);
};

} // namespace podl

#endif // BITCOIN_PODL_VERDICTS_H
