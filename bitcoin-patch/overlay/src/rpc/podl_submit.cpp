// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <rpc/podl.h>

#include <podl/disclosure.h>
#include <podl/entry.h>
#include <podl/manager.h>
#include <podl/reveal.h>
#include <rpc/podl_util.h>
#include <rpc/request.h>
#include <rpc/util.h>
#include <uint256.h>
#include <univalue.h>

#include <vector>

RPCMethod submitpodlentry()
{
    return RPCMethod{
        "submitpodlentry",
        "Submit an entry of the requester's schedule.\n",
        {
            {"hex", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "The serialized entry"},
        },
        RPCResult{RPCResult::Type::OBJ, "", "", SubmissionDoc({
            {RPCResult::Type::STR_HEX, "id", /*optional=*/true, "The entry's id (absent when the bytes are no entry)"},
        })},
        RPCExamples{
            HelpExampleCli("submitpodlentry", "\"hex\"")
            + HelpExampleRpc("submitpodlentry", "\"hex\"")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            podl::Manager& manager{EnsurePodl(request.context)};
            const auto bytes{ParsePodlHex(request.params[0], "hex", 1, podl::MAX_ENTRY_SIZE)};
            uint256 id;
            UniValue result{SubmissionToJSON(manager.SubmitEntry(bytes, &id))};
            if (!id.IsNull()) result.pushKV("id", PodlHex(id));
            return result;
        },
    };
}

RPCMethod choosepodlentry()
{
    return RPCMethod{
        "choosepodlentry",
        "Choose one of two entries that the requester has signed for one place of its schedule, which is frozen since.\n"
        "The choice is kept: the other entry, and what follows it, is refused from then on. If the node had accepted the other one,\n"
        "the schedule is cut back to it and the blocks that it no longer names are disconnected. Only -podlresync takes a choice back.\n"
        "All operators must choose the same entry, or their nodes part ways; getpodlinfo shows both ids in its alarms.\n",
        {
            {"id", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "The id of the entry that shall stand"},
        },
        RPCResult{RPCResult::Type::OBJ, "", "", SubmissionDoc()},
        RPCExamples{
            HelpExampleCli("choosepodlentry", "\"id\"")
            + HelpExampleRpc("choosepodlentry", "\"id\"")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            podl::Manager& manager{EnsurePodl(request.context)};
            return SubmissionToJSON(manager.ChooseEntry(ParsePodlId(request.params[0], "id")));
        },
    };
}

RPCMethod submitpodlcommitment()
{
    return RPCMethod{
        "submitpodlcommitment",
        "Submit a commitment: the header of a block whose model is not disclosed yet.\n",
        {
            {"hex", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "The header of 112 bytes"},
        },
        RPCResult{RPCResult::Type::OBJ, "", "", SubmissionDoc({
            {RPCResult::Type::STR_HEX, "hash", /*optional=*/true, "The block hash (absent when the bytes are no such header)"},
        })},
        RPCExamples{
            HelpExampleCli("submitpodlcommitment", "\"hex\"")
            + HelpExampleRpc("submitpodlcommitment", "\"hex\"")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            podl::Manager& manager{EnsurePodl(request.context)};
            const auto bytes{ParsePodlHex(request.params[0], "hex", podl::HEADER_SIZE, podl::HEADER_SIZE)};
            uint256 hash;
            UniValue result{SubmissionToJSON(manager.SubmitCommitment(bytes, &hash))};
            if (!hash.IsNull()) result.pushKV("hash", hash.GetHex());
            return result;
        },
    };
}

RPCMethod submitpodlreveal()
{
    return RPCMethod{
        "submitpodlreveal",
        "Submit a reveal: what is behind a committed header, and the miner's claim.\n"
        "Block body, weights and model are submitted with submitpodldata.\n",
        {
            {"hex", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "The serialized reveal"},
        },
        RPCResult{RPCResult::Type::OBJ, "", "", SubmissionDoc({
            {RPCResult::Type::STR_HEX, "hash", /*optional=*/true, "The block hash (absent when the bytes are no reveal)"},
        })},
        RPCExamples{
            HelpExampleCli("submitpodlreveal", "\"hex\"")
            + HelpExampleRpc("submitpodlreveal", "\"hex\"")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            podl::Manager& manager{EnsurePodl(request.context)};
            const auto bytes{ParsePodlHex(request.params[0], "hex", 1, podl::MAX_REVEAL_SIZE)};
            uint256 hash;
            UniValue result{SubmissionToJSON(manager.SubmitReveal(bytes, &hash))};
            if (!hash.IsNull()) result.pushKV("hash", hash.GetHex());
            return result;
        },
    };
}
