// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/coinbase.h>
#include <podl/disclosure.h>
#include <podl/entry.h>
#include <podl/merkle.h>
#include <podl/opening.h>
#include <podl/recipe.h>
#include <podl/reveal.h>

#include <hash.h>
#include <primitives/transaction.h>
#include <pubkey.h>
#include <streams.h>
#include <test/podl_vectors.h>

#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

void CheckOpening(const Opening& opening, const UniValue& fields)
{
    for (const char* name : {"chain_id", "task_id", "release_id", "weights_root", "model_root", "recipe_hash", "checkpoints_root", "payout_hash", "reveal_key", "salt"}) {
        BOOST_CHECK_MESSAGE(fields.exists(name), name);
    }
    CHECK_H32(opening, fields, chain_id);
    CHECK_H32(opening, fields, task_id);
    CHECK_NUMBER(opening, fields, height);
    CHECK_H32(opening, fields, release_id);
    CHECK_H32(opening, fields, weights_root);
    CHECK_H32(opening, fields, model_root);
    CHECK_NUMBER(opening, fields, n_params);
    CHECK_H32(opening, fields, recipe_hash);
    CHECK_H32(opening, fields, checkpoints_root);
    CHECK_NUMBER(opening, fields, n_checkpoints);
    CHECK_H32(opening, fields, payout_hash);
    CHECK_H32(opening, fields, reveal_key);
    CHECK_H32(opening, fields, salt);
}

void CheckHeader(const CBlockHeader& header, const UniValue& fields)
{
    BOOST_CHECK_EQUAL(header.nVersion, fields["version"].getInt<int32_t>());
    BOOST_CHECK_EQUAL(header.hashPrevBlock, H32(fields["prev_block"]));
    BOOST_CHECK_EQUAL(header.hashMerkleRoot, H32(fields["merkle_root"]));
    BOOST_CHECK_EQUAL(header.nTime, fields["time"].getInt<uint32_t>());
    BOOST_CHECK_EQUAL(header.nBits, fields["bits"].getInt<uint32_t>());
    BOOST_CHECK_EQUAL(header.nNonce, fields["nonce"].getInt<uint32_t>());
    BOOST_CHECK_EQUAL(header.hashModel, H32(fields["model_hash"]));
    BOOST_CHECK_EQUAL(header.GetHash(), H32(fields["hash"]));
}

/** What a task's bounds leave of a recipe's choices in a vector, with the fields that the vector replaces. */
TaskRecord RecordFor(Task task, const UniValue& vector)
{
    if (vector.exists("program")) {
        task.dims.clear();
        for (const UniValue& dim : vector["dims"].getValues()) task.dims.push_back(dim.getInt<uint16_t>());
        task.programs = {HexBytes(vector["program"])};
    }
    TaskRecord record{.id = {}, .time = 0, .task = task, .programs = {}};
    auto programs{CheckTask(task)};
    BOOST_REQUIRE_MESSAGE(programs, Why(programs));
    record.programs = *programs;
    if (vector.exists("training_n")) record.task.training_n = vector["training_n"].getInt<uint32_t>();
    if (vector.exists("max_replay_macs")) record.task.max_replay_macs = vector["max_replay_macs"].getInt<uint64_t>();
    return record;
}

/** A task entry's body. */
Task TaskOf(const UniValue& hex)
{
    const auto entry{ParseEntry(HexBytes(hex))};
    BOOST_REQUIRE(entry && entry->AsTask());
    return *entry->AsTask();
}

} // namespace

BOOST_AUTO_TEST_SUITE(podl_object_tests)

BOOST_AUTO_TEST_CASE(openings)
{
    const UniValue json{LoadVectors("opening.json")};
    for (const UniValue& vector : Cases(json, "valid")) {
        const auto bytes{HexBytes(vector["hex"])};
        BOOST_CHECK_EQUAL(bytes.size(), OPENING_SIZE);
        const auto opening{ParseExact<Opening>(bytes, "")};
        BOOST_REQUIRE(opening);
        CheckOpening(*opening, vector["fields"]);
        BOOST_CHECK(ToBytes(*opening) == bytes);
        BOOST_CHECK_EQUAL(opening->GetHash(), H32(vector["model_hash"]));
        BOOST_CHECK(CheckOpeningNulls(*opening));
    }
    for (const UniValue& vector : Cases(json, "invalid")) {
        BOOST_CHECK_EQUAL(Reason(ParseExact<Opening>(HexBytes(vector["hex"]), "size")), "size");
    }
    for (const UniValue& vector : Cases(json, "null")) {
        const auto opening{ParseExact<Opening>(HexBytes(vector["hex"]), "")};
        BOOST_REQUIRE(opening);
        BOOST_CHECK_EQUAL(Reason(CheckOpeningNulls(*opening)), vector["reason"].get_str());
    }
}

