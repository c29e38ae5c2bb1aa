// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <chain.h>
#include <consensus/merkle.h>
#include <consensus/validation.h>
#include <node/miner.h>
#include <podl/gate.h>
#include <pow.h>
#include <test/util/common.h>
#include <test/util/mining.h>
#include <test/util/setup_common.h>
#include <validation.h>

#include <boost/test/unit_test.hpp>

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace {

/** Answers as told; counts the questions. */
class ScriptedGate final : public podl::BlockGate
{
public:
    podl::HeaderStatus m_status{podl::HeaderStatus::NOT_YET};
    std::set<const CBlockIndex*> m_held;
    int m_connect_calls{0};

    podl::HeaderStatus CheckHeader(const uint256&, const CBlockIndex&) override { return m_status; }
    bool MayConnect(const CBlockIndex& index) override
    {
        ++m_connect_calls;
        return !m_held.contains(&index);
    }
};

/** Block index entries outside any chain state, with PoDL versions. */
struct IndexSetup : BasicTestingSetup {
    std::deque<CBlockIndex> m_entries;
    CChain m_chain;

    IndexSetup() { CBlockHeader::s_podl_headers = true; }
    ~IndexSetup() { CBlockHeader::s_podl_headers = false; }

    CBlockIndex& Add(CBlockIndex* prev)
    {
        CBlockIndex& entry{m_entries.emplace_back()};
        entry.pprev = prev;
        entry.nHeight = prev ? prev->nHeight + 1 : 0;
        entry.nVersion = 0x40000000;
        entry.BuildSkip();
        return entry;
    }
};

constexpr int PODL_HEIGHT{101};

/** A regtest chain whose next block must be a PoDL block. */
struct ChainSetup : TestChain100Setup {
    ChainSetup() : TestChain100Setup{ChainType::REGTEST, {.extra_args = {"-podlheight=101"}}} {}

    CBlock NextBlock()
    {
        CBlock block{CreateBlock({}, CScript{} << OP_TRUE, m_node.chainman->ActiveChainstate())};
        BOOST_REQUIRE_EQUAL(block.nVersion, 0x40000000);
        return block;
    }

    void Grind(CBlock& block)
    {
        while (!CheckProofOfWork(block.GetHash(), block.nBits, m_node.chainman->GetConsensus())) ++block.nNonce;
    }

    std::string Reason(CBlockHeader header)
    {
        BlockValidationState state;
        BOOST_CHECK(!m_node.chainman->ProcessNewBlockHeaders({{header}}, /*min_pow_checked=*/true, state));
        return state.GetRejectReason();
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(podl_gate_tests)

BOOST_FIXTURE_TEST_CASE(reasons_of_refused_headers, IndexSetup)
{
    const CBlockIndex& prev{Add(nullptr)};
    ScriptedGate gate;
    const auto reason{[&](podl::BlockGate* asked) {
        BlockValidationState state;
        const bool admitted{podl::AdmitHeader(asked, uint256::ONE, prev, state)};
        BOOST_CHECK_EQUAL(admitted, state.IsValid());
        if (!admitted) BOOST_CHECK(state.GetResult() == BlockValidationResult::BLOCK_HEADER_LOW_WORK);
        return state.GetRejectReason();
    }};
    BOOST_CHECK_EQUAL(reason(nullptr), "podl-final-missing");
    BOOST_CHECK_EQUAL(reason(&gate), "podl-final-missing");
    gate.m_status = podl::HeaderStatus::NOT_FINAL;
    BOOST_CHECK_EQUAL(reason(&gate), "podl-not-final");
    gate.m_status = podl::HeaderStatus::ADMIT;
    BOOST_CHECK_EQUAL(reason(&gate), "");
}

BOOST_FIXTURE_TEST_CASE(held_blocks_hold_their_descendants, IndexSetup)
{
    LOCK(::cs_main);
    std::vector<CBlockIndex*> path{&Add(nullptr)};
    for (int height{1}; height <= 50; ++height) path.push_back(&Add(path.back()));
    CBlockIndex& sibling{Add(path[9])};
    m_chain.SetTip(*path[5]);

    ScriptedGate gate;
    std::vector<const CBlockIndex*> held;
    BOOST_CHECK(!podl::DescendsFromHeld(nullptr, *path[50], m_chain, held));
    BOOST_CHECK(!podl::DescendsFromHeld(&gate, *path[50], m_chain, held));
    BOOST_CHECK_EQUAL(gate.m_connect_calls, 45);

    gate.m_held = {path[10], path[20]};
    BOOST_CHECK(podl::DescendsFromHeld(&gate, *path[50], m_chain, held));
    BOOST_REQUIRE_EQUAL(held.size(), 1U);
    BOOST_CHECK_EQUAL(held[0], path[10]);
    gate.m_connect_calls = 0;
    for (int height{10}; height < 50; ++height) BOOST_CHECK(podl::DescendsFromHeld(&gate, *path[height], m_chain, held));
    BOOST_CHECK_EQUAL(gate.m_connect_calls, 0);
    BOOST_CHECK(!podl::DescendsFromHeld(&gate, *path[9], m_chain, held));
    BOOST_CHECK(!podl::DescendsFromHeld(&gate, sibling, m_chain, held));
    BOOST_CHECK(!podl::DescendsFromHeld(&gate, *path[5], m_chain, held));
}

BOOST_FIXTURE_TEST_CASE(legacy_blocks_are_never_asked_for, IndexSetup)
{
    LOCK(::cs_main);
    CBlockIndex& genesis{Add(nullptr)};
    CBlockIndex& legacy{Add(&genesis)};
    legacy.nVersion = 4;
    m_chain.SetTip(genesis);
    ScriptedGate gate;
    gate.m_held = {&legacy};
    std::vector<const CBlockIndex*> held;
    BOOST_CHECK(!podl::DescendsFromHeld(&gate, legacy, m_chain, held));
    BOOST_CHECK_EQUAL(gate.m_connect_calls, 0);
}

BOOST_FIXTURE_TEST_CASE(header_format_follows_the_height, ChainSetup)
{
    CBlock block{NextBlock()};
    Grind(block);
    BOOST_CHECK_EQUAL(Reason(block), "podl-final-missing");
    block.nVersion = 0x20000000;
    Grind(block);
    BOOST_CHECK_EQUAL(Reason(block), "bad-podl-version");
    block.nVersion = 0x40000000;
    block.hashPrevBlock = WITH_LOCK(::cs_main, return m_node.chainman->ActiveChain()[PODL_HEIGHT - 2]->GetBlockHash());
    Grind(block);
    BOOST_CHECK_EQUAL(Reason(block), "bad-podl-version");
    BOOST_CHECK_EQUAL(WITH_LOCK(::cs_main, return m_node.chainman->m_best_header->nHeight), PODL_HEIGHT - 1);
}

BOOST_AUTO_TEST_SUITE_END()
