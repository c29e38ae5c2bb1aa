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
#include <util/strencodings.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

using podl::MAX_PIECE_BYTES;
using podl::ObjectKind;

static constexpr uint64_t MAX_OBJECT_BYTES{std::numeric_limits<uint32_t>::max()}; //!< above any object's limit

static RPCArg KindArg()
{
    return {"kind", RPCArg::Type::STR, RPCArg::Optional::NO, "\"body\" (a whole block), \"weights\", \"model\" or \"shard\""};
}

static RPCArg HashArg()
{
    return {"hash", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "Block hash of a body, else the object's Merkle root"};
}

RPCMethod submitpodldata()
{
    return RPCMethod{
        "submitpodldata",
        "Submit a piece of a data object. Pieces come in order, at most 1 MiB each; offset 0 starts anew.\n"
        "With the last piece the object is checked against its hash and stored.\n",
        {
            KindArg(),
            HashArg(),
            {"size", RPCArg::Type::NUM, RPCArg::Optional::NO, "Size of the whole object in bytes"},
            {"offset", RPCArg::Type::NUM, RPCArg::Optional::NO, "Where the piece begins"},
            {"hex", RPCArg::Type::STR_HEX, RPCArg::Optional::NO, "The piece"},
        },
        RPCResult{RPCResult::Type::OBJ, "", "", SubmissionDoc({
            {RPCResult::Type::NUM, "received", "Bytes of the object that this node has now"},
            {RPCResult::Type::BOOL, "complete", "Whether the object is stored"},
        })},
        RPCExamples{
            HelpExampleCli("submitpodldata", "\"weights\" \"root\" 70000 0 \"hex\"")
            + HelpExampleRpc("submitpodldata", "\"weights\", \"root\", 70000, 0, \"hex\"")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            podl::Manager& manager{EnsurePodl(request.context)};
            const ObjectKind kind{ParsePodlKind(request.params[0])};
            const uint256 hash{ParsePodlObjectHash(kind, request.params[1])};
            const uint64_t size{ParsePodlNumber(request.params[2], "size", 1, MAX_OBJECT_BYTES)};
            const uint64_t offset{ParsePodlNumber(request.params[3], "offset", 0, size - 1)};
            const auto piece{ParsePodlHex(request.params[4], "hex", 1, std::min(MAX_PIECE_BYTES, size - offset))};
            const podl::PieceResult outcome{manager.SubmitPiece(kind, hash, size, offset, piece)};
            UniValue result{SubmissionToJSON(outcome)};
            result.pushKV("received", outcome.received);
            result.pushKV("complete", outcome.complete);
            return result;
        },
    };
}

RPCMethod getpodldata()
{
    return RPCMethod{
        "getpodldata",
        "Return a piece of a data object, at most 1 MiB.\n",
        {
            KindArg(),
            HashArg(),
            {"offset", RPCArg::Type::NUM, RPCArg::Default{0}, "Where the piece begins"},
            {"length", RPCArg::Type::NUM, RPCArg::Default{MAX_PIECE_BYTES}, "Size of the piece; it is shorter at the end of the object"},
        },
        RPCResult{RPCResult::Type::OBJ, "", "",
            {
                {RPCResult::Type::NUM, "size", "Size of the whole object in bytes"},
                {RPCResult::Type::NUM, "offset", "Where the piece begins"},
                {RPCResult::Type::STR_HEX, "hex", "The piece"},
            }},
        RPCExamples{
            HelpExampleCli("getpodldata", "\"model\" \"root\"")
            + HelpExampleRpc("getpodldata", "\"model\", \"root\", 1048576, 65536")
        },
        [](const RPCMethod& self, const JSONRPCRequest& request) -> UniValue
        {
            const podl::Manager& manager{EnsurePodl(request.context)};
            const ObjectKind kind{ParsePodlKind(request.params[0])};
            const uint256 hash{ParsePodlObjectHash(kind, request.params[1])};
            const uint64_t offset{ParsePodlNumber(self.Arg<UniValue>("offset"), "offset", 0, MAX_OBJECT_BYTES)};
            const uint64_t length{ParsePodlNumber(self.Arg<UniValue>("length"), "length", 1, MAX_PIECE_BYTES)};
            const std::optional<uint64_t> size{manager.ObjectSize(kind, hash)};
            if (size && offset > *size) throw JSONRPCError(RPC_INVALID_PARAMETER, "offset is beyond the end of the object");
            const auto piece{size ? manager.ReadObject(kind, hash, offset, length) : std::nullopt};
            if (!piece) throw JSONRPCError(RPC_INVALID_ADDRESS_OR_KEY, "podl-data-missing");
            UniValue result{UniValue::VOBJ};
            result.pushKV("size", *size);
            result.pushKV("offset", offset);
            result.pushKV("hex", HexStr(*piece));
            return result;
        },
    };
}
