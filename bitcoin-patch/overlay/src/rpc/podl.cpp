// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <rpc/podl.h>

#include <chain.h>
#include <consensus/validation.h>
#include <node/context.h>
#include <podl/manager.h>
#include <primitives/block.h>
#include <rpc/podl_util.h>
#include <rpc/protocol.h>
#include <rpc/register.h>
#include <rpc/request.h>
#include <rpc/server.h>
#include <univalue.h>

#include <string>
#include <utility>

RPCResult PodlTemplateDoc()
{
    // A method's help is built anew at each call: entries of their own for the fields cost every getblocktemplate 5 %, PoDL or not.
    return {RPCResult::Type::ELISION, "podl", /*optional=*/true, "Proof of deep learning, only from podlheight on: \"podl\", an object of phase (\"commit\" or \"reveal\"), height (the next without a final), opening_release_id (for the opening of a commitment), reveal_release_id (for a reveal, only in that phase), can_commit (whether a header on previousblockhash can be committed now)"};
}

void PushPodlTemplate(const node::NodeContext& node, const CBlockIndex& prev, UniValue& result)
{
    if (!node.podl || prev.nHeight + 1 < node.podl->PodlHeight()) return;
    const podl::TemplateView view{node.podl->Template(prev.GetBlockHash())};
    UniValue object{UniValue::VOBJ};
    object.pushKV("phase", view.reveal_phase ? "reveal" : "commit");
    object.pushKV("height", view.height);
    object.pushKV("opening_release_id", PodlHex(view.opening_release_id));
    if (view.reveal_release_id) object.pushKV("reveal_release_id", PodlHex(*view.reveal_release_id));
    object.pushKV("can_commit", view.can_commit);
    result.pushKV("podl", std::move(object));
}

void EnsureNotPodl(const CBlock& block)
{
    if (!block.IsPodl()) return;
    throw JSONRPCError(RPC_MISC_ERROR, "The next block is won by a trained model and cannot be generated: run podl-miner, or commit to a header with submitpodlcommitment");
}

std::string PodlRejectReason(const BlockValidationState& state)
{
    if (!state.GetRejectReason().starts_with("podl-")) return state.GetRejectReason();
    return state.ToString() + ": commit to the header with submitpodlcommitment (or run podl-miner), a final makes it a block";
}

static RPCMethod syncpodl()
{
    return RPCMethod{
        "syncpodl",
        "Wait until the worker of proof of deep learning has nothing left to do.\n",
        {},
        RPCResult{RPCResult::Type::NONE, "", ""},
        RPCExamples{
            HelpExampleCli("syncpodl", "")
            + HelpExampleRpc("syncpodl", "")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            EnsurePodl(request.context).SyncQueue();
            return UniValue::VNULL;
        },
    };
}

void RegisterPodlRPCCommands(CRPCTable& t)
{
    static const CRPCCommand commands[]{
        {"mining", &getpodlinfo},
        {"mining", &getpodlschedule},
        {"mining", &listpodlcommitments},
        {"mining", &listpodlcandidates},
        {"mining", &submitpodlentry},
        {"mining", &choosepodlentry},
        {"mining", &submitpodlcommitment},
        {"mining", &submitpodlreveal},
        {"mining", &submitpodldata},
        {"mining", &getpodldata},
        {"mining", &submitpodlverdict},
        {"mining", &submitpodlaudit},
        {"mining", &getpodlaudit},
        {"hidden", &syncpodl},
    };
    for (const auto& c : commands) {
        t.appendCommand(c.name, &c);
    }
}
