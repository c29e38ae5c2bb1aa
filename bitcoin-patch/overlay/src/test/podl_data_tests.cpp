// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/data_checks.h>
#include <podl/merkle.h>
#include <podl/program.h>
#include <podl/task.h>

#include <crypto/common.h>
#include <test/podl_vectors.h>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

constexpr uint32_t SAMPLES{5};

Task SmallTask()
{
    Task task;
    task.dims = {2, 3};
    task.classes = 4;
    return task;
}

/** Samples of 1 and labels below 4. */
std::vector<unsigned char> GoodShard()
{
    std::vector<unsigned char> bytes(SAMPLES * 6, 1);
    for (uint32_t i{0}; i < SAMPLES; ++i) bytes.push_back(i % 4);
    return bytes;
}

std::vector<unsigned char> ModelOf(std::vector<int32_t> weights)
{
    std::vector<unsigned char> bytes(4 * weights.size());
    for (size_t i{0}; i < weights.size(); ++i) WriteLE32(&bytes[4 * i], static_cast<uint32_t>(weights[i]));
    return bytes;
}

} // namespace

BOOST_AUTO_TEST_SUITE(podl_data_tests)

BOOST_AUTO_TEST_CASE(shard_vectors)
{
    const UniValue json{LoadVectors("dataset.json")};
    Task task;
    for (const UniValue& dim : Cases(json, "dims")) task.dims.push_back(dim.getInt<uint16_t>());
    task.classes = json["classes"].getInt<uint16_t>();
    for (const UniValue& vector : Cases(json, "valid")) {
        const auto bytes{HexBytes(vector["hex"])};
        const auto n{vector["n"].getInt<uint32_t>()};
        BOOST_CHECK_EQUAL(task.DataSize(n), bytes.size());
        BOOST_CHECK_EQUAL(DataRoot(bytes), H32(vector["root"]));
        BOOST_CHECK(CheckShardBytes(bytes, task, n));
    }
    for (const UniValue& vector : Cases(json, "shards")) {
        const auto result{CheckShardBytes(HexBytes(vector["hex"]), task, vector["n"].getInt<uint32_t>())};
        BOOST_CHECK_MESSAGE(Reason(result) == vector["reason"].get_str(), vector["case"].get_str() << ": " << Why(result));
    }
}

BOOST_AUTO_TEST_CASE(sealed_shards)
{
    const UniValue json{LoadVectors("dataset.json")["sealed"]};
    const uint256 root{H32(json["shard_list_root"])};
    const auto shards{Cases(json, "shards")};
    std::vector<uint256> leaves;
    for (const UniValue& shard : shards) {
        leaves.push_back(ShardCommitment(H32(shard["salt"]), H32(shard["root"]), shard["n"].getInt<uint32_t>()));
        BOOST_CHECK_EQUAL(leaves.back(), H32(shard["commitment"]));
    }
    BOOST_CHECK_EQUAL(TreeRoot(leaves), root);
    for (size_t i{0}; i < shards.size(); ++i) {
        BOOST_CHECK(VerifyProof(leaves[i], i, leaves.size(), 32 * leaves.size(), H32List(shards[i]["path"]), root));
    }
}

BOOST_AUTO_TEST_CASE(shards)
{
    const Task task{SmallTask()};
    const auto good{GoodShard()};
    BOOST_CHECK_EQUAL(task.DataSize(SAMPLES), good.size());
    BOOST_CHECK(CheckShardBytes(good, task, SAMPLES));

    auto edges{good};
    edges.front() = 0x81; // -127
    edges[29] = 0x7f;
    BOOST_CHECK(CheckShardBytes(edges, task, SAMPLES));

    for (const size_t i : {0, 29}) {
        auto bad{good};
        bad[i] = 0x80;
        BOOST_CHECK_EQUAL(Reason(CheckShardBytes(bad, task, SAMPLES)), "podl-shard-range");
    }
    for (const size_t i : {30, 34}) {
        for (const unsigned char label : {4, 0x80, 0xff}) {
            auto bad{good};
            bad[i] = label;
            BOOST_CHECK_EQUAL(Reason(CheckShardBytes(bad, task, SAMPLES)), "podl-shard-label");
        }
    }
}

BOOST_AUTO_TEST_CASE(shards_of_another_length)
{
    const Task task{SmallTask()};
    const auto good{GoodShard()};
    for (const uint32_t n : {0U, SAMPLES - 1, SAMPLES + 1, std::numeric_limits<uint32_t>::max()}) {
        BOOST_CHECK_EQUAL(Reason(CheckShardBytes(good, task, n)), "podl-shard-range");
    }
    BOOST_CHECK_EQUAL(Reason(CheckShardBytes({}, task, SAMPLES)), "podl-shard-range");
    const auto result{CheckShardBytes({}, task, SAMPLES)};
    BOOST_CHECK(result.error().cls == FailureClass::PERM);
}

BOOST_AUTO_TEST_CASE(weights_and_models)
{
    BOOST_CHECK(CheckWeightBytes(std::vector<unsigned char>{0, 0x7f, 0x81}, 3));
    BOOST_CHECK(CheckModelBytes(ModelOf({0, MAX_MASTER_WEIGHT, -MAX_MASTER_WEIGHT}), 3));
    for (const int32_t bad : {MAX_MASTER_WEIGHT + 1, -MAX_MASTER_WEIGHT - 1, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()}) {
        BOOST_CHECK_EQUAL(Reason(CheckModelBytes(ModelOf({0, bad}), 2)), "podl-model-range");
        BOOST_CHECK_EQUAL(Reason(CheckModelBytes(ModelOf({bad, 0}), 2)), "podl-model-range");
    }
    // Four times this many parameters would wrap to zero in 32 bits.
    BOOST_CHECK_EQUAL(Reason(CheckModelBytes({}, 1U << 30)), "podl-model-size");
}

BOOST_AUTO_TEST_CASE(vectors)
{
    for (const UniValue& vector : Cases(LoadVectors("arithmetic.json"), "weights_invalid")) {
        const auto program{Program::Parse(HexBytes(vector["program"]), std::vector<uint16_t>{2}, 2)};
        BOOST_REQUIRE_MESSAGE(program, Why(program));
        const auto bytes{HexBytes(vector["bytes"])};
        const auto check{vector["kind"].get_str() == "model" ? CheckModelBytes : CheckWeightBytes};
        BOOST_CHECK_MESSAGE(Reason(check(bytes, program->n_params)) == vector["reason"].get_str(), vector["case"].get_str());
    }
}

BOOST_AUTO_TEST_SUITE_END()
