// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <common/args.h>
#include <node/context.h>
#include <podl/manager.h>
#include <rpc/protocol.h>
#include <rpc/register.h>
#include <rpc/request.h>
#include <rpc/server.h>
#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>
#include <test/fuzz/podl_script.h>
#include <test/fuzz/util.h>
#include <test/util/random.h>
#include <univalue.h>
#include <util/strencodings.h>

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

using Params = std::vector<std::pair<std::string, UniValue>>; //!< by name, in order

constexpr int MAX_DEPTH{3};
constexpr size_t MAX_TEXT{3000};

/** Calls the methods of one node, whose state comes from earlier calls. */
class Caller
{
public:
    Caller(Script& script, const std::vector<std::string>& methods, FuzzedDataProvider& provider)
        : m_script{script}, m_methods{methods}, m_provider{provider} { m_script.Reset(); }

    void Step();

private:
    Script& m_script;
    const std::vector<std::string>& m_methods;
    FuzzedDataProvider& m_provider;

    UniValue AnyValue(int depth = 0);
    UniValue AnyNumber(uint64_t usual);
    UniValue Hex(const Bytes& bytes);
    UniValue PieceHex(const Piece& piece);
    Params VerdictFields();
    Params AuditFields();
    UniValue Object(Params fields);
    Params UsualParams(std::string_view method);
    void Spoil(Params& params);
    UniValue Join(const Params& params);
    void Call(const std::string& method, UniValue params);
};

/** JSON of any kind, not only what a client would write. */
UniValue Caller::AnyValue(int depth)
{
    switch (m_provider.ConsumeIntegralInRange(0, depth < MAX_DEPTH ? 5 : 3)) {
    case 0: return UniValue{};
    case 1: return UniValue{m_provider.ConsumeBool()};
    case 2: return UniValue{m_provider.ConsumeIntegral<int64_t>()};
    case 3: {
        const auto text{m_provider.ConsumeRandomLengthString(MAX_TEXT)};
        UniValue parsed;
        return parsed.read(text) ? parsed : UniValue{text}; // numbers of any length and form are among these
    }
    case 4: {
        UniValue array{UniValue::VARR};
        LIMITED_WHILE(m_provider.ConsumeBool(), 10) array.push_back(AnyValue(depth + 1));
        return array;
    }
    default: {
        UniValue object{UniValue::VOBJ};
        LIMITED_WHILE(m_provider.ConsumeBool(), 10) {
            auto key{m_provider.ConsumeRandomLengthString(20)};
            object.pushKVEnd(std::move(key), AnyValue(depth + 1)); // the same key twice, too
        }
        return object;
    }
    }
}

UniValue Caller::AnyNumber(uint64_t usual)
{
    switch (m_provider.ConsumeIntegralInRange(0, 3)) {
    case 0: return UniValue{m_provider.ConsumeIntegral<uint64_t>()};
    case 1: return UniValue{m_provider.ConsumeIntegralInRange<uint64_t>(0, 100)};
    default: return UniValue{usual};
    }
}

/** Hex with a few changes, now and then; they may leave an odd length or a character that is none. */
UniValue Caller::Hex(const Bytes& bytes)
{
    const auto hex{HexStr(bytes)};
    Bytes text(hex.begin(), hex.end());
    if (m_provider.ConsumeBool()) Edit(m_provider, text);
    return UniValue{std::string(text.begin(), text.end())};
}

UniValue Caller::PieceHex(const Piece& piece)
{
    bool changed;
    return Hex(m_script.Spoil(m_provider, piece, changed));
}

Params Caller::VerdictFields()
{
    const auto key{m_script.PickMined(m_provider).Key(m_script.m_program, m_script.PickRelease(m_provider).test_root)};
    const auto hex{[](const uint256& id) { return UniValue{HexStr(id)}; }};
    const uint32_t count{m_provider.ConsumeIntegralInRange<uint32_t>(0, SAMPLES)};
    return {
        {"arithmetic", AnyNumber(1)}, {"program", hex(key.program)}, {"weights_root", hex(key.weights_root)}, {"test_root", hex(key.test_root)},
        {"count", AnyNumber(count)}, {"rank_sum", AnyNumber(SAMPLES - count)}, {"device", UniValue{"device"}}, {"evaluator", UniValue{m_provider.ConsumeRandomLengthString(130)}},
    };
}

Params Caller::AuditFields()
{
    constexpr std::array results{"replayed", "mismatch", "not replayable"};
    Params fields{
        {"blockhash", UniValue{m_script.PickMined(m_provider).Hash().GetHex()}},
        {"result", UniValue{m_provider.PickValueInArray(results)}},
        {"auditor", UniValue{m_provider.ConsumeRandomLengthString(130)}},
    };
    if (m_provider.ConsumeBool()) fields.emplace_back("epoch", AnyNumber(2));
    return fields;
}

UniValue Caller::Object(Params fields)
{
    Spoil(fields);
    UniValue object{UniValue::VOBJ};
    for (auto& [key, value] : fields) object.pushKVEnd(key, value);
    return object;
}

