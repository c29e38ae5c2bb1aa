// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <rpc/podl.h>

#include <podl/manager.h>
#include <rpc/podl_util.h>
#include <rpc/protocol.h>
#include <rpc/request.h>
#include <rpc/util.h>
#include <uint256.h>
#include <univalue.h>
#include <util/check.h>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>

using podl::Audit;
using podl::AuditResult;

namespace {

constexpr uint64_t MAX_EPOCH{254}; //!< of a recipe (protocol section 4)

template <typename Int>
Int NumberFrom(const UniValue& object, std::string_view key, uint64_t max = std::numeric_limits<Int>::max())
{
    return static_cast<Int>(ParsePodlNumber(object.find_value(key), key, 0, max));
}

std::string NameFrom(const UniValue& object, std::string_view key)
{
    return ParsePodlText(object.find_value(key), key);
}

std::string AuditResultName(AuditResult result)
{
    switch (result) {
    case AuditResult::REPLAYED: return "replayed";
    case AuditResult::MISMATCH: return "mismatch";
    case AuditResult::NOT_REPLAYABLE: return "not replayable";
    } // no default case, so the compiler can warn about missing cases
    NONFATAL_UNREACHABLE();
}

AuditResult ParseAuditResult(const std::string& name)
{
    for (const AuditResult result : {AuditResult::REPLAYED, AuditResult::MISMATCH, AuditResult::NOT_REPLAYABLE}) {
        if (name == AuditResultName(result)) return result;
    }
    throw JSONRPCError(RPC_INVALID_PARAMETER, "result must be one of replayed, mismatch, not replayable");
}

Audit ParseAudit(const UniValue& report)
{
    Audit audit{.result = ParseAuditResult(report.find_value("result").get_str()), .auditor = NameFrom(report, "auditor")};
    const bool mismatch{audit.result == AuditResult::MISMATCH};
    if (mismatch != report.exists("epoch")) throw JSONRPCError(RPC_INVALID_PARAMETER, "epoch belongs to a mismatch, and to nothing else");
    if (mismatch) audit.epoch = NumberFrom<uint32_t>(report, "epoch", MAX_EPOCH);
    return audit;
}

} // namespace

RPCMethod submitpodlverdict()
{
    return RPCMethod{
        "submitpodlverdict",
        "Submit what an evaluator measured. The roots are those of the bytes that it actually read.\n",
        {
            {"verdict", RPCArg::Type::OBJ, RPCArg::Optional::NO, "The verdict", {
                {"arithmetic", RPCArg::Type::NUM, RPCArg::Optional::NO, "Version of the arithmetic"},
                {"program", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "SHA-256 of the layer program"},
                {"weights_root", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "Root of the weights"},
                {"test_root", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "Root of the test shard"},
                {"count", RPCArg::Type::NUM, RPCArg::Optional::NO, "Correctly classified samples"},
                {"rank_sum", RPCArg::Type::NUM, RPCArg::Optional::NO, "Sum of the true classes' ranks"},
                {"device", RPCArg::Type::STR, RPCArg::Optional::NO, "What it was measured on"},
                {"evaluator", RPCArg::Type::STR, RPCArg::Optional::NO, "Name of the evaluator"},
            }},
        },
        RPCResult{RPCResult::Type::OBJ, "", "", SubmissionDoc()},
        RPCExamples{
            HelpExampleCli("submitpodlverdict", "'{\"arithmetic\":1,\"program\":\"hex\",\"weights_root\":\"hex\",\"test_root\":\"hex\",\"count\":950,\"rank_sum\":61,\"device\":\"cpu\",\"evaluator\":\"e1\"}'")
            + HelpExampleRpc("submitpodlverdict", "{\"arithmetic\":1,\"program\":\"hex\",\"weights_root\":\"hex\",\"test_root\":\"hex\",\"count\":950,\"rank_sum\":61,\"device\":\"cpu\",\"evaluator\":\"e1\"}")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            podl::Manager& manager{EnsurePodl(request.context)};
            const UniValue& object{request.params[0].get_obj()};
            RPCTypeCheckObj(object, {
                {"arithmetic", UniValueType(UniValue::VNUM)},
                {"program", UniValueType(UniValue::VSTR)},
                {"weights_root", UniValueType(UniValue::VSTR)},
                {"test_root", UniValueType(UniValue::VSTR)},
                {"count", UniValueType(UniValue::VNUM)},
                {"rank_sum", UniValueType(UniValue::VNUM)},
                {"device", UniValueType(UniValue::VSTR)},
                {"evaluator", UniValueType(UniValue::VSTR)},
            }, /*fAllowNull=*/false, /*fStrict=*/true);
            const podl::VerdictKey key{
                .arithmetic = NumberFrom<uint8_t>(object, "arithmetic"),
                .program = ParsePodlId(object.find_value("program"), "program"),
                .weights_root = ParsePodlId(object.find_value("weights_root"), "weights_root"),
                .test_root = ParsePodlId(object.find_value("test_root"), "test_root"),
            };
            const podl::Verdict verdict{
                .count = NumberFrom<uint32_t>(object, "count"),
                .rank_sum = NumberFrom<uint64_t>(object, "rank_sum"),
                .device = NameFrom(object, "device"),
                .evaluator = NameFrom(object, "evaluator"),
            };
            return SubmissionToJSON(manager.SubmitVerdict(key, verdict));
        },
    };
}

