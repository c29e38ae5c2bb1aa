// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <rpc/podl.h>

#include <podl/manager.h>
#include <rpc/podl_util.h>
#include <rpc/request.h>
#include <rpc/util.h>
#include <univalue.h>
#include <util/string.h>

#include <string>
#include <utility>
#include <vector>

namespace {

template <typename View>
UniValue ToArray(const std::vector<View>& views, UniValue (*to_json)(const View&))
{
    UniValue array{UniValue::VARR};
    for (const View& view : views) array.push_back(to_json(view));
    return array;
}

UniValue AlarmToJSON(const podl::AlarmView& alarm)
{
    UniValue object{UniValue::VOBJ};
    object.pushKV("reason", alarm.reason);
    object.pushKV("detail", alarm.detail);
    object.pushKV("time", alarm.time);
    UniValue ids{UniValue::VARR};
    for (const std::string& id : alarm.ids) ids.push_back(id);
    object.pushKV("ids", std::move(ids));
    return object;
}

UniValue EvaluatorToJSON(const podl::EvaluatorView& evaluator)
{
    UniValue object{UniValue::VOBJ};
    object.pushKV("name", evaluator.name);
    object.pushKV("device", evaluator.device);
    object.pushKV("verdicts", evaluator.verdicts);
    object.pushKV("last", evaluator.last);
    return object;
}

UniValue WaitingToJSON(const podl::WaitingView& waiting)
{
    UniValue object{UniValue::VOBJ};
    object.pushKV("what", waiting.what);
    object.pushKV("id", waiting.id);
    object.pushKV("height", waiting.height);
    object.pushKV("since", waiting.since);
    return object;
}

void PushPhase(UniValue& object, const podl::InfoView& info)
{
    object.pushKV("height", info.height);
    object.pushKV("phase", info.reveal_phase ? "reveal" : "commit");
    if (info.reveal_phase) {
        object.pushKV("attempt", info.attempt);
        object.pushKV("release_id", PodlHex(info.release_id));
    }
    object.pushKV("opening_release_id", PodlHex(info.opening_release_id));
    object.pushKV("prev", info.prev ? info.prev->GetHex() : "");
}

UniValue InfoToJSON(const podl::InfoView& info)
{
    UniValue object{UniValue::VOBJ};
    object.pushKV("podlheight", info.podl_height);
    object.pushKV("chain_id", PodlHex(info.chain_id));
    object.pushKV("task_id", PodlHex(info.task_id));
    PushPhase(object, info);
    object.pushKV("entries", info.entries);
    object.pushKV("digest", PodlHex(info.digest));
    object.pushKV("finals", info.finals);
    object.pushKV("commitments", info.commitments);
    object.pushKV("candidates", info.candidates);
    object.pushKV("state", info.frozen ? "frozen" : info.is_void ? "void" : "running");
    object.pushKV("alarms", ToArray(info.alarms, AlarmToJSON));
    object.pushKV("accuracywork", util::ToString(info.accuracy_work));
    UniValue heights{UniValue::VOBJ};
    heights.pushKV("evaluated", info.evaluated);
    object.pushKV("heights", std::move(heights));
    object.pushKV("evaluator", podl::ModeName(info.evaluator));
    object.pushKV("evaluators", ToArray(info.evaluators, EvaluatorToJSON));
    object.pushKV("waiting", ToArray(info.waiting, WaitingToJSON));
    return object;
}

std::vector<RPCResult> InfoDoc()
{
    return {
        {RPCResult::Type::NUM, "podlheight", "First height with proof of deep learning"},
        {RPCResult::Type::STR_HEX, "chain_id", "Id of the chain's first task entry"},
        {RPCResult::Type::STR_HEX, "task_id", "Id of the task entry in force at height"},
        {RPCResult::Type::NUM, "height", "The next height without a final"},
        {RPCResult::Type::STR, "phase", "\"commit\" or \"reveal\""},
        {RPCResult::Type::NUM, "attempt", /*optional=*/true, "Attempt at this height (only in phase \"reveal\")"},
        {RPCResult::Type::STR_HEX, "release_id", /*optional=*/true, "Id of the latest release (only in phase \"reveal\")"},
        {RPCResult::Type::STR_HEX, "opening_release_id", "release_id for the opening of a commitment"},
        {RPCResult::Type::STR, "prev", "Hash of the block that commitments build on, empty while unknown"},
        {RPCResult::Type::NUM, "entries", "Entries in the schedule"},
        {RPCResult::Type::STR_HEX, "digest", "Id of the last entry; equal digests, equal schedules"},
        {RPCResult::Type::NUM, "finals", "Finals in the schedule"},
        {RPCResult::Type::NUM, "commitments", "Commitments in the pool"},
        {RPCResult::Type::NUM, "candidates", "Candidates with an accepted reveal"},
        {RPCResult::Type::STR, "state", "\"running\", \"void\" (the last final is void, the next attempt at its height must follow) or \"frozen\" (no entry is accepted until choosepodlentry)"},
        {RPCResult::Type::ARR, "alarms", "What an operator should look at",
        {
            {RPCResult::Type::OBJ, "", "",
            {
                {RPCResult::Type::STR, "reason", "Named reason"},
                {RPCResult::Type::STR, "detail", "What exactly was found"},
                {RPCResult::Type::NUM_TIME, "time", "When, expressed in " + UNIX_EPOCH_TIME},
                {RPCResult::Type::ARR, "ids", "The objects concerned", {{RPCResult::Type::STR_HEX, "", "An id, root or block hash"}}},
            }},
        }},
        {RPCResult::Type::STR, "accuracywork", "Sum over the finals that are not void of floor(2^24 * n / (n - correct + 1)), a decimal number"},
        {RPCResult::Type::OBJ, "heights", "Numbers of heights",
        {
            {RPCResult::Type::NUM, "evaluated", "Finals whose claim this node's verdict confirms"},
        }},
        {RPCResult::Type::STR, "evaluator", "Whose verdicts this node judges by (-podlevaluator): \"auto\", \"sidecar\", \"internal\" or \"both\""},
        {RPCResult::Type::ARR, "evaluators", "Evaluators that submitted verdicts, and the node's own, \"internal\", where it is on",
        {
            {RPCResult::Type::OBJ, "", "",
            {
                {RPCResult::Type::STR, "name", "Its name"},
                {RPCResult::Type::STR, "device", "What it measured on last"},
                {RPCResult::Type::NUM, "verdicts", "Number of its verdicts"},
                {RPCResult::Type::NUM_TIME, "last", "Time of the last one, expressed in " + UNIX_EPOCH_TIME + "; 0 before the first"},
            }},
        }},
        {RPCResult::Type::ARR, "waiting", "What this node needs to get on",
        {
            {RPCResult::Type::OBJ, "", "",
            {
                {RPCResult::Type::STR, "what", "\"entry\", \"body\", \"weights\", \"model\", \"shard\" or \"evaluator\""},
                {RPCResult::Type::STR_HEX, "id", "The object"},
                {RPCResult::Type::NUM, "height", "The height that needs it"},
                {RPCResult::Type::NUM_TIME, "since", "Since when, expressed in " + UNIX_EPOCH_TIME},
            }},
        }},
    };
}

} // namespace

RPCMethod getpodlinfo()
{
    return RPCMethod{
        "getpodlinfo",
        "Return the state of proof of deep learning on this node.\n",
        {},
        RPCResult{RPCResult::Type::OBJ, "", "", InfoDoc()},
        RPCExamples{
            HelpExampleCli("getpodlinfo", "")
            + HelpExampleRpc("getpodlinfo", "")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            return InfoToJSON(EnsurePodl(request.context).Info());
        },
    };
}
