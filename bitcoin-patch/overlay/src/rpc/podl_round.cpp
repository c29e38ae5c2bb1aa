// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <rpc/podl.h>

#include <podl/manager.h>
#include <rpc/podl_entry.h>
#include <rpc/podl_util.h>
#include <rpc/request.h>
#include <rpc/util.h>
#include <uint256.h>
#include <univalue.h>
#include <util/strencodings.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace {

constexpr uint64_t DEFAULT_ENTRIES{100};
constexpr uint64_t MAX_ENTRIES{1000};

UniValue NumberArray(const auto& numbers)
{
    UniValue array{UniValue::VARR};
    for (const auto number : numbers) array.push_back(uint64_t{number});
    return array;
}

UniValue CandidateToJSON(const podl::CandidateView& candidate)
{
    UniValue object{UniValue::VOBJ};
    object.pushKV("hash", candidate.hash.GetHex());
    object.pushKV("position", candidate.position);
    object.pushKV("architecture", candidate.architecture);
    object.pushKV("claims", NumberArray(candidate.claims));
    UniValue signatures{UniValue::VARR};
    for (const auto& signature : candidate.signatures) signatures.push_back(HexStr(signature));
    object.pushKV("signatures", std::move(signatures));
    object.pushKV("opening", HexStr(candidate.opening));
    object.pushKV("recipe", HexStr(candidate.recipe));
    object.pushKV("payout", HexStr(candidate.payout));
    object.pushKV("header", HexStr(candidate.header));
    object.pushKV("weights_root", PodlHex(candidate.weights_root));
    object.pushKV("model_root", PodlHex(candidate.model_root));
    object.pushKV("parent", PodlHex(candidate.parent));
    object.pushKV("body", candidate.body);
    object.pushKV("weights", candidate.weights);
    object.pushKV("model", candidate.model);
    object.pushKV("state", candidate.state);
    if (!candidate.reason.empty()) object.pushKV("reason", candidate.reason);
    if (candidate.count) object.pushKV("count", *candidate.count);
    if (candidate.rank_sum) object.pushKV("rank_sum", *candidate.rank_sum);
    return object;
}

UniValue JobToJSON(const podl::JobView& job)
{
    UniValue object{UniValue::VOBJ};
    object.pushKV("purpose", job.is_final ? "final" : "candidate");
    object.pushKV("height", job.height);
    object.pushKV("arithmetic", job.arithmetic);
    object.pushKV("program", HexStr(job.program));
    object.pushKV("shape", NumberArray(job.shape));
    object.pushKV("classes", job.classes);
    object.pushKV("weights_root", PodlHex(job.weights_root));
    object.pushKV("test_root", PodlHex(job.test_root));
    object.pushKV("n", job.n);
    object.pushKV("claim", job.claim);
    return object;
}

UniValue CandidatesToJSON(const podl::CandidatesView& view)
{
    UniValue object{UniValue::VOBJ};
    object.pushKV("height", view.height);
    if (!view.release_id.IsNull()) {
        object.pushKV("attempt", view.attempt);
        object.pushKV("release_id", PodlHex(view.release_id));
        object.pushKV("test_root", PodlHex(view.test_root));
        object.pushKV("n", view.n);
        object.pushKV("shard", view.shard);
    }
    UniValue candidates{UniValue::VARR};
    for (const auto& candidate : view.candidates) candidates.push_back(CandidateToJSON(candidate));
    object.pushKV("candidates", std::move(candidates));
    UniValue jobs{UniValue::VARR};
    for (const auto& job : view.jobs) jobs.push_back(JobToJSON(job));
    object.pushKV("jobs", std::move(jobs));
    return object;
}

