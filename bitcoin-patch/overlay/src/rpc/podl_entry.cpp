// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <rpc/podl_entry.h>

#include <podl/codec.h>
#include <podl/disclosure.h>
#include <podl/entry.h>
#include <rpc/podl_util.h>
#include <uint256.h>
#include <util/check.h>
#include <util/overloaded.h>
#include <util/strencodings.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <variant>

using podl::Entry;
using podl::EntryType;
using podl::Final;
using podl::Opening;
using podl::Recipe;
using podl::Release;
using podl::Shards;
using podl::Task;

namespace {

/** A member that is a plain number: one table gives both the values and their documentation. */
template <typename T>
struct NumberField {
    const char* name;
    uint64_t (*get)(const T&);
};

/** A member that is an id, root or key. */
template <typename T>
struct HashField {
    const char* name;
    const uint256& (*get)(const T&);
};

#define PODL_NUMBER(T, member) NumberField<T>{#member, [](const T& o) -> uint64_t { return o.member; }}
#define PODL_HASH(T, member) HashField<T>{#member, [](const T& o) -> const uint256& { return o.member; }}

constexpr NumberField<Task> TASK_NUMBERS[]{
    PODL_NUMBER(Task, arithmetic), PODL_NUMBER(Task, first_height), PODL_NUMBER(Task, training_n), PODL_NUMBER(Task, classes),
    PODL_NUMBER(Task, b_min), PODL_NUMBER(Task, b_max), PODL_NUMBER(Task, epochs_min), PODL_NUMBER(Task, epochs_max),
    PODL_NUMBER(Task, k_min), PODL_NUMBER(Task, k_max), PODL_NUMBER(Task, max_replay_macs), PODL_NUMBER(Task, n_shards),
    PODL_NUMBER(Task, shard_min), PODL_NUMBER(Task, shard_max), PODL_NUMBER(Task, min_commit), PODL_NUMBER(Task, min_reveal),
    PODL_NUMBER(Task, max_phase), PODL_NUMBER(Task, max_replays), PODL_NUMBER(Task, stamp_bits), PODL_NUMBER(Task, list_size),
    PODL_NUMBER(Task, pool_size), PODL_NUMBER(Task, max_weights), PODL_NUMBER(Task, evaluation_rate), PODL_NUMBER(Task, chunks_in_flight),
    PODL_NUMBER(Task, downloads), PODL_NUMBER(Task, buffer_bytes), PODL_NUMBER(Task, disk_bytes),
};
constexpr HashField<Task> TASK_HASHES[]{
    PODL_HASH(Task, requester_key), PODL_HASH(Task, training_root), PODL_HASH(Task, shard_list_root),
};
constexpr NumberField<Release> RELEASE_NUMBERS[]{
    PODL_NUMBER(Release, height), PODL_NUMBER(Release, attempt), PODL_NUMBER(Release, shard_index), PODL_NUMBER(Release, n),
};
constexpr HashField<Release> RELEASE_HASHES[]{PODL_HASH(Release, test_root), PODL_HASH(Release, salt)};
constexpr NumberField<Opening> OPENING_NUMBERS[]{
    PODL_NUMBER(Opening, height), PODL_NUMBER(Opening, n_params), PODL_NUMBER(Opening, n_checkpoints),
};
constexpr HashField<Opening> OPENING_HASHES[]{
    PODL_HASH(Opening, chain_id), PODL_HASH(Opening, task_id), PODL_HASH(Opening, release_id), PODL_HASH(Opening, weights_root),
    PODL_HASH(Opening, model_root), PODL_HASH(Opening, recipe_hash), PODL_HASH(Opening, checkpoints_root),
    PODL_HASH(Opening, payout_hash), PODL_HASH(Opening, reveal_key), PODL_HASH(Opening, salt),
};
constexpr NumberField<Recipe> RECIPE_NUMBERS[]{
    PODL_NUMBER(Recipe, version), PODL_NUMBER(Recipe, architecture), PODL_NUMBER(Recipe, b), PODL_NUMBER(Recipe, epochs),
    PODL_NUMBER(Recipe, k), PODL_NUMBER(Recipe, lr_odd), PODL_NUMBER(Recipe, drop), PODL_NUMBER(Recipe, mu), PODL_NUMBER(Recipe, trial),
};
constexpr HashField<Recipe> RECIPE_HASHES[]{PODL_HASH(Recipe, parent)};

#undef PODL_NUMBER
#undef PODL_HASH

template <typename T>
void PushFields(UniValue& object, const T& value, const auto& numbers, const auto& hashes)
{
    for (const auto& field : numbers) object.pushKV(field.name, field.get(value));
    for (const auto& field : hashes) object.pushKV(field.name, PodlHex(field.get(value)));
}

std::vector<RPCResult> FieldsDoc(const auto& numbers, const auto& hashes, bool optional)
{
    std::vector<RPCResult> doc;
    for (const auto& field : numbers) doc.emplace_back(RPCResult::Type::NUM, field.name, optional, "");
    for (const auto& field : hashes) doc.emplace_back(RPCResult::Type::STR_HEX, field.name, optional, "");
    return doc;
}

UniValue Strings(const auto& items, auto&& to_string)
{
    UniValue array{UniValue::VARR};
    for (const auto& item : items) array.push_back(to_string(item));
    return array;
}

std::string BytesHex(const std::vector<unsigned char>& bytes)
{
    return HexStr(bytes);
}

std::string TypeName(EntryType type)
{
    switch (type) {
    case EntryType::TASK: return "task";
    case EntryType::RELEASE: return "release";
    case EntryType::FINAL: return "final";
    case EntryType::SHARDS: return "shards";
    } // no default case, so the compiler can warn about missing cases
    NONFATAL_UNREACHABLE();
}

void PushTask(UniValue& object, const Task& task)
{
    PushFields(object, task, TASK_NUMBERS, TASK_HASHES);
    UniValue dims{UniValue::VARR};
    for (const uint16_t dim : task.dims) dims.push_back(uint64_t{dim});
    object.pushKV("dims", std::move(dims));
    object.pushKV("programs", Strings(task.programs, BytesHex));
    object.pushKV("require_replay", task.require_replay != 0);
}

void PushRelease(UniValue& object, const Release& release)
{
    PushFields(object, release, RELEASE_NUMBERS, RELEASE_HASHES);
    object.pushKV("prev_block", release.prev_block.GetHex());
    object.pushKV("path", Strings(release.path, PodlHex));
    object.pushKV("list", Strings(release.list, [](const uint256& hash) { return hash.GetHex(); }));
}

void PushFinal(UniValue& object, const Final& final)
{
    const podl::Disclosure& disclosure{final.disclosure};
    object.pushKV("height", final.height);
    object.pushKV("attempt", final.attempt);
    object.pushKV("blockhash", final.BlockHash().GetHex());
    object.pushKV("header", HexStr(podl::ToBytes(Using<podl::HeaderFormatter>(disclosure.header))));
    UniValue opening{UniValue::VOBJ};
    PushFields(opening, disclosure.opening, OPENING_NUMBERS, OPENING_HASHES);
    object.pushKV("opening", std::move(opening));
    UniValue recipe{UniValue::VOBJ};
    PushFields(recipe, disclosure.recipe, RECIPE_NUMBERS, RECIPE_HASHES);
    object.pushKV("recipe", std::move(recipe));
    object.pushKV("payout", HexStr(disclosure.payout));
    object.pushKV("claim", final.claim.claim);
    object.pushKV("reveal_signature", HexStr(final.claim.signature));
    object.pushKV("replayed", final.replayed);
    UniValue skipped{UniValue::VARR};
    for (const podl::Skipped& skip : final.skipped) {
        UniValue item{UniValue::VOBJ};
        item.pushKV("list_index", skip.list_index);
        item.pushKV("reason", skip.reason);
        skipped.push_back(std::move(item));
    }
    object.pushKV("skipped", std::move(skipped));
}

void PushShards(UniValue& object, const Shards& shards)
{
    object.pushKV("shard_list_root", PodlHex(shards.shard_list_root));
    object.pushKV("n_shards", shards.n_shards);
}

} // namespace

