// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator.h>

#include <random.h>
#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>
#include <test/fuzz/util.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace {

using podl::Program;
using Bytes = std::vector<unsigned char>;

/** Values of a matrix or a sample: bytes as they come, bytes in range, values at random, or values at their bounds. */
Bytes ConsumeValues(FuzzedDataProvider& provider, size_t right)
{
    const int rule{provider.ConsumeIntegralInRange(0, 3)};
    if (rule == 0) return provider.ConsumeBytes<unsigned char>(right);
    Bytes found;
    if (rule == 1) found = provider.ConsumeBytes<unsigned char>(right);
    found.resize(right);
    FastRandomContext rng{ConsumeUInt256(provider)};
    for (auto& value : found) {
        if (rule == 1 && value == 0x80) value = 0;
        if (rule == 2) value = rng.randrange(255) - 127;
        if (rule == 3) value = rng.randbool() ? 127 : -127;
    }
    return found;
}

/** All ways to run must agree in every output. */
void CompareKernels(const Program& program, const Bytes& weights, const podl::Examples& examples, const podl::Measured& expected)
{
    const auto logits{podl::Logits(program, weights, examples.samples, {.kernel = &podl::Kernels().front()})};
    assert(logits && logits->size() == examples.labels.size() * program.Classes());
    for (const auto& kernel : podl::Kernels()) {
        const auto other{podl::Logits(program, weights, examples.samples, {.kernel = &kernel})};
        assert(other && *other == *logits);
    }
    podl::Measured scored;
    for (size_t i{0}; i < examples.labels.size(); ++i) {
        podl::AddScore(std::span{*logits}.subspan(i * program.Classes(), program.Classes()), examples.labels[i], scored);
    }
    assert(scored == expected);
    const auto threaded{podl::Evaluate(program, weights, examples, {.threads = 2})};
    assert(threaded && *threaded == expected);
}

} // namespace

FUZZ_TARGET(podl_evaluator)
{
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    std::vector<uint16_t> shape(provider.ConsumeIntegralInRange<size_t>(1, 3));
    for (auto& dim : shape) dim = provider.ConsumeIntegralInRange<uint16_t>(1, 64);
    const auto classes{provider.ConsumeIntegralInRange<uint16_t>(2, 256)};
    const auto n{provider.ConsumeIntegralInRange<size_t>(0, 40)};
    const auto program{Program::Parse(ConsumeRandomLengthByteVector<unsigned char>(provider, 512), shape, classes)};
    // Larger ones cost time and find nothing else.
    if (!program || program->macs > 200'000) return;

    const auto weights{ConsumeValues(provider, program->n_params)};
    const auto samples{ConsumeValues(provider, n * program->SampleSize())};
    auto labels{provider.ConsumeBytes<unsigned char>(n)};
    if (!provider.ConsumeBool()) labels.resize(n);
    const auto found{podl::Evaluate(*program, weights, {samples, labels}, {.kernel = &podl::Kernels().front()})};
    if (!found) {
        assert(std::set<std::string>({"podl-model-size", "podl-model-range", "podl-shard-range", "podl-shard-label"}).contains(found.error().reason));
        return;
    }
    assert(weights.size() == program->n_params && labels.size() * program->SampleSize() == samples.size());
    assert(podl::IsPlausible(*found, labels.size(), classes));
    CompareKernels(*program, weights, {samples, labels}, *found);
}
