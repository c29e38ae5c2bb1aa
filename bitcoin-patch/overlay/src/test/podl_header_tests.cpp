// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <arith_uint256.h>
#include <chain.h>
#include <chainparams.h>
#include <common/args.h>
#include <consensus/merkle.h>
#include <consensus/validation.h>
#include <hash.h>
#include <primitives/block.h>
#include <streams.h>
#include <test/podl_vectors.h>
#include <test/util/common.h>
#include <test/util/random.h>
#include <test/util/setup_common.h>
#include <uint256.h>
#include <univalue.h>
#include <util/chaintype.h>
#include <util/strencodings.h>

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <ios>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

using podl::test::Cases;
using podl::test::H32;
using podl::test::H32List;
using podl::test::HexBytes;
using podl::test::LoadVectors;
using podl::test::ScopedPodlHeaders;

namespace {

constexpr int32_t PODL_VERSION{0x40000000};

struct HeaderSetup : BasicTestingSetup {
    CBlockHeader RandomHeader(int32_t version)
    {
        CBlockHeader header;
        header.nVersion = version;
        header.hashPrevBlock = m_rng.rand256();
        header.hashMerkleRoot = m_rng.rand256();
        header.nTime = m_rng.rand32();
        header.nBits = m_rng.rand32();
        header.nNonce = m_rng.rand32();
        header.hashModel = m_rng.rand256();
        return header;
    }
};

template <typename T>
std::vector<std::byte> Bytes(const T& object)
{
    DataStream stream;
    stream << object;
    return {stream.begin(), stream.end()};
}

/** The 80 bytes every header had before PoDL, written field by field. */
std::vector<std::byte> LegacyBytes(const CBlockHeader& h)
{
    DataStream stream;
    stream << h.nVersion << h.hashPrevBlock << h.hashMerkleRoot << h.nTime << h.nBits << h.nNonce;
    return {stream.begin(), stream.end()};
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_header_tests, HeaderSetup)

BOOST_AUTO_TEST_CASE(legacy_bytes_do_not_depend_on_the_flag)
{
    for (const int32_t version : {1, 2, 4, 0x20000000, 0x3fffffff, 0x60000000, 0x7fffffff, -1, std::numeric_limits<int32_t>::min()}) {
        const CBlockHeader header{RandomHeader(version)};
        for (const bool on : {false, true}) {
            ScopedPodlHeaders flag{on};
            BOOST_CHECK(!header.IsPodl());
            BOOST_CHECK(Bytes(header) == LegacyBytes(header));
            BOOST_CHECK_EQUAL(header.GetHash(), Hash(LegacyBytes(header)));
        }
    }
}

BOOST_AUTO_TEST_CASE(random_versions_are_legacy_with_the_flag_off)
{
    BOOST_REQUIRE(!CBlockHeader::s_podl_headers);
    for (int i{0}; i < 1000; ++i) {
        const CBlockHeader header{RandomHeader(static_cast<int32_t>(m_rng.rand32()))};
        BOOST_CHECK(!header.IsPodl());
        BOOST_CHECK(Bytes(header) == LegacyBytes(header));
        BOOST_CHECK_EQUAL(header.GetHash(), Hash(LegacyBytes(header)));
    }
}

BOOST_AUTO_TEST_CASE(podl_versions)
{
    ScopedPodlHeaders flag{true};
    for (const int32_t version : {0x40000000, 0x40000001, 0x5fffffff}) BOOST_CHECK(CBlockHeader::IsPodlVersion(version));
    for (const int32_t version : {0, 0x3fffffff, 0x60000000, -0x40000000}) BOOST_CHECK(!CBlockHeader::IsPodlVersion(version));
}

BOOST_AUTO_TEST_CASE(podl_header_round_trip)
{
    ScopedPodlHeaders flag{true};
    const CBlockHeader header{RandomHeader(PODL_VERSION)};
    const auto bytes{Bytes(header)};
    BOOST_REQUIRE_EQUAL(bytes.size(), 112U);
    auto expected{LegacyBytes(header)};
    const auto model{MakeByteSpan(header.hashModel)};
    expected.insert(expected.end(), model.begin(), model.end());
    BOOST_CHECK(bytes == expected);
    BOOST_CHECK_EQUAL(header.GetHash(), Hash(bytes));

    CBlockHeader parsed;
    DataStream stream{bytes};
    stream >> parsed;
    BOOST_CHECK(stream.empty());
    BOOST_CHECK(Bytes(parsed) == bytes);
    BOOST_CHECK_EQUAL(parsed.hashModel, header.hashModel);

    CBlockHeader other{header};
    other.hashModel = uint256::ONE;
    BOOST_CHECK(other.GetHash() != header.GetHash());
}

BOOST_AUTO_TEST_CASE(podl_block_round_trip)
{
    ScopedPodlHeaders flag{true};
    CBlock block{RandomHeader(PODL_VERSION)};
    CMutableTransaction coinbase;
    coinbase.vin.resize(1);
    coinbase.vout.emplace_back(1, CScript{} << OP_TRUE);
    block.vtx.push_back(MakeTransactionRef(coinbase));
    block.hashMerkleRoot = BlockMerkleRoot(block);
    CBlock parsed;
    DataStream{Bytes(TX_WITH_WITNESS(block))} >> TX_WITH_WITNESS(parsed);
    BOOST_CHECK_EQUAL(parsed.GetHash(), block.GetHash());
    BOOST_CHECK_EQUAL(parsed.hashModel, block.hashModel);
    BOOST_CHECK_EQUAL(parsed.vtx.size(), 1U);
}

BOOST_AUTO_TEST_CASE(blocks_of_both_kinds_read_back)
{
    for (const UniValue& vector : Cases(LoadVectors("block.json"), "valid")) {
        BOOST_TEST_CONTEXT(vector["case"].get_str())
        {
            ScopedPodlHeaders flag{vector["podl_chain"].get_bool()};
            DataStream stream{HexBytes(vector["hex"])};
            CBlock block;
            stream >> TX_WITH_WITNESS(block);
            BOOST_CHECK(stream.empty());
            BOOST_CHECK_EQUAL(HexStr(Bytes(TX_WITH_WITNESS(block))), vector["hex"].get_str());
            BOOST_CHECK_EQUAL(HexStr(Bytes<CBlockHeader>(block)), vector["header"].get_str());
            BOOST_CHECK_EQUAL(block.IsPodl(), !vector["model_hash"].isNull());
            BOOST_CHECK_EQUAL(block.hashModel, block.IsPodl() ? H32(vector["model_hash"]) : uint256::ZERO);
            BOOST_CHECK_EQUAL(block.GetHash(), H32(vector["hash"]));
            BOOST_CHECK_EQUAL(BlockMerkleRoot(block), H32(vector["merkle_root"]));
            BOOST_CHECK_EQUAL(block.hashMerkleRoot, H32(vector["merkle_root"]));
            BOOST_CHECK_EQUAL(GetBlockWeight(block), vector["weight"].getInt<int64_t>());
            std::vector<uint256> txids;
            for (const auto& tx : block.vtx) txids.push_back(tx->GetHash().ToUint256());
            BOOST_CHECK(txids == H32List(vector["txids"]));
        }
    }
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_block)
{
    ScopedPodlHeaders flag{true};
    for (const UniValue& vector : Cases(LoadVectors("block.json"), "invalid")) {
        const auto reads{[&] {
            DataStream stream{HexBytes(vector["hex"])};
            CBlock block;
            try {
                stream >> TX_WITH_WITNESS(block);
            } catch (const std::ios_base::failure&) {
                return false;
            }
            return stream.empty();
        }};
        BOOST_CHECK_MESSAGE(!reads(), vector["case"].get_str());
    }
}

BOOST_AUTO_TEST_CASE(reading_a_legacy_header_clears_the_commitment)
{
    ScopedPodlHeaders flag{true};
    CBlockHeader reused{RandomHeader(PODL_VERSION)};
    DataStream{LegacyBytes(RandomHeader(4))} >> reused;
    BOOST_CHECK(reused.hashModel.IsNull());
    reused = RandomHeader(PODL_VERSION);
    reused.SetNull();
    BOOST_CHECK(reused.hashModel.IsNull());
}

BOOST_AUTO_TEST_CASE(truncated_headers_throw)
{
    ScopedPodlHeaders flag{true};
    for (const int32_t version : {4, PODL_VERSION}) {
        const auto bytes{Bytes(RandomHeader(version))};
        for (size_t length{0}; length < bytes.size(); ++length) {
            DataStream stream{std::span{bytes}.first(length)};
            CBlockHeader parsed;
            BOOST_CHECK_THROW(stream >> parsed, std::ios_base::failure);
        }
    }
}

BOOST_AUTO_TEST_CASE(block_index_entry_round_trip)
{
    ScopedPodlHeaders flag{true};
    for (const int32_t version : {4, PODL_VERSION}) {
        CBlockHeader header{RandomHeader(version)};
        header.hashPrevBlock.SetNull();
        if (!header.IsPodl()) header.hashModel.SetNull();
        CBlockIndex index{header};
        const uint256 hash{header.GetHash()};
        index.phashBlock = &hash;
        BOOST_CHECK(Bytes(index.GetBlockHeader()) == Bytes(header));

        CDiskBlockIndex parsed;
        DataStream stream{Bytes(CDiskBlockIndex{&index})};
        stream >> parsed;
        BOOST_CHECK(stream.empty());
        BOOST_CHECK_EQUAL(parsed.hashModel, header.hashModel);
        BOOST_CHECK_EQUAL(parsed.ConstructBlockHash(), hash);
    }
}

BOOST_AUTO_TEST_CASE(block_index_entry_of_a_legacy_header_keeps_its_bytes)
{
    CBlockIndex index{RandomHeader(4)};
    const auto off{Bytes(CDiskBlockIndex{&index})};
    ScopedPodlHeaders flag{true};
    BOOST_CHECK(Bytes(CDiskBlockIndex{&index}) == off);
    index.nVersion = PODL_VERSION;
    BOOST_CHECK_EQUAL(Bytes(CDiskBlockIndex{&index}).size(), off.size() + 32);
}

BOOST_AUTO_TEST_CASE(the_selected_chain_decides_the_flag)
{
    gArgs.ForceSetArg("-podlheight", "7");
    SelectParams(ChainType::REGTEST);
    BOOST_CHECK(CBlockHeader::s_podl_headers);
    BOOST_CHECK_EQUAL(Params().GetConsensus().PodlHeight, 7);
    for (const ChainType chain : {ChainType::MAIN, ChainType::TESTNET, ChainType::TESTNET4, ChainType::SIGNET}) {
        SelectParams(ChainType::REGTEST);
        BOOST_CHECK_EQUAL(CreateChainParams(gArgs, chain)->GetConsensus().PodlHeight, std::numeric_limits<int>::max());
        BOOST_CHECK(CBlockHeader::s_podl_headers);
        SelectParams(chain);
        BOOST_CHECK(!CBlockHeader::s_podl_headers);
        BOOST_CHECK_EQUAL(CreateChainParams(gArgs, ChainType::REGTEST)->GetConsensus().PodlHeight, 7);
        BOOST_CHECK(!CBlockHeader::s_podl_headers);
    }
    SelectParams(ChainType::REGTEST);
    BOOST_CHECK(CBlockHeader::s_podl_headers);
    gArgs.ClearArgs();
    SelectParams(ChainType::REGTEST);
    BOOST_CHECK(!CBlockHeader::s_podl_headers);
}

BOOST_AUTO_TEST_CASE(bad_heights_are_refused)
{
    for (const std::string value : {"", "0", "-1", "abc", "7x", "2147483647", "99999999999"}) {
        gArgs.ForceSetArg("-podlheight", value);
        BOOST_CHECK_THROW(CreateChainParams(gArgs, ChainType::REGTEST), std::runtime_error);
    }
    gArgs.ClearArgs();
}

BOOST_AUTO_TEST_SUITE_END()
