// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator.h>

#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>
#include <test/fuzz/util.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

FUZZ_TARGET(podl_evaluator)
{
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    std::vector<uint16_t> shape(provider.ConsumeIntegralInRange<size_t>(1, 3));
    for (auto& dim : shape) dim = provider.ConsumeIntegralInRange<uint16_t>(1, 32);
    const auto classes{provider.ConsumeIntegralInRange<uint16_t>(2, 256)};
    const auto program{podl::Program::Parse(ConsumeRandomLengthByteVector<unsigned char>(provider, 512), shape, classes)};
    // Larger ones cost time and find nothing else.
    if (!program || program->macs > 1'000'000) return;

    // Often of the right length, so that more than the checks runs.
    const auto bytes{[&](size_t right) {
        auto found{provider.ConsumeBytes<unsigned char>(right)};
        if (!provider.ConsumeBool()) found.resize(right);
        return found;
    }};
    const auto n{provider.ConsumeIntegralInRange<size_t>(0, 40)};
    const auto weights{bytes(program->n_params)};
    const auto samples{bytes(n * program->SampleSize())};
    const auto labels{bytes(n)};
    const auto found{podl::Evaluate(*program, weights, {samples, labels}, {.kernel = &podl::Kernels().front()})};
    if (!found) {
        assert(std::set<std::string>({"podl-model-size", "podl-model-range", "podl-shard-range", "podl-shard-label"}).contains(found.error().reason));
        return;
    }
    assert(weights.size() == program->n_params && labels.size() * program->SampleSize() == samples.size());
    assert(podl::IsPlausible(*found, labels.size(), classes));
    const auto fastest{podl::Evaluate(*program, weights, {samples, labels}, {.threads = 2})};
    assert(fastest && *fastest == *found);
}
