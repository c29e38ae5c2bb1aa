// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <arith_uint256.h>
#include <chainparams.h>
#include <consensus/merkle.h>
#include <podl/codec.h>
#include <podl/object_check.h>
#include <pow.h>
#include <primitives/block.h>
#include <primitives/transaction.h>
#include <test/podl_world.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

/** Attacks of docs/security.md that no rule's own test plays. */

using namespace podl;
using namespace podl::test;

namespace {

struct AttackSetup : World {
    AttackSetup() { OpenManager(); }

    std::string Reveal(const Mined& mined, const Entry& release, uint32_t claim)
    {
        return m_manager->SubmitReveal(MakeReveal(mined, release.id, claim)).reason;
    }

    std::string Body(const Mined& mined, const CBlock& block)
    {
        return m_manager->AddObject(ObjectKind::BODY, mined.Hash(), ToBytes(TX_WITH_WITNESS(block))).reason;
    }

    void Measure(const Mined& mined, const Entry& release, uint32_t count)
    {
        AddData(mined);
        BOOST_REQUIRE_EQUAL(m_manager->SubmitVerdict(KeyOf(mined, release), {count, SAMPLES - count, "", ""}).reason, "");
    }
};

/** Some transaction besides the coinbase. */
CTransactionRef Spend(uint32_t n)
{
    CMutableTransaction tx;
    tx.vin.resize(1);
    tx.vin[0].prevout = COutPoint{Txid::FromUint256(uint256::ONE), n};
    tx.vout = {CTxOut{1, CScript{} << OP_TRUE}};
    return MakeTransactionRef(std::move(tx));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_attack_tests, AttackSetup)

BOOST_AUTO_TEST_CASE(the_list_alone_decides_who_was_in_time)
{
    // A3: what this node received before the release means nothing, in either direction.
    const auto received{Mine(FIRST_HEIGHT, m_base, 1)}, hidden{Mine(FIRST_HEIGHT, m_base, 2)};
    BOOST_REQUIRE(m_manager->SubmitCommitment(HeaderBytes(received.disclosure.header)).status == SubmitStatus::ACCEPTED);
    const auto release{MakeRelease(FIRST_HEIGHT, 0, m_base, {hidden.Hash()})};
    Accept(release);
    BOOST_CHECK_EQUAL(Reveal(received, release, 50), "podl-not-committed");
    BOOST_CHECK_EQUAL(Reveal(hidden, release, 50), "");
}

BOOST_AUTO_TEST_CASE(whoever_fills_the_pool_first_keeps_nobody_out)
{
    // G3: the lowest block hashes stay, in any order of arrival and after a restart.
    const auto commit{[&](const Mined& mined) { return m_manager->SubmitCommitment(HeaderBytes(mined.disclosure.header)).reason; }};
    std::vector<Mined> miners;
    for (uint16_t i{0}; i < 6; ++i) miners.push_back(Mine(FIRST_HEIGHT, m_base, i));
    std::ranges::sort(miners, std::greater{}, [](const Mined& mined) { return UintToArith256(mined.Hash()); });
    for (const auto& mined : miners) BOOST_CHECK_EQUAL(commit(mined), "");
    BOOST_CHECK_EQUAL(commit(miners[0]), "podl-commit-full");
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        std::set<uint256> held;
        for (const auto& commitment : m_manager->Commitments().commitments) held.insert(commitment.hash);
        BOOST_CHECK(held == std::set({miners[2].Hash(), miners[3].Hash(), miners[4].Hash(), miners[5].Hash()}));
    }
}

BOOST_AUTO_TEST_CASE(whoever_fills_the_disk_first_keeps_nobody_out)
{
    // G10: two valid candidates of low counts fill the task's quota before the best one's bytes come.
    std::vector<Mined> miners;
    std::vector<uint256> list;
    for (uint16_t i{0}; i < 4; ++i) {
        miners.push_back(Mine(FIRST_HEIGHT, m_base, i));
        list.push_back(miners.back().Hash());
    }
    const auto release{MakeRelease(FIRST_HEIGHT, 0, m_base, list)};
    Accept(release);
    const std::vector<uint32_t> counts{21, 20, 60};
    for (size_t i{0}; i < 3; ++i) {
        BOOST_REQUIRE_EQUAL(Reveal(miners[i], release, counts[i]), "");
        Measure(miners[i], release, counts[i]);
        BOOST_CHECK_EQUAL(StateOf(miners[i]), "valid");
    }
    BOOST_CHECK_EQUAL(StateOf(miners[1]), "not-needed");
    BOOST_CHECK_EQUAL(Body(miners[1], *ParseBody(miners[1].body)), "podl-data-full");
    // Nothing is given up for an object that does not fit all the same, or for bytes that are another object's.
    BOOST_REQUIRE_EQUAL(Reveal(miners[3], release, 30), "");
    const auto offer{[&](const Bytes& bytes) { return m_manager->AddObject(ObjectKind::BODY, miners[3].Hash(), bytes).reason; }};
    BOOST_CHECK_EQUAL(offer(Bytes(400)), "podl-data-full");
    BOOST_CHECK_EQUAL(offer(miners[0].body), "podl-body-mismatch");
    BOOST_CHECK_EQUAL(StateOf(miners[0]), "valid");
}

