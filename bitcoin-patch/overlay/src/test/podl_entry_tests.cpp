// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/entry.h>
#include <podl/task.h>

#include <test/podl_vectors.h>

#include <boost/test/unit_test.hpp>

#include <string>
#include <variant>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

void CheckTaskFields(const Task& task, const UniValue& fields)
{
    CHECK_NUMBER(task, fields, arithmetic);
    CHECK_NUMBER(task, fields, first_height);
    CHECK_H32(task, fields, requester_key);
    CHECK_H32(task, fields, training_root);
    CHECK_NUMBER(task, fields, training_n);
    BOOST_REQUIRE_EQUAL(task.dims.size(), fields["dims"].size());
    for (size_t i{0}; i < task.dims.size(); ++i) BOOST_CHECK_EQUAL(task.dims[i], fields["dims"][i].getInt<uint16_t>());
    CHECK_NUMBER(task, fields, classes);
    BOOST_REQUIRE_EQUAL(task.programs.size(), fields["programs"].size());
    for (size_t i{0}; i < task.programs.size(); ++i) BOOST_CHECK(task.programs[i] == HexBytes(fields["programs"][i]));
    CHECK_NUMBER(task, fields, b_min);
    CHECK_NUMBER(task, fields, b_max);
    CHECK_NUMBER(task, fields, epochs_min);
    CHECK_NUMBER(task, fields, epochs_max);
    CHECK_NUMBER(task, fields, k_min);
    CHECK_NUMBER(task, fields, k_max);
    CHECK_NUMBER(task, fields, max_replay_macs);
    CHECK_NUMBER(task, fields, n_shards);
    CHECK_H32(task, fields, shard_list_root);
    CHECK_NUMBER(task, fields, shard_min);
    CHECK_NUMBER(task, fields, shard_max);
    CHECK_NUMBER(task, fields, min_commit);
    CHECK_NUMBER(task, fields, min_reveal);
    CHECK_NUMBER(task, fields, max_phase);
    CHECK_NUMBER(task, fields, require_replay);
    CHECK_NUMBER(task, fields, max_replays);
    CHECK_NUMBER(task, fields, stamp_bits);
    CHECK_NUMBER(task, fields, list_size);
    CHECK_NUMBER(task, fields, pool_size);
    CHECK_NUMBER(task, fields, max_weights);
    CHECK_NUMBER(task, fields, evaluation_rate);
    CHECK_NUMBER(task, fields, chunks_in_flight);
    CHECK_NUMBER(task, fields, downloads);
    CHECK_NUMBER(task, fields, buffer_bytes);
    CHECK_NUMBER(task, fields, disk_bytes);
}

void CheckReleaseFields(const Release& release, const UniValue& fields)
{
    CHECK_NUMBER(release, fields, height);
    CHECK_NUMBER(release, fields, attempt);
    CHECK_H32(release, fields, prev_block);
    CHECK_NUMBER(release, fields, shard_index);
    CHECK_H32(release, fields, test_root);
    CHECK_NUMBER(release, fields, n);
    CHECK_H32(release, fields, salt);
    BOOST_CHECK(release.path == H32List(fields["path"]));
    BOOST_CHECK(release.list == H32List(fields["listed"]));
}

void CheckFinalFields(const Final& final, const UniValue& fields)
{
    CHECK_NUMBER(final, fields, height);
    CHECK_NUMBER(final, fields, attempt);
    const UniValue& disclosure{fields["disclosure"]};
    BOOST_CHECK_EQUAL(final.BlockHash(), H32(disclosure["header"]["hash"]));
    BOOST_CHECK_EQUAL(final.disclosure.opening.weights_root, H32(disclosure["opening"]["weights_root"]));
    BOOST_CHECK(ToBytes(final.disclosure.recipe) == HexBytes(disclosure["recipe"]));
    BOOST_CHECK(final.disclosure.payout == HexBytes(disclosure["payout"]));
    CHECK_NUMBER(final.claim, fields, claim);
    const auto signature{HexBytes(fields["reveal_signature"])};
    BOOST_CHECK_EQUAL_COLLECTIONS(final.claim.signature.begin(), final.claim.signature.end(), signature.begin(), signature.end());
    BOOST_CHECK_EQUAL(final.replayed, fields["replayed"].get_bool());
    BOOST_REQUIRE_EQUAL(final.skipped.size(), fields["skipped"].size());
    for (size_t i{0}; i < final.skipped.size(); ++i) {
        const UniValue& skipped{fields["skipped"][i]};
        BOOST_CHECK_EQUAL(final.skipped[i].list_index, skipped["index"].getInt<uint16_t>());
        BOOST_CHECK_EQUAL(final.skipped[i].reason, skipped["reason"].getInt<uint8_t>());
    }
}

void CheckBody(const Entry& entry, const UniValue& fields)
{
    if (const Task* task{entry.AsTask()}) {
        CheckTaskFields(*task, fields);
    } else if (const Release* release{entry.AsRelease()}) {
        CheckReleaseFields(*release, fields);
    } else if (const Final* final{entry.AsFinal()}) {
        CheckFinalFields(*final, fields);
    } else {
        const auto& shards{std::get<Shards>(entry.body)};
        CHECK_H32(shards, fields, shard_list_root);
        CHECK_NUMBER(shards, fields, n_shards);
    }
}

