// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/candidates.h>
#include <podl/objects.h>
#include <podl/pool.h>
#include <podl/verdicts.h>

#include <test/util/setup_common.h>

#include <boost/test/unit_test.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace podl;

namespace {

struct TableSetup : BasicTestingSetup {
    CandidateTable m_table;
    std::map<uint32_t, CandidateFacts> m_facts; //!< by position

    TableSetup()
    {
        CBlockHeader::s_podl_headers = true;
        m_table.Open(m_rng.rand256());
    }
    ~TableSetup() { CBlockHeader::s_podl_headers = false; }

    static Reveal MakeReveal(uint32_t position, uint32_t claim)
    {
        Reveal reveal;
        reveal.disclosure.header.nVersion = 0x40000000;
        reveal.disclosure.header.nNonce = position;
        reveal.claim.claim = claim;
        reveal.id = uint256{static_cast<uint8_t>(10 * position + claim)};
        return reveal;
    }

    CandidateTable::Added Add(uint32_t position, uint32_t claim)
    {
        m_dropped.reset();
        return m_table.Add(MakeReveal(position, claim), position, m_dropped);
    }

    /** States by position after bringing the table up to date. */
    std::vector<std::string> Judged(bool shard = true)
    {
        m_changed = m_table.Judge([&](const Candidate& candidate) { return m_facts[candidate.position]; }, shard);
        std::vector<std::string> states;
        for (const auto& [_, candidate] : m_table.ByPosition()) states.push_back(StateName(candidate.state));
        return states;
    }

    std::optional<uint256> m_dropped;
    std::vector<uint256> m_changed;
};

using Names = std::vector<std::string>;

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_pool_tests, TableSetup)

BOOST_AUTO_TEST_CASE(pool_is_for_one_block)
{
    CommitmentPool pool;
    const uint256 prev{m_rng.rand256()}, other{m_rng.rand256()}, first{m_rng.rand256()}, second{m_rng.rand256()};
    BOOST_CHECK(pool.Open(10, prev));
    pool.Add({first, {1}, 5});
    pool.Add({second, {2}, 4});
    pool.Add({first, {3}, 6});
    BOOST_REQUIRE_EQUAL(pool.Size(), 2U);
    BOOST_CHECK(pool.All()[0].hash == first && pool.All()[0].bytes == Bytes{1} && pool.All()[1].hash == second);
    BOOST_CHECK(pool.Find(second)->time == 4 && !pool.Find(other));
    BOOST_CHECK(!pool.Open(10, prev));
    BOOST_CHECK_EQUAL(pool.Size(), 2U);
    BOOST_CHECK(pool.Open(10, other));
    BOOST_CHECK(pool.Size() == 0 && !pool.Has(first));
    pool.Add({first, {1}, 5});
    BOOST_CHECK(pool.Open(11, other));
    BOOST_CHECK(pool.Size() == 0 && pool.IsFor(11, other));
}

BOOST_AUTO_TEST_CASE(two_highest_claims_are_kept)
{
    using Added = CandidateTable::Added;
    BOOST_CHECK(Add(0, 5) == Added::KEPT);
    BOOST_CHECK(Add(0, 5) == Added::DUPLICATE);
    BOOST_CHECK(Add(0, 3) == Added::KEPT);
    BOOST_CHECK(Add(0, 2) == Added::LOWER);
    BOOST_CHECK(!m_dropped && m_table.FindReveal(uint256{3}) && !m_table.FindReveal(uint256{2}));
    BOOST_CHECK(Add(0, 7) == Added::KEPT);
    BOOST_CHECK(m_dropped == uint256{3} && !m_table.FindReveal(uint256{3}));
    const auto& reveals{m_table.ByPosition().at(0).reveals};
    BOOST_REQUIRE_EQUAL(reveals.size(), 2U);
    BOOST_CHECK(reveals[0].claim.claim == 7 && reveals[1].claim.claim == 5);
    BOOST_CHECK(m_table.Find(MakeReveal(0, 1).BlockHash()) == &m_table.ByPosition().at(0));
    m_table.Open(uint256{});
    BOOST_CHECK(m_table.Size() == 0 && m_table.ReleaseId().IsNull());
}

BOOST_AUTO_TEST_CASE(rising_claims_come_to_an_end)
{
    using Added = CandidateTable::Added;
    for (uint32_t claim{0}; claim < CandidateTable::MAX_TAKEN; ++claim) BOOST_CHECK(Add(0, claim) == Added::KEPT);
    BOOST_CHECK(Add(0, CandidateTable::MAX_TAKEN) == Added::SPENT);
    BOOST_CHECK(Add(0, 0) == Added::LOWER);
    const auto& reveals{m_table.ByPosition().at(0).reveals};
    BOOST_REQUIRE_EQUAL(reveals.size(), 2U);
    BOOST_CHECK_EQUAL(reveals[0].claim.claim, CandidateTable::MAX_TAKEN - 1);
    // Another header, and the same one in the next attempt, are not concerned.
    BOOST_CHECK(Add(1, 9) == Added::KEPT);
    m_table.Open(uint256::ONE);
    BOOST_CHECK(m_table.Outlook(0, 9) == Added::KEPT && m_table.Size() == 0);
}

