// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/args.h>

#include <chainparams.h>
#include <common/args.h>
#include <common/system.h>
#include <node/interface_ui.h>
#include <podl/chain_args.h>
#include <podl/entry.h>
#include <podl/evaluator.h>
#include <podl/manager.h>
#include <podl/params.h>
#include <tinyformat.h>
#include <util/chaintype.h>
#include <util/expected.h>
#include <util/readwritefile.h>
#include <util/strencodings.h>
#include <util/string.h>
#include <util/translation.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace podl {
namespace {

using Options = std::optional<ManagerOptions>;

constexpr auto DEFAULT_EVALUATOR{"auto"};
//! Threads of the node's evaluator unless more are asked for: the rest is validation's.
constexpr int MAX_DEFAULT_THREADS{4};

/** The first task entry, from a file with its hex. */
util::Expected<Bytes, std::string> ReadTask(const fs::path& path)
{
    constexpr size_t MAX_TEXT{2 * MAX_ENTRY_SIZE + 2}; // and a line end
    const auto [readable, text]{ReadBinaryFile(path, MAX_TEXT + 1)};
    if (!readable || text.size() > MAX_TEXT) return util::Unexpected{strprintf("Cannot read -podltask file %s.", fs::PathToString(path))};
    auto bytes{TryParseHex<unsigned char>(util::TrimString(text))};
    if (!bytes || bytes->empty()) return util::Unexpected{strprintf("The -podltask file %s does not hold an entry in hex.", fs::PathToString(path))};
    return std::move(*bytes);
}

util::Expected<EvaluatorMode, std::string> ReadEvaluator(const ArgsManager& args)
{
    const auto name{args.GetArg("-podlevaluator", DEFAULT_EVALUATOR)};
    const auto mode{ModeFromName(name)};
    if (!mode) return util::Unexpected{strprintf("-podlevaluator must be auto, sidecar, internal or both, not \"%s\".", name)};
    return *mode;
}

int DefaultThreads() { return std::clamp(GetNumCores(), 1, MAX_DEFAULT_THREADS); }

util::Expected<size_t, std::string> ReadEvaluatorThreads(const ArgsManager& args)
{
    const int64_t threads{args.GetIntArg("-podlevaluatorthreads", DefaultThreads())};
    if (threads < 1 || threads > MAX_EVALUATOR_THREADS) return util::Unexpected{strprintf("-podlevaluatorthreads must be 1 to %d.", MAX_EVALUATOR_THREADS)};
    return threads;
}

/** What the arguments ask for: nullopt without PoDL; or the problem in one line. */
util::Expected<Options, std::string> ReadOptions(const ArgsManager& args)
{
    const auto dir{args.GetDataDirNet() / "podl"};
    const bool has_height{args.IsArgSet("-podlheight")};
    const bool has_task{args.IsArgSet("-podltask")};
    if (has_height != has_task) return util::Unexpected{std::string{"-podlheight and -podltask must be given together."}};
    if (!has_height) {
        if (!HasParams(dir)) return Options{};
        return util::Unexpected{strprintf("The data directory belongs to a PoDL chain (%s exists): start with its -podlheight and -podltask.", fs::PathToString(dir))};
    }
    if (Params().GetChainType() != ChainType::REGTEST) return util::Unexpected{std::string{"-podlheight and -podltask are for regtest only."}};
    const auto evaluator{ReadEvaluator(args)};
    if (!evaluator) return util::Unexpected{evaluator.error()};
    const auto threads{ReadEvaluatorThreads(args)};
    if (!threads) return util::Unexpected{threads.error()};
    auto task{ReadTask(AbsPathForConfigVal(args, args.GetPathArg("-podltask")))};
    if (!task) return util::Unexpected{task.error()};
    return Options{ManagerOptions{
        .dir = dir,
        .podl_height = *ReadHeightArg(args),
        .task = std::move(*task),
        .resync = args.GetBoolArg("-podlresync", false),
        .consensus = &Params().GetConsensus(),
        .evaluator = *evaluator,
        .evaluator_threads = *threads,
    }};
}

} // namespace

void AddArgs(ArgsManager& argsman)
{
    argsman.AddArg("-podlevaluator=<who>", strprintf("Whose verdicts this node judges blocks by: \"internal\" (its own evaluator's), \"sidecar\" (those submitted over RPC), "
                                                     "\"both\" (its own and one over RPC, which must agree), \"auto\" (the first one; the node itself measures what no evaluator over RPC takes care of). "
                                                     "Only on a PoDL chain (regtest-only, default: %s)", DEFAULT_EVALUATOR), ArgsManager::ALLOW_ANY, OptionsCategory::OPTIONS);
    argsman.AddArg("-podlevaluatorthreads=<n>", strprintf("Threads of the node's own evaluator (1 to %d, default: number of cores, at most %d)", MAX_EVALUATOR_THREADS, MAX_DEFAULT_THREADS), ArgsManager::ALLOW_ANY, OptionsCategory::OPTIONS);
    argsman.AddArg("-podlresync", "Throw the PoDL store (schedule, verdicts, data) away and fetch it again from peers (regtest-only)", ArgsManager::ALLOW_ANY, OptionsCategory::OPTIONS);
}

bool CreateManager(const ArgsManager& args, std::unique_ptr<Manager>& manager)
{
    auto options{ReadOptions(args)};
    if (!options) return InitError(Untranslated(options.error()));
    if (!*options) return true;
    auto opened{Manager::Open(std::move(**options))};
    if (!opened) return InitError(Untranslated(opened.error()));
    manager = std::move(*opened);
    return true;
}

bool AttachManager(Manager* manager, ChainstateManager& chainman)
{
    if (!manager) return true;
    const auto problem{manager->Attach(chainman)};
    return !problem || InitError(Untranslated(*problem));
}

} // namespace podl