BOOST_AUTO_TEST_CASE(checkpoint_trees)
{
    for (const UniValue& vector : Cases(LoadVectors("opening.json"), "checkpoints")) {
        BOOST_CHECK_EQUAL(TreeRoot(H32List(vector["leaves"])), H32(vector["root"]));
    }
}

BOOST_AUTO_TEST_CASE(commitments)
{
    ScopedPodlHeaders flag;
    const UniValue json{LoadVectors("opening.json")};
    const auto stamp_bits{json["stamp_bits"].getInt<uint8_t>()};
    for (const UniValue& vector : Cases(json, "commitments")) {
        const auto bytes{HexBytes(vector["hex"])};
        const auto header{ParseCommitment(bytes)};
        BOOST_REQUIRE(header);
        CheckHeader(*header, vector["fields"]);
        BOOST_CHECK(MeetsStamp(header->GetHash(), stamp_bits));
        BOOST_CHECK(ToBytes(Using<HeaderFormatter>(*header)) == bytes);
    }
    for (const UniValue& vector : Cases(json, "commitments_invalid")) {
        const auto header{ParseCommitment(HexBytes(vector["hex"]))};
        if (vector["reason"].get_str() == "podl-commit-stamp") {
            BOOST_REQUIRE(header);
            BOOST_CHECK(!MeetsStamp(header->GetHash(), stamp_bits));
        } else {
            BOOST_CHECK_EQUAL(Reason(header), vector["reason"].get_str());
        }
    }
}

BOOST_AUTO_TEST_CASE(stamps_count_leading_zero_bits)
{
    uint256 hash;
    BOOST_CHECK(MeetsStamp(hash, 32));
    hash.data()[31] = 0x10; // the highest byte as Bitcoin shows it
    for (const uint8_t bits : {0, 1, 2, 3}) BOOST_CHECK(MeetsStamp(hash, bits));
    for (const uint8_t bits : {4, 5, 8, 32}) BOOST_CHECK(!MeetsStamp(hash, bits));
}

BOOST_AUTO_TEST_CASE(recipes)
{
    const UniValue json{LoadVectors("recipe.json")};
    for (const UniValue& vector : Cases(json, "valid")) {
        const auto bytes{HexBytes(vector["hex"])};
        BOOST_CHECK_EQUAL(bytes.size(), RECIPE_SIZE);
        const auto recipe{ParseExact<Recipe>(bytes, "")};
        BOOST_REQUIRE(recipe);
        const UniValue& fields{vector["fields"]};
        CHECK_NUMBER(*recipe, fields, version);
        CHECK_NUMBER(*recipe, fields, architecture);
        CHECK_NUMBER(*recipe, fields, b);
        CHECK_NUMBER(*recipe, fields, epochs);
        CHECK_NUMBER(*recipe, fields, k);
        CHECK_NUMBER(*recipe, fields, lr_odd);
        CHECK_NUMBER(*recipe, fields, drop);
        CHECK_NUMBER(*recipe, fields, mu);
        CHECK_NUMBER(*recipe, fields, trial);
        CHECK_H32(*recipe, fields, parent);
        BOOST_CHECK(ToBytes(*recipe) == bytes);
        BOOST_CHECK_EQUAL(recipe->GetHash(), H32(vector["hash"]));
    }
}

BOOST_AUTO_TEST_CASE(malformed_recipes)
{
    const UniValue json{LoadVectors("recipe.json")};
    const Task task{TaskOf(json["task"])};
    for (const UniValue& vector : Cases(json, "invalid")) {
        const auto recipe{ParseExact<Recipe>(HexBytes(vector["hex"]), "podl-recipe-size")};
        const std::string reason{recipe ? Reason(CheckRecipe(*recipe, RecordFor(task, vector))) : recipe.error().reason};
        BOOST_CHECK_MESSAGE(reason == vector["reason"].get_str(), vector["case"].get_str() << ": " << reason);
    }
}