BOOST_AUTO_TEST_CASE(states_of_one_candidate)
{
    Add(0, 50);
    BOOST_CHECK(Judged() == Names({"waiting-body"}));
    BOOST_CHECK(m_changed.empty());
    m_facts[0].body = true;
    BOOST_CHECK(Judged() == Names({"waiting-weights"}));
    BOOST_CHECK_EQUAL(m_changed.size(), 1U);
    m_facts[0].weights = true;
    BOOST_CHECK(Judged(/*shard=*/false) == Names({"waiting-shard"}));
    BOOST_CHECK(Judged() == Names({"waiting-verdict"}));
    m_facts[0].measured = Measured{40, 24};
    BOOST_CHECK(Judged() == Names({"false-claim"}));
    // Its data are no longer needed, and not asked for again.
    m_facts[0].body = m_facts[0].weights = false;
    BOOST_CHECK(Judged() == Names({"false-claim"}));
    m_facts[0].body = m_facts[0].weights = true;
    // A true claim is not harmed by a false one.
    Add(0, 40);
    BOOST_CHECK(Judged() == Names({"valid"}));
    // A verdict is worth nothing without the block, or when the block is bad.
    m_facts[0].body = false;
    BOOST_CHECK(Judged() == Names({"waiting-body"}));
    BOOST_CHECK(m_table.Ranking().empty());
    m_facts[0] = {.fault = "podl-payout", .body = true, .weights = true, .measured = Measured{40, 24}};
    BOOST_CHECK(Judged() == Names({"invalid"}));
    BOOST_CHECK(m_table.Order().empty() && m_table.Ranking().empty());
}

BOOST_AUTO_TEST_CASE(stop_rule_and_ranking)
{
    const CandidateFacts ready{.body = true, .weights = true};
    for (const auto& [position, claim] : std::map<uint32_t, uint32_t>{{0, 40}, {1, 60}, {2, 50}, {3, 50}}) {
        Add(position, claim);
        m_facts[position] = ready;
    }
    BOOST_CHECK(Judged() == Names(4, "waiting-verdict"));
    std::vector<uint32_t> order;
    for (const auto* candidate : m_table.Order()) order.push_back(candidate->position);
    BOOST_CHECK(order == std::vector<uint32_t>({1, 2, 3, 0}));
    m_facts[1].measured = Measured{10, 54}; // the highest claim is false: nothing is decided
    BOOST_CHECK(Judged() == Names({"waiting-verdict", "false-claim", "waiting-verdict", "waiting-verdict"}));
    m_facts[3].measured = Measured{50, 14}; // an equal claim still matters, a lower one does not
    BOOST_CHECK(Judged() == Names({"not-needed", "false-claim", "waiting-verdict", "valid"}));
    m_facts[2].measured = Measured{50, 15};
    BOOST_CHECK(Judged() == Names({"not-needed", "false-claim", "valid", "valid"}));
    const auto ranking{m_table.Ranking()};
    BOOST_REQUIRE_EQUAL(ranking.size(), 2U);
    BOOST_CHECK(ranking[0]->position == 3 && ranking[1]->position == 2);
}

BOOST_AUTO_TEST_CASE(first_verdict_stands)
{
    const VerdictKey key{1, m_rng.rand256(), m_rng.rand256(), m_rng.rand256()};
    Verdicts verdicts{EvaluatorMode::SIDECAR};
    BOOST_CHECK(verdicts.Compare(key, {}) == Verdicts::Relation::FIRST);
    verdicts.Add(key, {{40, 24, "gpu", "one"}, 7});
    BOOST_CHECK(verdicts.Compare(key, {40, 24, "cpu", "two"}) == Verdicts::Relation::SAME);
    BOOST_CHECK(verdicts.Compare(key, {40, 25, "gpu", "one"}) == Verdicts::Relation::DIFFERENT);
    BOOST_CHECK(verdicts.Trusted(key) == (Measured{40, 24}));
    verdicts.Credit({{40, 24, "cpu", "two"}, 9});
    BOOST_REQUIRE_EQUAL(verdicts.Evaluators().size(), 2U);
    BOOST_CHECK(verdicts.Evaluators()[1].device == "cpu" && verdicts.Evaluators()[1].last == 9);
    verdicts.AddConflict(key);
    BOOST_CHECK(!verdicts.Trusted(key) && verdicts.Find(key));
}

