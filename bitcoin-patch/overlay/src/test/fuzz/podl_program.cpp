// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/program.h>

#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

FUZZ_TARGET(podl_program)
{
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    std::vector<uint16_t> shape(provider.ConsumeIntegralInRange<size_t>(0, 3));
    for (auto& dim : shape) dim = provider.ConsumeIntegral<uint16_t>();
    const auto classes{provider.ConsumeIntegral<uint16_t>()};
    const auto bytes{provider.ConsumeRemainingBytes<unsigned char>()};

    const auto program{podl::Program::Parse(bytes, shape, classes)};
    if (!program) {
        assert(program.error().reason == "podl-model-range");
        return;
    }
    assert(program->bytes == bytes);
    assert(program->n_params > 0 && program->n_params <= 1U << 24);
    assert(program->max_positions > 0 && program->max_positions <= podl::MAX_GRADIENT_TERMS);
    assert(program->macs >= program->n_params);
    assert(program->macs <= program->max_positions * program->n_params);
}