BOOST_AUTO_TEST_CASE(recipes_within_a_task)
{
    const UniValue json{LoadVectors("recipe.json")};
    const Task task{TaskOf(json["task"])};
    for (const UniValue& vector : Cases(json, "bounds")) {
        const auto recipe{ParseExact<Recipe>(HexBytes(vector["recipe"]), "")};
        BOOST_REQUIRE(recipe);
        const auto result{CheckRecipe(*recipe, RecordFor(task, vector))};
        BOOST_CHECK_MESSAGE(Reason(result) == vector["reason"].get_str(), vector["case"].get_str() << ": " << Why(result));
    }
}

BOOST_AUTO_TEST_CASE(a_refused_batch_names_layer_and_bound)
{
    const UniValue json{LoadVectors("recipe.json")};
    const UniValue& vector{json["bounds"][json["bounds"].size() - 1]};
    const auto recipe{ParseExact<Recipe>(HexBytes(vector["recipe"]), "")};
    BOOST_REQUIRE(recipe);
    const auto result{CheckRecipe(*recipe, RecordFor(TaskOf(json["task"]), vector))};
    BOOST_CHECK_MESSAGE(Why(result).find("layer 1: 256 positions times a batch of 2^15 above 4194304") != std::string::npos, Why(result));
}

BOOST_AUTO_TEST_CASE(reveals)
{
    ScopedPodlHeaders flag;
    const UniValue json{LoadVectors("reveal.json")};
    for (const UniValue& vector : Cases(json, "valid")) {
        const auto bytes{HexBytes(vector["hex"])};
        const auto reveal{ParseReveal(bytes)};
        BOOST_REQUIRE(reveal);
        const UniValue& fields{vector["fields"]};
        const UniValue& disclosure{fields["disclosure"]};
        CheckHeader(reveal->disclosure.header, disclosure["header"]);
        CheckOpening(reveal->disclosure.opening, disclosure["opening"]);
        BOOST_CHECK(ToBytes(reveal->disclosure.recipe) == HexBytes(disclosure["recipe"]));
        BOOST_CHECK(reveal->disclosure.payout == HexBytes(disclosure["payout"]));
        CHECK_H32(*reveal, fields, release_id);
        CHECK_NUMBER(reveal->claim, fields, claim);
        BOOST_CHECK_EQUAL(reveal->id, H32(vector["id"]));
        BOOST_CHECK(ToBytes(*reveal) == bytes && reveal->bytes == bytes);

        const Opening& opening{reveal->disclosure.opening};
        const uint256 message{RevealMessage(opening.chain_id, reveal->release_id, reveal->BlockHash(), reveal->claim.claim)};
        BOOST_CHECK_EQUAL(XOnlyPubKey{opening.reveal_key}.VerifySchnorr(message, reveal->claim.signature), vector["signature_valid"].get_bool());
    }
    for (const UniValue& vector : Cases(json, "invalid")) {
        BOOST_CHECK_EQUAL(Reason(ParseReveal(HexBytes(vector["hex"]))), vector["reason"].get_str());
    }
}

BOOST_AUTO_TEST_CASE(reveals_of_other_headers)
{
    ScopedPodlHeaders flag;
    auto bytes{HexBytes(LoadVectors("reveal.json")["valid"][0]["hex"])};
    bytes[4] = 0x20; // highest byte of the version behind the reveal's own version byte
    BOOST_CHECK_EQUAL(Reason(ParseReveal(bytes)), "podl-commit-version");
}

BOOST_AUTO_TEST_CASE(coinbases)
{
    const UniValue json{LoadVectors("coinbase.json")};
    const auto payout{HexBytes(json["payout"])};
    for (const UniValue& vector : Cases(json, "cases")) {
        CMutableTransaction mutable_tx;
        SpanReader{HexBytes(vector["tx"])} >> TX_NO_WITNESS(mutable_tx);
        const auto result{CheckCoinbase(CTransaction{mutable_tx}, payout)};
        BOOST_CHECK_MESSAGE(Reason(result) == vector["reason"].get_str(), vector["case"].get_str() << ": " << Reason(result));
        if (!result) BOOST_CHECK(result.error().cls == FailureClass::PERM);
    }
}

BOOST_AUTO_TEST_SUITE_END()