/** What a client could mean. */
Params Caller::UsualParams(std::string_view method)
{
    const auto& piece{m_script.PickPiece(m_provider)};
    const bool is_body{piece.type == ObjectType::BODY};
    const auto hash{is_body ? piece.id.GetHex() : HexStr(piece.id)};
    Params object{{"kind", UniValue{KindName(piece.kind)}}, {"hash", UniValue{hash}}};
    if (method == "submitpodldata") {
        const auto offset{m_provider.ConsumeBool() ? 0 : m_provider.ConsumeIntegralInRange<size_t>(0, piece.bytes.size())};
        const Bytes part(piece.bytes.begin() + offset, piece.bytes.end());
        object.insert(object.end(), {{"size", AnyNumber(piece.bytes.size())}, {"offset", AnyNumber(offset)}, {"hex", Hex(part)}});
        return object;
    }
    if (method == "getpodldata") {
        object.insert(object.end(), {{"offset", AnyNumber(0)}, {"length", AnyNumber(piece.bytes.size())}});
        return object;
    }
    if (method == "submitpodlentry" || method == "submitpodlcommitment" || method == "submitpodlreveal") return {{"hex", PieceHex(piece)}};
    if (method == "choosepodlentry") return {{"id", UniValue{hash}}};
    if (method == "getpodlschedule") return {{"from", AnyNumber(0)}, {"count", AnyNumber(6)}, {"verbosity", AnyNumber(1)}};
    if (method == "submitpodlverdict") return {{"verdict", Object(VerdictFields())}};
    if (method == "submitpodlaudit") return {{"report", Object(AuditFields())}};
    if (method == "getpodlaudit") return {{"blockhash", UniValue{m_script.PickMined(m_provider).Hash().GetHex()}}};
    return {};
}

/** Leave out, add, rename or replace one, now and then. */
void Caller::Spoil(Params& params)
{
    const int what{m_provider.ConsumeIntegralInRange(0, 7)};
    const auto at{m_provider.ConsumeIntegralInRange<size_t>(0, params.size())};
    if (what == 0) params.insert(params.begin() + at, {m_provider.ConsumeRandomLengthString(20), AnyValue()});
    if (at == params.size()) return;
    if (what == 1) params.erase(params.begin() + at);
    if (what == 2) params[at].first = m_provider.ConsumeRandomLengthString(20);
    if (what == 3) params[at].second = AnyValue();
    if (what == 4) params.push_back(params[at]);
}

/** As a list, or by name. */
UniValue Caller::Join(const Params& params)
{
    const bool named{m_provider.ConsumeBool()};
    UniValue joined{named ? UniValue::VOBJ : UniValue::VARR};
    for (const auto& [name, value] : params) {
        if (named) joined.pushKVEnd(name, value);
        if (!named) joined.push_back(value);
    }
    return joined;
}

/** A submission has a reason exactly when it is not taken. */
void CheckResult(const std::string& method, const UniValue& result)
{
    if (!method.starts_with("submit") && !method.starts_with("choose")) return;
    const auto& status{result["status"].get_str()};
    const bool good{status == "accepted" || status == "duplicate"};
    assert(good || status == "later" || status == "refused");
    assert(good ? !result.exists("reason") : result["reason"].get_str().starts_with("podl-"));
}

/** Each way to go wrong has its code; only the help, for a wrong number of arguments, comes without one of its own. */
void CheckError(const std::string& method, const UniValue& error)
{
    const auto& message{error["message"].get_str()};
    switch (error["code"].getInt<int>()) {
    case RPC_TYPE_ERROR:
    case RPC_INVALID_PARAMETER:
    case RPC_DESERIALIZATION_ERROR: break;
    case RPC_INVALID_ADDRESS_OR_KEY: assert(message == "podl-data-missing"); break;
    case RPC_MISC_ERROR: assert(message.starts_with(method) && message.find("\nExamples:\n") != std::string::npos); break;
    default: assert(false);
    }
}

void Caller::Call(const std::string& method, UniValue params)
{
    JSONRPCRequest request;
    request.context = &m_script.m_node;
    request.strMethod = method;
    request.params = std::move(params);
    m_script.m_node.podl.swap(m_script.m_manager);
    try {
        CheckResult(method, tableRPC.execute(request));
    } catch (const UniValue& error) {
        CheckError(method, error);
    }
    m_script.m_node.podl.swap(m_script.m_manager);
}

void Caller::Step()
{
    const auto& method{m_methods[m_provider.ConsumeIntegralInRange<size_t>(0, m_methods.size() - 1)]};
    const int what{m_provider.ConsumeIntegralInRange(0, 4)};
    Params params;
    if (what == 0) {
        LIMITED_WHILE(m_provider.ConsumeBool(), 10) params.emplace_back(m_provider.ConsumeRandomLengthString(20), AnyValue());
    } else {
        params = UsualParams(method);
    }
    if (what == 1) Spoil(params);
    Call(method, Join(params));
}

Script* g_script;
std::vector<std::string> g_methods;

} // namespace

void initialize_podl_rpc()
{
    static Script script;
    g_script = &script;
    gArgs.ForceSetArg("-rpcdoccheck", "1"); // results are as documented, or an internal bug is reported
    RegisterAllCoreRPCCommands(tableRPC);
    SetRPCWarmupFinished();
    for (const auto& method : tableRPC.listCommands()) {
        if (method.find("podl") != std::string::npos) g_methods.push_back(method);
    }
    assert(!g_methods.empty());
}

FUZZ_TARGET(podl_rpc, .init = initialize_podl_rpc)
{
    SeedRandomStateForTest(SeedRand::ZEROS);
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    Caller caller{*g_script, g_methods, provider};
    LIMITED_WHILE(provider.remaining_bytes() > 0, 100) caller.Step();
}
