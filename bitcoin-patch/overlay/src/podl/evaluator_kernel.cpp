// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator_kernel.h>

#include <algorithm>
#include <cassert>
#include <iterator>

namespace podl {
namespace {

//! The input that a bias row is multiplied by: 1.0.
constexpr int32_t BIAS_INPUT{64};

void MultiplyPortable(const int16_t* values, size_t stride, size_t rows, const int16_t* panel, size_t pairs, const int32_t* bias, int32_t (*out)[PANEL])
{
    for (size_t row{0}; row < rows; ++row, values += stride) {
        int32_t sums[PANEL];
        std::copy_n(bias, PANEL, sums);
        const int16_t* weights{panel};
        for (size_t pair{0}; pair < pairs; ++pair, weights += 2 * PANEL) {
            const int32_t first{values[2 * pair]};
            const int32_t second{values[2 * pair + 1]};
            for (size_t column{0}; column < PANEL; ++column) {
                sums[column] += first * weights[2 * column] + second * weights[2 * column + 1];
            }
        }
        std::copy_n(sums, PANEL, out[row]);
    }
}

std::vector<Kernel> GoodKernels()
{
    std::vector<Kernel> kernels{{"portable", 1, MultiplyPortable}};
    for (const auto& kernel : X86Kernels()) {
        if (SelfTest(kernel)) kernels.push_back(kernel);
    }
    return kernels;
}

} // namespace

PackedMatrix::PackedMatrix(std::span<const unsigned char> weights, size_t fan_in, size_t columns)
    : fan_in{fan_in}, columns{columns}
{
    assert(fan_in > 0 && fan_in <= MAX_SUM_TERMS && columns > 0 && weights.size() == (fan_in + 1) * columns);
    const auto weight{[&](size_t row, size_t column) { return static_cast<int8_t>(weights[row * columns + column]); }};
    const size_t padded{(columns + PANEL - 1) / PANEL * PANEL};
    bias.resize(padded);
    panels.resize(padded * Pairs() * 2);
    for (size_t column{0}; column < columns; ++column) bias[column] = BIAS_INPUT * weight(fan_in, column);
    for (size_t row{0}; row < fan_in; ++row) {
        for (size_t column{0}; column < columns; ++column) {
            const size_t pair{column / PANEL * Pairs() + row / 2};
            panels[(pair * PANEL + column % PANEL) * 2 + row % 2] = weight(row, column);
        }
    }
}

uint64_t PackedMatrix::Bytes(uint64_t fan_in, uint64_t columns)
{
    const uint64_t padded{(columns + PANEL - 1) / PANEL * PANEL};
    return padded * (PairsOf(fan_in) * 2 * sizeof(int16_t) + sizeof(int32_t));
}

bool SelfTest(const Kernel& kernel)
{
    constexpr size_t PAIRS{33};
    constexpr size_t STRIDE{2 * PAIRS + 1}; // rows need not be aligned
    // All small values and both bounds, each beside many others.
    const auto fill{[](auto& numbers, size_t step) {
        for (size_t i{0}; i < std::size(numbers); ++i) numbers[i] = i % 5 == 0 ? 127 : i % 7 == 0 ? -127 : int(i * step % 255) - 127;
    }};
    int16_t values[MAX_TILE_ROWS * STRIDE];
    int16_t panel[2 * PAIRS * PANEL];
    int32_t bias[PANEL];
    fill(values, 101);
    fill(panel, 47);
    fill(bias, 29);
    for (size_t rows{1}; rows <= kernel.rows; ++rows) {
        int32_t expected[MAX_TILE_ROWS][PANEL]{};
        int32_t found[MAX_TILE_ROWS][PANEL]{};
        MultiplyPortable(values, STRIDE, rows, panel, PAIRS, bias, expected);
        kernel.multiply(values, STRIDE, rows, panel, PAIRS, bias, found);
        if (!std::equal(&expected[0][0], &expected[0][0] + MAX_TILE_ROWS * PANEL, &found[0][0])) return false;
    }
    return true;
}

const std::vector<Kernel>& Kernels()
{
    static const std::vector<Kernel> kernels{GoodKernels()};
    return kernels;
}

const Kernel* FindKernel(const std::string& name)
{
    const auto it{std::ranges::find_if(Kernels(), [&](const Kernel& kernel) { return name == kernel.name; })};
    return it == Kernels().end() ? nullptr : &*it;
}

} // namespace podl
