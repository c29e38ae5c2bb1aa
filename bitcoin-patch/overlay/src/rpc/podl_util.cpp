// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <rpc/podl_util.h>

#include <node/context.h>
#include <rpc/protocol.h>
#include <rpc/request.h>
#include <rpc/server_util.h>
#include <tinyformat.h>
#include <util/check.h>
#include <util/strencodings.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

using podl::ObjectKind;
using podl::SubmitStatus;

podl::Manager& EnsurePodl(const std::any& context)
{
    const node::NodeContext& node{EnsureAnyNodeContext(context)};
    if (!node.podl) throw JSONRPCError(RPC_MISC_ERROR, "Proof of deep learning is not active on this chain");
    return *node.podl;
}

std::vector<unsigned char> ParsePodlHex(const UniValue& value, std::string_view name, size_t min_size, size_t max_size)
{
    const std::string& hex{value.get_str()};
    if (hex.size() < 2 * min_size || hex.size() > 2 * max_size) {
        const std::string range{min_size == max_size ? strprintf("%d", min_size) : strprintf("%d to %d", min_size, max_size)};
        throw JSONRPCError(RPC_INVALID_PARAMETER, strprintf("%s must be the hex of %s bytes (got %d characters)", name, range, hex.size()));
    }
    // TryParseHex() alone would skip white space.
    if (!IsHex(hex)) throw JSONRPCError(RPC_DESERIALIZATION_ERROR, strprintf("%s is not hex", name));
    return ParseHex(hex);
}

uint256 ParsePodlId(const UniValue& value, std::string_view name)
{
    return uint256{ParsePodlHex(value, name, uint256::size(), uint256::size())};
}

uint64_t ParsePodlNumber(const UniValue& value, std::string_view name, uint64_t min, uint64_t max)
{
    const std::optional<uint64_t> number{value.isNum() ? ToIntegral<uint64_t>(value.getValStr()) : std::nullopt};
    if (!number || *number < min || *number > max) {
        throw JSONRPCError(RPC_INVALID_PARAMETER, strprintf("%s must be an integer from %d to %d", name, min, max));
    }
    return *number;
}

std::string ParsePodlText(const UniValue& value, std::string_view name)
{
    const std::string& text{value.get_str()};
    const bool printable{std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; })};
    if (text.empty() || !printable) throw JSONRPCError(RPC_INVALID_PARAMETER, strprintf("%s must be printable ASCII and not empty", name));
    return text;
}

ObjectKind ParsePodlKind(const UniValue& value)
{
    if (const auto kind{podl::KindFromName(value.get_str())}) return *kind;
    throw JSONRPCError(RPC_INVALID_PARAMETER, "kind must be one of body, weights, model, shard");
}

uint256 ParsePodlObjectHash(ObjectKind kind, const UniValue& value)
{
    return kind == ObjectKind::BODY ? ParseHashV(value, "hash") : ParsePodlId(value, "hash");
}

std::string PodlHex(const uint256& id)
{
    return HexStr(id);
}

static std::string StatusString(SubmitStatus status)
{
    switch (status) {
    case SubmitStatus::ACCEPTED: return "accepted";
    case SubmitStatus::DUPLICATE: return "duplicate";
    case SubmitStatus::LATER: return "later";
    case SubmitStatus::REFUSED: return "refused";
    } // no default case, so the compiler can warn about missing cases
    NONFATAL_UNREACHABLE();
}

UniValue SubmissionToJSON(const podl::Submission& submission)
{
    UniValue result{UniValue::VOBJ};
    result.pushKV("status", StatusString(submission.status));
    if (submission.status == SubmitStatus::LATER || submission.status == SubmitStatus::REFUSED) {
        result.pushKV("reason", submission.reason);
        result.pushKV("detail", submission.detail);
    }
    return result;
}

std::vector<RPCResult> SubmissionDoc(std::vector<RPCResult> more)
{
    std::vector<RPCResult> doc{
        {RPCResult::Type::STR, "status", "\"accepted\", \"duplicate\" (known already), \"later\" (may be accepted when this node knows more; nobody's fault) or \"refused\""},
        {RPCResult::Type::STR, "reason", /*optional=*/true, "Named reason (only for \"later\" and \"refused\")"},
        {RPCResult::Type::STR, "detail", /*optional=*/true, "What exactly was found (only for \"later\" and \"refused\"; may be empty)"},
    };
    std::ranges::move(more, std::back_inserter(doc));
    return doc;
}