RPCResult CandidatesDoc()
{
    return {RPCResult::Type::ARR, "candidates", "Listed headers with an accepted reveal, by position",
    {
        {RPCResult::Type::OBJ, "", "",
        {
            {RPCResult::Type::STR_HEX, "hash", "The block hash"},
            {RPCResult::Type::NUM, "position", "Position in the release's list"},
            {RPCResult::Type::NUM, "architecture", "Index into the task's programs"},
            {RPCResult::Type::ARR, "claims", "Signed claims, highest first", {{RPCResult::Type::NUM, "", "Correctly classified samples"}}},
            {RPCResult::Type::ARR, "signatures", "The miner's signatures of the claims, in the same order", {{RPCResult::Type::STR_HEX, "", ""}}},
            {RPCResult::Type::STR_HEX, "opening", "The serialized opening"},
            {RPCResult::Type::STR_HEX, "recipe", "The serialized recipe"},
            {RPCResult::Type::STR_HEX, "payout", "Script that the coinbase pays"},
            {RPCResult::Type::STR_HEX, "header", "The header of 112 bytes"},
            {RPCResult::Type::STR_HEX, "weights_root", "Root of the weights"},
            {RPCResult::Type::STR_HEX, "model_root", "Root of the model"},
            {RPCResult::Type::STR_HEX, "parent", "Root of the model that training started from, or zero"},
            {RPCResult::Type::BOOL, "body", "Whether this node holds the block"},
            {RPCResult::Type::BOOL, "weights", "Whether it holds the weights"},
            {RPCResult::Type::BOOL, "model", "Whether it holds the model"},
            {RPCResult::Type::STR, "state", "\"waiting-body\", \"waiting-weights\", \"waiting-shard\", \"waiting-verdict\", \"not-needed\" (no claim of it can win any more), \"valid\" (a claim equals the count), \"false-claim\" or \"invalid\""},
            {RPCResult::Type::STR, "reason", /*optional=*/true, "Named reason (only for \"invalid\")"},
            {RPCResult::Type::NUM, "count", /*optional=*/true, "Correctly classified samples, once measured"},
            {RPCResult::Type::NUM, "rank_sum", /*optional=*/true, "Sum of the true classes' ranks, once measured"},
        }},
    }};
}

RPCResult JobsDoc()
{
    return {RPCResult::Type::ARR, "jobs", "Evaluations that can be done now, in the order in which they should be",
    {
        {RPCResult::Type::OBJ, "", "",
        {
            {RPCResult::Type::STR, "purpose", "\"candidate\" or \"final\""},
            {RPCResult::Type::NUM, "height", "Height of the block"},
            {RPCResult::Type::NUM, "arithmetic", "Version of the arithmetic"},
            {RPCResult::Type::STR_HEX, "program", "The layer program"},
            {RPCResult::Type::ARR, "shape", "Shape of one sample", {{RPCResult::Type::NUM, "", ""}}},
            {RPCResult::Type::NUM, "classes", "Number of classes"},
            {RPCResult::Type::STR_HEX, "weights_root", "Root of the weights"},
            {RPCResult::Type::STR_HEX, "test_root", "Root of the test shard"},
            {RPCResult::Type::NUM, "n", "Samples in the shard"},
            {RPCResult::Type::NUM, "claim", "The highest open claim"},
        }},
    }};
}

} // namespace

