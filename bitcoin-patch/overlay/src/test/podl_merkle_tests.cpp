// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/merkle.h>

#include <hash.h>
#include <test/podl_vectors.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

/** The vectors' data: byte i is seed + 31 i + floor(i / 2^8) + 7 floor(i / 2^16). */
std::vector<unsigned char> Pattern(const UniValue& vector)
{
    std::vector<unsigned char> data(vector["size"].getInt<size_t>());
    const auto seed{vector["seed"].getInt<uint32_t>()};
    for (size_t i{0}; i < data.size(); ++i) data[i] = seed + 31 * i + (i >> 8) + 7 * (i >> 16);
    return data;
}

/** The chunk at an index; empty behind the end. */
std::span<const unsigned char> Chunk(std::span<const unsigned char> data, size_t index)
{
    const size_t start{std::min<size_t>(data.size(), index * CHUNK_SIZE)};
    return data.subspan(start, std::min<size_t>(CHUNK_SIZE, data.size() - start));
}

} // namespace

BOOST_AUTO_TEST_SUITE(podl_merkle_tests)

BOOST_AUTO_TEST_CASE(tagged_hashes)
{
    for (const UniValue& vector : Cases(LoadVectors("hashing.json"), "tagged")) {
        HashWriter writer{TaggedHash(vector["tag"].get_str())};
        writer.write(MakeByteSpan(HexBytes(vector["data"])));
        BOOST_CHECK_EQUAL(writer.GetSHA256(), H32(vector["hash"]));
    }
}

BOOST_AUTO_TEST_CASE(data_trees)
{
    for (const UniValue& vector : Cases(LoadVectors("merkle.json"), "data")) {
        const auto data{Pattern(vector)};
        const uint256 root{H32(vector["root"])};
        const auto leaves{DataLeaves(data)};
        BOOST_CHECK_EQUAL(leaves.size(), vector["n_leaves"].getInt<size_t>());
        BOOST_CHECK_EQUAL(ChunkCount(data.size()), leaves.size());
        BOOST_CHECK_EQUAL(DataRoot(data), root);
        BOOST_REQUIRE_EQUAL(vector["proofs"].size(), leaves.size());
        for (size_t i{0}; i < leaves.size(); ++i) {
            const auto path{H32List(vector["proofs"][i])};
            BOOST_CHECK(MerkleProof(leaves, i) == path);
            BOOST_CHECK(VerifyProof(LeafHash(Chunk(data, i)), i, leaves.size(), data.size(), path, root));
        }
    }
}

BOOST_AUTO_TEST_CASE(bad_data_proofs)
{
    for (const UniValue& vector : Cases(LoadVectors("merkle.json"), "data_invalid")) {
        const auto data{Pattern(vector)};
        const auto index{vector["index"].getInt<size_t>()};
        BOOST_CHECK_MESSAGE(!VerifyProof(LeafHash(Chunk(data, index)), index, ChunkCount(data.size()), data.size(), H32List(vector["path"]), H32(vector["root"])),
                            vector["case"].get_str());
    }
}

BOOST_AUTO_TEST_CASE(given_leaves)
{
    for (const UniValue& vector : Cases(LoadVectors("merkle.json"), "tree")) {
        const auto leaves{H32List(vector["leaves"])};
        const uint256 root{H32(vector["root"])};
        BOOST_CHECK_EQUAL(TreeRoot(leaves), root);
        BOOST_REQUIRE_EQUAL(vector["proofs"].size(), leaves.size());
        for (size_t i{0}; i < leaves.size(); ++i) {
            const auto path{H32List(vector["proofs"][i])};
            BOOST_CHECK(MerkleProof(leaves, i) == path);
            BOOST_CHECK(VerifyProof(leaves[i], i, leaves.size(), 32 * leaves.size(), path, root));
        }
    }
}

BOOST_AUTO_TEST_CASE(bad_leaf_proofs)
{
    for (const UniValue& vector : Cases(LoadVectors("merkle.json"), "tree_invalid")) {
        const auto n_leaves{vector["n_leaves"].getInt<uint32_t>()};
        BOOST_CHECK_MESSAGE(!VerifyProof(H32(vector["leaf"]), vector["index"].getInt<uint64_t>(), n_leaves, uint64_t{32} * n_leaves, H32List(vector["path"]), H32(vector["root"])),
                            vector["case"].get_str());
    }
}

BOOST_AUTO_TEST_CASE(proof_lengths)
{
    for (const UniValue& vector : Cases(LoadVectors("merkle.json"), "proof_length")) {
        const auto length{ProofLength(vector["index"].getInt<uint64_t>(), vector["n_leaves"].getInt<uint64_t>())};
        BOOST_REQUIRE(length);
        BOOST_CHECK_EQUAL(*length, vector["length"].getInt<size_t>());
    }
    BOOST_CHECK(!ProofLength(0, 0));
    BOOST_CHECK(!ProofLength(5, 5));
}

BOOST_AUTO_TEST_SUITE_END()