Entry CheckEntry(const UniValue& vector, const uint256& key)
{
    const auto bytes{HexBytes(vector["hex"])};
    auto entry{ParseEntry(bytes)};
    BOOST_REQUIRE_MESSAGE(entry, vector["case"].get_str());
    BOOST_CHECK_EQUAL(static_cast<int>(entry->type), vector["type"].getInt<int>());
    CHECK_H32(*entry, vector, chain_id);
    CHECK_H32(*entry, vector, prev);
    CHECK_NUMBER(*entry, vector, time);
    CHECK_H32(*entry, vector, id);
    CheckBody(*entry, vector["body"]);
    BOOST_CHECK_EQUAL(VerifyEntrySignature(*entry, key), vector["signature_valid"].get_bool());
    BOOST_CHECK(entry->bytes == bytes);

    Entry again{*entry};
    again.id.SetNull();
    again.bytes.clear();
    SealEntry(again);
    BOOST_CHECK(again.bytes == bytes);
    BOOST_CHECK_EQUAL(again.id, entry->id);
    return *entry;
}

} // namespace

BOOST_AUTO_TEST_SUITE(podl_entry_tests)

BOOST_AUTO_TEST_CASE(entries)
{
    ScopedPodlHeaders flag;
    const UniValue json{LoadVectors("entries.json")};
    const uint256 key{H32(json["requester_key"])};
    for (const UniValue& vector : Cases(json, "valid")) CheckEntry(vector, key);
}

BOOST_AUTO_TEST_CASE(the_signature_is_no_part_of_the_id)
{
    ScopedPodlHeaders flag;
    const UniValue json{LoadVectors("entries.json")};
    const uint256 key{H32(json["requester_key"])};
    const auto vectors{Cases(json, "same_id")};
    const uint256 id{CheckEntry(vectors.front(), key).id};
    for (const UniValue& vector : vectors) BOOST_CHECK_EQUAL(CheckEntry(vector, key).id, id);
}

BOOST_AUTO_TEST_CASE(malformed_entries)
{
    for (const UniValue& vector : Cases(LoadVectors("entries.json"), "invalid")) {
        const auto entry{ParseEntry(HexBytes(vector["hex"]))};
        BOOST_CHECK_MESSAGE(Reason(entry) == vector["reason"].get_str(), vector["case"].get_str() << ": " << Reason(entry));
    }
}

BOOST_AUTO_TEST_CASE(every_prefix_is_refused)
{
    for (const UniValue& vector : Cases(LoadVectors("entries.json"), "valid")) {
        const auto bytes{HexBytes(vector["hex"])};
        for (size_t length{0}; length < bytes.size(); ++length) {
            BOOST_CHECK_EQUAL(Reason(ParseEntry(std::span{bytes}.first(length))), "podl-entry-noncanonical");
        }
    }
}

BOOST_AUTO_TEST_CASE(longest_entry)
{
    Entry entry;
    Task& task{entry.body.emplace<Task>()};
    task.dims = {1};
    task.programs.resize(2);
    SealEntry(entry);
    const size_t room{MAX_ENTRY_SIZE - entry.bytes.size()};
    task.programs[0].resize(room / 2);
    task.programs[1].resize(room - room / 2);
    SealEntry(entry);
    BOOST_CHECK_EQUAL(entry.bytes.size(), MAX_ENTRY_SIZE);
    BOOST_CHECK_EQUAL(Reason(ParseEntry(entry.bytes)), "");
    task.programs[0].push_back(0);
    SealEntry(entry);
    BOOST_CHECK_EQUAL(Reason(ParseEntry(entry.bytes)), "podl-entry-noncanonical");
}

BOOST_AUTO_TEST_CASE(tasks)
{
    for (const UniValue& vector : Cases(LoadVectors("task.json"), "valid")) {
        const auto entry{ParseEntry(HexBytes(vector["hex"]))};
        BOOST_REQUIRE(entry && entry->AsTask());
        CHECK_H32(*entry, vector, id);
        CheckTaskFields(*entry->AsTask(), vector["fields"]);
        const auto programs{CheckTask(*entry->AsTask())};
        BOOST_REQUIRE_MESSAGE(programs, vector["case"].get_str());
        BOOST_REQUIRE_EQUAL(programs->size(), vector["programs"].size());
        for (size_t i{0}; i < programs->size(); ++i) {
            CHECK_NUMBER(programs->at(i), vector["programs"][i], n_params);
            CHECK_NUMBER(programs->at(i), vector["programs"][i], macs);
        }
    }
}

BOOST_AUTO_TEST_CASE(bad_tasks)
{
    for (const UniValue& vector : Cases(LoadVectors("task.json"), "invalid")) {
        const auto entry{ParseEntry(HexBytes(vector["hex"]))};
        BOOST_REQUIRE(entry && entry->AsTask());
        const std::string reason{Reason(CheckTask(*entry->AsTask()))};
        BOOST_CHECK_MESSAGE(reason == vector["reason"].get_str(), vector["case"].get_str() << ": " << reason);
    }
}

BOOST_AUTO_TEST_CASE(later_tasks)
{
    const UniValue json{LoadVectors("task.json")};
    const auto first{ParseEntry(HexBytes(json["first"]))};
    BOOST_REQUIRE(first && first->AsTask());
    for (const UniValue& vector : Cases(json, "later")) {
        const auto later{ParseEntry(HexBytes(vector["hex"]))};
        BOOST_REQUIRE(later && later->AsTask());
        const std::string reason{Reason(CheckLaterTask(*first->AsTask(), *later->AsTask()))};
        BOOST_CHECK_MESSAGE(reason == vector["reason"].get_str(), vector["case"].get_str() << ": " << reason);
    }
}

BOOST_AUTO_TEST_SUITE_END()