RPCMethod submitpodlaudit()
{
    return RPCMethod{
        "submitpodlaudit",
        "Submit the outcome of a replay of a final's training. It is a report; no block's validity depends on it.\n",
        {
            {"report", RPCArg::Type::OBJ, RPCArg::Optional::NO, "The report", {
                {"blockhash", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "The block"},
                {"result", RPCArg::Type::STR, RPCArg::Optional::NO, "\"replayed\", \"mismatch\" or \"not replayable\""},
                {"epoch", RPCArg::Type::NUM, RPCArg::Optional::OMITTED, "First epoch that differs (for a mismatch only)"},
                {"auditor", RPCArg::Type::STR, RPCArg::Optional::NO, "Name of the auditor"},
            }},
        },
        RPCResult{RPCResult::Type::OBJ, "", "", SubmissionDoc()},
        RPCExamples{
            HelpExampleCli("submitpodlaudit", "'{\"blockhash\":\"hex\",\"result\":\"replayed\",\"auditor\":\"a1\"}'")
            + HelpExampleRpc("submitpodlaudit", "{\"blockhash\":\"hex\",\"result\":\"mismatch\",\"epoch\":3,\"auditor\":\"a1\"}")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            podl::Manager& manager{EnsurePodl(request.context)};
            const UniValue& object{request.params[0].get_obj()};
            std::map<std::string, UniValueType> types{
                {"blockhash", UniValueType(UniValue::VSTR)},
                {"result", UniValueType(UniValue::VSTR)},
                {"auditor", UniValueType(UniValue::VSTR)},
            };
            if (object.exists("epoch")) types.emplace("epoch", UniValueType(UniValue::VNUM));
            RPCTypeCheckObj(object, types, /*fAllowNull=*/false, /*fStrict=*/true);
            const uint256 block{ParseHashO(object, "blockhash")};
            return SubmissionToJSON(manager.SubmitAudit(block, ParseAudit(object)));
        },
    };
}

RPCMethod getpodlaudit()
{
    return RPCMethod{
        "getpodlaudit",
        "Return the reports of auditors about a block.\n",
        {
            {"blockhash", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "The block"},
        },
        RPCResult{RPCResult::Type::OBJ, "", "",
            {
                {RPCResult::Type::STR_HEX, "blockhash", "The block"},
                {RPCResult::Type::ARR, "reports", "The latest report of each auditor",
                {
                    {RPCResult::Type::OBJ, "", "",
                    {
                        {RPCResult::Type::STR, "auditor", "Name of the auditor"},
                        {RPCResult::Type::STR, "result", "\"replayed\", \"mismatch\" or \"not replayable\""},
                        {RPCResult::Type::NUM, "epoch", /*optional=*/true, "First epoch that differs (for a mismatch only)"},
                    }},
                }},
            }},
        RPCExamples{
            HelpExampleCli("getpodlaudit", "\"blockhash\"")
            + HelpExampleRpc("getpodlaudit", "\"blockhash\"")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            const podl::Manager& manager{EnsurePodl(request.context)};
            const uint256 block{ParseHashV(request.params[0], "blockhash")};
            UniValue reports{UniValue::VARR};
            for (const Audit& audit : manager.Audits(block)) {
                UniValue report{UniValue::VOBJ};
                report.pushKV("auditor", audit.auditor);
                report.pushKV("result", AuditResultName(audit.result));
                if (audit.epoch) report.pushKV("epoch", *audit.epoch);
                reports.push_back(std::move(report));
            }
            UniValue result{UniValue::VOBJ};
            result.pushKV("blockhash", block.GetHex());
            result.pushKV("reports", std::move(reports));
            return result;
        },
    };
}