BOOST_AUTO_TEST_CASE(the_tip_moves_with_the_final_alone)
{
    // E13: candidates of rising counts; E9: nothing is confirmed before the final.
    std::vector<Mined> rising;
    std::vector<uint256> list;
    for (uint16_t i{0}; i < 3; ++i) {
        rising.push_back(Mine(FIRST_HEIGHT, m_base, i));
        list.push_back(rising.back().Hash());
    }
    const auto release{MakeRelease(FIRST_HEIGHT, 0, m_base, list)};
    Accept(release);
    m_manager->Start();
    for (uint32_t i{0}; i < 2; ++i) {
        BOOST_REQUIRE_EQUAL(Reveal(rising[i], release, 40 + i), "");
        Measure(rising[i], release, 40 + i);
        m_manager->SyncQueue();
        BOOST_CHECK(m_chain->m_tip->hash == m_base);
    }
    Accept(MakeFinal(FIRST_HEIGHT, 0, rising[1], 41));
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->m_tip->hash == rising[1].Hash());
    // B8: too late for a better one.
    BOOST_CHECK_EQUAL(Reveal(rising[2], release, 60), "podl-late-reveal");
}

BOOST_AUTO_TEST_CASE(counts_may_fall_from_block_to_block)
{
    // E3: a harder shard, or a worse model, holds nothing up.
    m_manager->Start();
    auto prev{m_base};
    for (const auto& [height, count] : {std::pair{FIRST_HEIGHT, 60U}, std::pair{FIRST_HEIGHT + 1, 20U}}) {
        const auto mined{Mine(height, prev)};
        const auto release{MakeRelease(height, 0, prev, {mined.Hash()})};
        Accept(release);
        Accept(MakeFinal(height, 0, mined, count));
        Measure(mined, release, count);
        prev = mined.Hash();
    }
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->m_tip->hash == prev);
}

BOOST_AUTO_TEST_CASE(bodies_with_the_same_merkle_root)
{
    // H2: doubled transactions (CVE-2012-2459) and foreign witnesses are not the header's, and prove nothing about it.
    auto mined{Mine(FIRST_HEIGHT, m_base)};
    CBlock block;
    SpanReader{mined.body} >> TX_WITH_WITNESS(block);
    for (uint32_t i{0}; i < 2; ++i) block.vtx.push_back(Spend(i));
    block.hashMerkleRoot = BlockMerkleRoot(block);
    while (!CheckProofOfWork(block.GetHash(), block.nBits, Params().GetConsensus())) ++block.nNonce;
    mined.disclosure.header = block;
    mined.body = ToBytes(TX_WITH_WITNESS(block));

    auto doubled{block};
    doubled.vtx.push_back(block.vtx.back());
    BOOST_REQUIRE(BlockMerkleRoot(doubled) == block.hashMerkleRoot);
    auto witnessed{block};
    CMutableTransaction spend{*block.vtx.back()};
    spend.vin[0].scriptWitness.stack = {{1}};
    witnessed.vtx.back() = MakeTransactionRef(spend);
    BOOST_REQUIRE(BlockMerkleRoot(witnessed) == block.hashMerkleRoot);

    const auto release{MakeRelease(FIRST_HEIGHT, 0, m_base, {mined.Hash()})};
    Accept(release);
    BOOST_REQUIRE_EQUAL(Reveal(mined, release, 50), "");
    BOOST_CHECK_EQUAL(Body(mined, doubled), "podl-body-mismatch");
    BOOST_CHECK_EQUAL(Body(mined, witnessed), "podl-body-mismatch");
    BOOST_CHECK_EQUAL(StateOf(mined), "waiting-body");
    BOOST_CHECK_EQUAL(Body(mined, block), "");
}

BOOST_AUTO_TEST_CASE(a_reorganisation_below_the_first_height_opens_the_pool_again)
{
    OpenManager();
    const auto listed{Mine(FIRST_HEIGHT, m_base)};
    Accept(MakeRelease(FIRST_HEIGHT, 0, m_base, {listed.Hash()}));
    BOOST_CHECK(m_manager->Info().prev == m_base);
    const auto other{m_rng.rand256()};
    m_chain->AddConnected(other, FIRST_HEIGHT - 1);
    BOOST_CHECK(m_manager->Info().prev == other && m_manager->Template(other).can_commit);
    const auto mined{Mine(FIRST_HEIGHT, other, 1)};
    BOOST_CHECK_EQUAL(m_manager->SubmitCommitment(HeaderBytes(mined.disclosure.header)).reason, "");
    BOOST_CHECK_EQUAL(m_manager->SubmitCommitment(HeaderBytes(listed.disclosure.header)).reason, "podl-commit-prev");
    const auto next{MakeRelease(FIRST_HEIGHT, 1, other, {mined.Hash()})};
    Accept(next);
    Accept(MakeFinal(FIRST_HEIGHT, 1, mined, 50));
    // While the chain is elsewhere, the listed headers' block is all that is known.
    m_chain->AddConnected(m_rng.rand256(), FIRST_HEIGHT - 2);
    BOOST_CHECK(m_manager->Info().prev == mined.Hash());
}

BOOST_AUTO_TEST_SUITE_END()
