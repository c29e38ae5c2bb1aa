// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/winner.h>

#include <random.h>
#include <test/podl_vectors.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

RankedCandidate Candidate(uint32_t position, std::vector<uint32_t> claims, std::optional<Measured> measured = std::nullopt)
{
    return {.position = position, .claims = std::move(claims), .measured = measured};
}

/** Candidates of few different numbers, so that ties are frequent. */
std::vector<RankedCandidate> RandomField(FastRandomContext& rng, size_t size, bool measured)
{
    std::vector<RankedCandidate> field;
    for (uint32_t i{0}; i < size; ++i) {
        RankedCandidate candidate{.position = i, .claims = {}, .measured = std::nullopt};
        for (int claim{0}; claim < 3; ++claim) AddClaim(candidate.claims, rng.randrange<uint32_t>(4));
        if (measured) candidate.measured = Measured{rng.randrange<uint32_t>(4), rng.randrange<uint64_t>(3)};
        field.push_back(candidate);
    }
    return field;
}

std::vector<uint32_t> Claims(const UniValue& list)
{
    std::vector<uint32_t> claims;
    for (const UniValue& claim : list.getValues()) claims.push_back(claim.getInt<uint32_t>());
    return claims;
}

/** What is kept of claims that arrive one after the other. */
std::vector<uint32_t> KeptOf(const UniValue& list)
{
    std::vector<uint32_t> kept;
    for (const uint32_t claim : Claims(list)) AddClaim(kept, claim);
    return kept;
}

/** List position of the winner; -1 without one. */
int64_t WinnersPosition(const std::vector<RankedCandidate>& field)
{
    const auto winner{Winner(field)};
    return winner ? int64_t{field[*winner].position} : -1;
}

std::vector<uint32_t> PositionsInOrder(const std::vector<RankedCandidate>& field)
{
    std::vector<uint32_t> positions;
    for (const size_t i : EvaluationOrder(field)) positions.push_back(field[i].position);
    return positions;
}

/** Evaluate the first in the order until nothing is left to evaluate. */
void CheckRound(const UniValue& round)
{
    std::vector<RankedCandidate> field;
    for (const UniValue& row : round["candidates"].getValues()) field.push_back(Candidate(row["position"].getInt<uint32_t>(), KeptOf(row["claims"])));
    for (const UniValue& order : round["orders"].getValues()) {
        BOOST_REQUIRE(PositionsInOrder(field) == Claims(order));
        const size_t next{EvaluationOrder(field).front()};
        const UniValue& truth{round["candidates"][next]};
        field[next].measured = Measured{truth["count"].getInt<uint32_t>(), truth["rank_sum"].getInt<uint64_t>()};
    }
    BOOST_CHECK(EvaluationOrder(field).empty());
    BOOST_CHECK_EQUAL(WinnersPosition(field), round["winner"].isNull() ? -1 : round["winner"].getInt<int64_t>());
}

} // namespace

BOOST_AUTO_TEST_SUITE(podl_winner_tests)

BOOST_AUTO_TEST_CASE(rounds)
{
    for (const UniValue& round : Cases(LoadVectors("winner.json"), "rounds")) {
        BOOST_TEST_CONTEXT(round["case"].get_str()) CheckRound(round);
    }
}

BOOST_AUTO_TEST_CASE(claims)
{
    for (const UniValue& vector : Cases(LoadVectors("winner.json"), "claims")) {
        BOOST_CHECK(KeptOf(vector["arrive"]) == Claims(vector["kept"]));
    }
}

BOOST_AUTO_TEST_CASE(rank)
{
    BOOST_CHECK(!Winner({}));
    std::vector<RankedCandidate> field{Candidate(0, {8}, Measured{7, 1}), Candidate(1, {9})};
    BOOST_CHECK(!Winner(field)); // one false claim, one unknown
    field.push_back(Candidate(2, {6}, Measured{6, 9}));
    BOOST_CHECK_EQUAL(*Winner(field), 2U);
    field.push_back(Candidate(3, {9, 6}, Measured{6, 9})); // one false claim does not harm another one
    BOOST_CHECK_EQUAL(*Winner(field), 2U);
    field.push_back(Candidate(4, {6}, Measured{6, 8}));
    BOOST_CHECK_EQUAL(*Winner(field), 4U);
    field.push_back(Candidate(5, {7}, Measured{7, 20}));
    BOOST_CHECK_EQUAL(*Winner(field), 5U);
}