UniValue EntryToJSON(const podl::EntryView& view, bool decode)
{
    const auto parsed{podl::ParseEntry(view.bytes)};
    CHECK_NONFATAL(parsed.has_value()); // the manager holds nothing else
    const Entry& entry{*parsed};

    UniValue object{UniValue::VOBJ};
    object.pushKV("index", view.index);
    object.pushKV("id", PodlHex(view.id));
    object.pushKV("type", TypeName(entry.type));
    object.pushKV("time", entry.time);
    object.pushKV("hex", HexStr(view.bytes));
    if (!decode) return object;

    object.pushKV("version", entry.version);
    object.pushKV("chain_id", PodlHex(entry.chain_id));
    object.pushKV("prev_entry_id", PodlHex(entry.prev));
    object.pushKV("signature", HexStr(entry.sig));
    std::visit(util::Overloaded{
        [&](const Task& task) { PushTask(object, task); },
        [&](const Release& release) { PushRelease(object, release); },
        [&](const Final& final) { PushFinal(object, final); },
        [&](const Shards& shards) { PushShards(object, shards); },
    }, entry.body);
    return object;
}

std::vector<RPCResult> EntryDoc()
{
    std::vector<RPCResult> doc{
        {RPCResult::Type::NUM, "index", "Position in the schedule, from 0"},
        {RPCResult::Type::STR_HEX, "id", "The entry's id"},
        {RPCResult::Type::STR, "type", "\"task\", \"release\", \"final\" or \"shards\""},
        {RPCResult::Type::NUM_TIME, "time", "When the requester signed it, expressed in " + UNIX_EPOCH_TIME},
        {RPCResult::Type::STR_HEX, "hex", "The serialized entry"},
        {RPCResult::Type::NUM, "version", /*optional=*/true, "From here on only with verbosity >= 1: the entry's fields, those of its type only"},
        {RPCResult::Type::STR_HEX, "chain_id", /*optional=*/true, "Zero in the chain's first entry"},
        {RPCResult::Type::STR_HEX, "prev_entry_id", /*optional=*/true, "Zero in the chain's first entry"},
        {RPCResult::Type::STR_HEX, "signature", /*optional=*/true, "The requester's signature over the id"},
        {RPCResult::Type::ARR, "dims", /*optional=*/true, "Shape of one sample", {{RPCResult::Type::NUM, "", ""}}},
        {RPCResult::Type::ARR, "programs", /*optional=*/true, "Layer programs, one per architecture", {{RPCResult::Type::STR_HEX, "", ""}}},
        {RPCResult::Type::BOOL, "require_replay", /*optional=*/true, "Whether a final needs a replay of the training"},
        {RPCResult::Type::STR_HEX, "prev_block", /*optional=*/true, "Block to build on"},
        {RPCResult::Type::ARR, "path", /*optional=*/true, "Proof that the shard is in the shard list", {{RPCResult::Type::STR_HEX, "", ""}}},
        {RPCResult::Type::ARR, "list", /*optional=*/true, "Admitted headers", {{RPCResult::Type::STR_HEX, "", "A block hash"}}},
        {RPCResult::Type::STR_HEX, "blockhash", /*optional=*/true, "The block that the final names"},
        {RPCResult::Type::STR_HEX, "header", /*optional=*/true, "Its header of 112 bytes"},
        {RPCResult::Type::OBJ, "opening", /*optional=*/true, "The values behind its model hash", FieldsDoc(OPENING_NUMBERS, OPENING_HASHES, /*optional=*/false)},
        {RPCResult::Type::OBJ, "recipe", /*optional=*/true, "How its model was trained", FieldsDoc(RECIPE_NUMBERS, RECIPE_HASHES, /*optional=*/false)},
        {RPCResult::Type::STR_HEX, "payout", /*optional=*/true, "Script that its coinbase pays"},
        {RPCResult::Type::NUM, "claim", /*optional=*/true, "Correctly classified test samples"},
        {RPCResult::Type::STR_HEX, "reveal_signature", /*optional=*/true, "The miner's signature over the claim"},
        {RPCResult::Type::BOOL, "replayed", /*optional=*/true, "Whether the requester replayed the training"},
        {RPCResult::Type::ARR, "skipped", /*optional=*/true, "Candidates passed over", {
            {RPCResult::Type::OBJ, "", "", {
                {RPCResult::Type::NUM, "list_index", "Position in the release's list"},
                {RPCResult::Type::NUM, "reason", "1 replay mismatch, 2 bytes not served, 3 invalid"},
            }},
        }},
    };
    const auto append{[&doc](const std::vector<RPCResult>& fields) { std::ranges::copy(fields, std::back_inserter(doc)); }};
    append(FieldsDoc(TASK_NUMBERS, TASK_HASHES, /*optional=*/true));
    append(FieldsDoc(RELEASE_NUMBERS, RELEASE_HASHES, /*optional=*/true));
    return doc;
}