BOOST_AUTO_TEST_CASE(whose_verdicts_are_built_on)
{
    using enum EvaluatorMode;
    const VerdictKey key{1, m_rng.rand256(), m_rng.rand256(), m_rng.rand256()};
    const StoredVerdict rpc{{40, 24, "gpu", "one"}, 7}, own{{40, 24, "cpu", INTERNAL_EVALUATOR}, 8};
    const auto trusts{[&](EvaluatorMode mode, const StoredVerdict& verdict) { return Verdicts{mode, {{key, verdict}}}.Trusted(key).has_value(); }};
    BOOST_CHECK(trusts(AUTO, rpc) && trusts(AUTO, own));
    BOOST_CHECK(trusts(SIDECAR, rpc) && !trusts(SIDECAR, own));
    BOOST_CHECK(!trusts(INTERNAL, rpc) && trusts(INTERNAL, own));
    BOOST_CHECK(!trusts(BOTH, rpc) && !trusts(BOTH, own));
    for (const auto mode : {AUTO, SIDECAR, INTERNAL, BOTH}) {
        for (const auto& [first, second] : {std::pair{rpc, own}, std::pair{own, rpc}}) {
            Verdicts verdicts{mode};
            BOOST_CHECK(verdicts.Wants(key, VerdictSource::RPC) && verdicts.Wants(key, VerdictSource::INTERNAL));
            verdicts.Add(key, first);
            BOOST_CHECK_EQUAL(verdicts.Wants(key, SourceOf(second.verdict)), !verdicts.Trusted(key));
            BOOST_CHECK(!verdicts.Wants(key, SourceOf(first.verdict)));
            BOOST_CHECK(verdicts.Compare(key, first.verdict) == Verdicts::Relation::SAME);
            BOOST_CHECK(verdicts.Compare(key, second.verdict) == Verdicts::Relation::CONFIRMS);
            verdicts.AddConfirmation(key, second);
            BOOST_CHECK(verdicts.Compare(key, second.verdict) == Verdicts::Relation::SAME);
            BOOST_CHECK(verdicts.Trusted(key) == (Measured{40, 24}));
            BOOST_CHECK_EQUAL(verdicts.Evaluators().size(), 2U);
            verdicts.AddConflict(key);
            BOOST_CHECK(!verdicts.Trusted(key) && verdicts.Settled(key));
        }
    }
}

BOOST_AUTO_TEST_CASE(pieces_in_bounded_memory)
{
    using Step = Assembly::Step;
    Assembly parts;
    std::optional<Bytes> whole;
    const ObjectId a{ObjectKind::MODEL, m_rng.rand256()}, b{ObjectKind::WEIGHTS, a.hash};
    const Bytes piece(4, 7);
    BOOST_CHECK(parts.Put(a, 10, 4, piece, 20, whole) == Step::UNKNOWN);
    BOOST_CHECK(parts.Put(a, 21, 0, piece, 20, whole) == Step::TOO_LARGE);
    BOOST_CHECK(parts.Put(a, 10, 0, piece, 20, whole) == Step::IN_ORDER);
    BOOST_CHECK(parts.Put(a, 10, 0, piece, 20, whole) == Step::IN_ORDER); // starts anew
    BOOST_CHECK(parts.Put(a, 11, 4, piece, 20, whole) == Step::OUT_OF_ORDER);
    BOOST_CHECK(parts.Put(a, 10, 8, piece, 20, whole) == Step::OUT_OF_ORDER);
    BOOST_CHECK(parts.Put(b, 10, 0, piece, 20, whole) == Step::IN_ORDER);
    BOOST_CHECK(parts.Put(a, 10, 4, piece, 20, whole) == Step::IN_ORDER);
    BOOST_CHECK(parts.Put(a, 10, 8, piece, 20, whole) == Step::OUT_OF_ORDER); // two bytes too many
    BOOST_CHECK_EQUAL(parts.Received(a), 8U);
    BOOST_CHECK(!whole);
    // Room for a third object comes from the one touched longest ago.
    const ObjectId c{ObjectKind::SHARD, a.hash};
    BOOST_CHECK(parts.Put(c, 5, 0, piece, 20, whole) == Step::IN_ORDER);
    BOOST_CHECK(parts.Received(a) == 8 && parts.Received(b) == 0);
    BOOST_CHECK(parts.Put(b, 10, 4, piece, 20, whole) == Step::UNKNOWN);
    BOOST_CHECK(parts.Put(a, 10, 8, Bytes(2, 9), 20, whole) == Step::IN_ORDER);
    BOOST_CHECK(whole == Bytes({7, 7, 7, 7, 7, 7, 7, 7, 9, 9}));
    BOOST_CHECK_EQUAL(parts.Received(a), 0U);
}

BOOST_AUTO_TEST_SUITE_END()