BOOST_AUTO_TEST_CASE(arrival_order_never_matters)
{
    FastRandomContext rng{/*fDeterministic=*/true};
    for (int round{0}; round < 200; ++round) {
        auto field{RandomField(rng, 6, /*measured=*/true)};
        const int64_t expected{WinnersPosition(field)};
        std::ranges::shuffle(field, rng);
        BOOST_CHECK_EQUAL(WinnersPosition(field), expected);
    }
}

BOOST_AUTO_TEST_CASE(evaluating_in_order_finds_the_best)
{
    FastRandomContext rng{/*fDeterministic=*/true};
    for (int round{0}; round < 500; ++round) {
        const auto truth{RandomField(rng, 6, /*measured=*/true)};
        auto field{truth};
        for (auto& candidate : field) candidate.measured.reset();
        uint32_t last_claim{std::numeric_limits<uint32_t>::max()};
        for (auto order{EvaluationOrder(field)}; !order.empty(); order = EvaluationOrder(field)) {
            const size_t next{order.front()};
            BOOST_CHECK(field[next].TopClaim() <= last_claim);
            last_claim = field[next].TopClaim();
            field[next].measured = truth[next].measured;
        }
        // Whoever was not evaluated claims less than the best verified count, so the answer is that of a full evaluation.
        BOOST_CHECK(Winner(field) == Winner(truth));
    }
}

BOOST_AUTO_TEST_CASE(stop_rule)
{
    std::vector<RankedCandidate> field{Candidate(0, {5}), Candidate(1, {9}), Candidate(2, {9, 3}), Candidate(3, {8}), Candidate(4, {})};
    BOOST_CHECK((EvaluationOrder(field) == std::vector<size_t>{1, 2, 3, 0}));
    field[1].measured = Measured{4, 10}; // false: nothing is decided
    BOOST_CHECK((EvaluationOrder(field) == std::vector<size_t>{2, 3, 0}));
    field[2].measured = Measured{9, 10};
    BOOST_CHECK(EvaluationOrder(field).empty());
    field[3].claims = {9}; // an equal claim still matters
    BOOST_CHECK((EvaluationOrder(field) == std::vector<size_t>{3}));
}

BOOST_AUTO_TEST_CASE(the_two_highest_claims_are_kept)
{
    std::vector<uint32_t> claims;
    BOOST_CHECK(AddClaim(claims, 5));
    BOOST_CHECK(!AddClaim(claims, 5));
    BOOST_CHECK(AddClaim(claims, 3));
    BOOST_CHECK(!AddClaim(claims, 2));
    BOOST_CHECK(AddClaim(claims, 4));
    BOOST_CHECK((claims == std::vector<uint32_t>{5, 4}));
    BOOST_CHECK(AddClaim(claims, 9));
    BOOST_CHECK((claims == std::vector<uint32_t>{9, 5}));
    BOOST_CHECK(!AddClaim(claims, 4));
}

BOOST_AUTO_TEST_CASE(plausible_verdicts)
{
    BOOST_CHECK(IsPlausible({10, 0}, 10, 4));
    BOOST_CHECK(!IsPlausible({10, 1}, 10, 4));
    BOOST_CHECK(!IsPlausible({11, 0}, 10, 4));
    BOOST_CHECK(!IsPlausible({11, 0xffffffff}, 10, 4));
    BOOST_CHECK(!IsPlausible({7, 2}, 10, 4));
    BOOST_CHECK(IsPlausible({7, 3}, 10, 4));
    BOOST_CHECK(IsPlausible({7, 9}, 10, 4));
    BOOST_CHECK(!IsPlausible({7, 10}, 10, 4));
    for (const UniValue& vector : Cases(LoadVectors("arithmetic.json"), "scores")) {
        const Measured measured{vector["count"].getInt<uint32_t>(), vector["rank_sum"].getInt<uint64_t>()};
        BOOST_CHECK(IsPlausible(measured, vector["labels"].size(), vector["logits"][0].size()));
    }
}

BOOST_AUTO_TEST_CASE(accuracy_work)
{
    for (const UniValue& vector : Cases(LoadVectors("winner.json"), "accuracy_work")) {
        BOOST_CHECK_EQUAL(AccuracyWork(vector["n"].getInt<uint32_t>(), vector["correct"].getInt<uint32_t>()), vector["work"].getInt<uint64_t>());
    }
}

BOOST_AUTO_TEST_SUITE_END()
