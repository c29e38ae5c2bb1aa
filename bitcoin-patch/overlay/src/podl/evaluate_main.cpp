// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <common/args.h>
#include <common/system.h>
#include <crypto/common.h>
#include <podl/codec.h>
#include <podl/evaluator.h>
#include <tinyformat.h>
#include <univalue.h>
#include <util/expected.h>
#include <util/fs.h>
#include <util/readwritefile.h>
#include <util/strencodings.h>
#include <util/string.h>
#include <util/time.h>
#include <util/translation.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

/** podl-evaluate: the node's evaluator on files, for measurements and by hand. */

const TranslateFn G_TRANSLATION_FUN{nullptr};

namespace {

template <typename T>
using OrProblem = util::Expected<T, std::string>;

//! Largest file that is read.
constexpr size_t MAX_FILE{size_t{1} << 32};

void AddOptions(ArgsManager& args)
{
    SetupHelpOptions(args);
    args.AddArg("-program=<file>", "Layer program in hex (arithmetic.md 1.8)", ArgsManager::ALLOW_ANY, OptionsCategory::OPTIONS);
    args.AddArg("-weights=<file>", "Weight bytes, one signed byte per parameter", ArgsManager::ALLOW_ANY, OptionsCategory::OPTIONS);
    args.AddArg("-examples=<file>", "Data set bytes: all samples, then one label byte for each", ArgsManager::ALLOW_ANY, OptionsCategory::OPTIONS);
    args.AddArg("-threads=<n>", "Number of threads (default: 1)", ArgsManager::ALLOW_ANY, OptionsCategory::OPTIONS);
    args.AddArg("-isa=<name>", "Instructions to use: portable, or what this machine has of avx2, avx512-vnni (default: the fastest)", ArgsManager::ALLOW_ANY, OptionsCategory::OPTIONS);
}

OrProblem<std::vector<unsigned char>> ReadFile(const ArgsManager& args, const std::string& option)
{
    if (!args.IsArgSet(option)) return util::Unexpected{strprintf("%s is missing", option)};
    const auto [readable, text]{ReadBinaryFile(args.GetPathArg(option), MAX_FILE)};
    if (!readable) return util::Unexpected{strprintf("%s: cannot read the file", option)};
    return std::vector<unsigned char>(text.begin(), text.end());
}

/** A program for the sample shape and the classes that its own bytes name. */
OrProblem<podl::Program> ReadProgram(const ArgsManager& args)
{
    const auto text{ReadFile(args, "-program")};
    if (!text) return util::Unexpected{text.error()};
    const auto bytes{TryParseHex<unsigned char>(util::TrimString(std::string{text->begin(), text->end()}))};
    constexpr size_t SHORTEST{13};
    if (!bytes || bytes->size() < SHORTEST || bytes->size() < 3 + 2 * size_t{(*bytes)[1]}) return util::Unexpected{std::string{"-program: not a layer program in hex"}};
    std::vector<uint16_t> shape;
    for (size_t i{0}; i < (*bytes)[1]; ++i) shape.push_back(ReadLE16(&(*bytes)[2 + 2 * i]));
    auto program{podl::Program::Parse(*bytes, shape, ReadLE16(&(*bytes)[bytes->size() - 6]))};
    if (!program) return util::Unexpected{strprintf("-program: %s (%s)", program.error().reason, program.error().detail)};
    return std::move(*program);
}

OrProblem<podl::EvaluatorOptions> ReadOptions(const ArgsManager& args)
{
    podl::EvaluatorOptions options;
    const int64_t threads{args.GetIntArg("-threads", 1)};
    if (threads < 1 || threads > podl::MAX_EVALUATOR_THREADS) return util::Unexpected{strprintf("-threads: must be 1..%u", podl::MAX_EVALUATOR_THREADS)};
    options.threads = threads;
    const auto name{args.GetArg("-isa", options.kernel->name)};
    options.kernel = podl::FindKernel(name);
    if (!options.kernel) return util::Unexpected{strprintf("-isa: this machine has no %s", name)};
    return options;
}

/** @returns one line of JSON */
OrProblem<std::string> Evaluate(const ArgsManager& args)
{
    const auto program{ReadProgram(args)};
    if (!program) return util::Unexpected{program.error()};
    const auto weights{ReadFile(args, "-weights")};
    if (!weights) return util::Unexpected{weights.error()};
    const auto data{ReadFile(args, "-examples")};
    if (!data) return util::Unexpected{data.error()};
    const auto options{ReadOptions(args)};
    if (!options) return util::Unexpected{options.error()};
    const size_t n{data->size() / (program->SampleSize() + 1)};
    const std::span bytes{*data};
    const auto start{SteadyClock::now()};
    const auto found{podl::Evaluate(*program, *weights, {bytes.first(bytes.size() - n), bytes.last(n)}, *options)};
    const double seconds{Ticks<SecondsDouble>(SteadyClock::now() - start)};
    if (!found) return util::Unexpected{strprintf("%s (%s)", found.error().reason, found.error().detail)};
    UniValue line{UniValue::VOBJ};
    line.pushKV("count", found->count);
    line.pushKV("rank_sum", found->rank_sum);
    line.pushKV("n", n);
    line.pushKV("seconds", seconds);
    line.pushKV("threads", options->threads);
    line.pushKV("isa", options->kernel->name);
    return line.write();
}

} // namespace

int main(int argc, char* argv[])
{
    SetupEnvironment();
    ArgsManager args;
    AddOptions(args);
    std::string error;
    if (!args.ParseParameters(argc, argv, error)) {
        std::cerr << "podl-evaluate: " << error << '\n';
        return EXIT_FAILURE;
    }
    if (HelpRequested(args)) {
        std::cout << "podl-evaluate: count what a model answers correctly on a test set, with the node's evaluator.\n\n" << args.GetHelpMessage();
        return EXIT_SUCCESS;
    }
    const auto line{Evaluate(args)};
    if (!line) {
        std::cerr << "podl-evaluate: " << line.error() << '\n';
        return EXIT_FAILURE;
    }
    std::cout << *line << '\n';
    return EXIT_SUCCESS;
}