RPCMethod getpodlschedule()
{
    return RPCMethod{
        "getpodlschedule",
        "Return entries of the requester's schedule.\n",
        {
            {"from", RPCArg::Type::NUM, RPCArg::Default{0}, "Index of the first entry"},
            {"count", RPCArg::Type::NUM, RPCArg::Default{DEFAULT_ENTRIES}, "At most so many entries; never more than 1000 are returned"},
            {"verbosity", RPCArg::Type::NUM, RPCArg::Default{0}, "1 for the decoded fields of each entry"},
        },
        RPCResult{RPCResult::Type::OBJ, "", "",
            {
                {RPCResult::Type::NUM, "total", "Entries in the schedule"},
                {RPCResult::Type::ARR, "entries", "", {{RPCResult::Type::OBJ, "", "", EntryDoc()}}},
            }},
        RPCExamples{
            HelpExampleCli("getpodlschedule", "")
            + HelpExampleRpc("getpodlschedule", "10, 100, 1")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            constexpr uint64_t any{std::numeric_limits<uint32_t>::max()};
            const podl::Manager& manager{EnsurePodl(request.context)};
            const uint64_t from{ParsePodlNumber(self.Arg<UniValue>("from"), "from", 0, any)};
            const uint64_t count{ParsePodlNumber(self.Arg<UniValue>("count"), "count", 0, any)};
            const uint64_t verbosity{ParsePodlNumber(self.Arg<UniValue>("verbosity"), "verbosity", 0, any)};
            const podl::ScheduleView view{manager.Entries(from, std::min(count, MAX_ENTRIES))};
            UniValue entries{UniValue::VARR};
            for (const auto& entry : view.entries) entries.push_back(EntryToJSON(entry, verbosity >= 1));
            UniValue result{UniValue::VOBJ};
            result.pushKV("total", view.total);
            result.pushKV("entries", std::move(entries));
            return result;
        },
    };
}

RPCMethod listpodlcommitments()
{
    return RPCMethod{
        "listpodlcommitments",
        "Return the commitments for the height that is open for them.\n",
        {},
        RPCResult{RPCResult::Type::OBJ, "", "",
            {
                {RPCResult::Type::NUM, "height", "The height"},
                {RPCResult::Type::STR, "prev", "Hash of the block that they build on, empty while unknown"},
                {RPCResult::Type::ARR, "commitments", "In order of arrival",
                {
                    {RPCResult::Type::OBJ, "", "",
                    {
                        {RPCResult::Type::STR_HEX, "hash", "The block hash"},
                        {RPCResult::Type::STR_HEX, "hex", "The header of 112 bytes"},
                        {RPCResult::Type::NUM_TIME, "time", "When this node accepted it, expressed in " + UNIX_EPOCH_TIME},
                    }},
                }},
            }},
        RPCExamples{
            HelpExampleCli("listpodlcommitments", "")
            + HelpExampleRpc("listpodlcommitments", "")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            const podl::CommitmentsView view{EnsurePodl(request.context).Commitments()};
            UniValue commitments{UniValue::VARR};
            for (const auto& commitment : view.commitments) {
                UniValue object{UniValue::VOBJ};
                object.pushKV("hash", commitment.hash.GetHex());
                object.pushKV("hex", HexStr(commitment.bytes));
                object.pushKV("time", commitment.time);
                commitments.push_back(std::move(object));
            }
            UniValue result{UniValue::VOBJ};
            result.pushKV("height", view.height);
            result.pushKV("prev", view.prev ? view.prev->GetHex() : "");
            result.pushKV("commitments", std::move(commitments));
            return result;
        },
    };
}

RPCMethod listpodlcandidates()
{
    return RPCMethod{
        "listpodlcandidates",
        "Return the candidates of the open round, and what can be evaluated now.\n",
        {},
        RPCResult{RPCResult::Type::OBJ, "", "",
            {
                {RPCResult::Type::NUM, "height", "The next height without a final"},
                {RPCResult::Type::NUM, "attempt", /*optional=*/true, "Attempt at this height (this and the next four only in phase \"reveal\")"},
                {RPCResult::Type::STR_HEX, "release_id", /*optional=*/true, "Id of the latest release"},
                {RPCResult::Type::STR_HEX, "test_root", /*optional=*/true, "Root of the opened test shard"},
                {RPCResult::Type::NUM, "n", /*optional=*/true, "Samples in the shard"},
                {RPCResult::Type::BOOL, "shard", /*optional=*/true, "Whether this node holds the shard"},
                CandidatesDoc(),
                JobsDoc(),
            }},
        RPCExamples{
            HelpExampleCli("listpodlcandidates", "")
            + HelpExampleRpc("listpodlcandidates", "")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            podl::Manager& manager{EnsurePodl(request.context)};
            manager.NoteSidecar();
            return CandidatesToJSON(manager.Candidates());
        },
    };
}
