// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_EVALUATOR_KERNEL_H
#define BITCOIN_PODL_EVALUATOR_KERNEL_H

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

/**
 * Exact products of small integers.
 *
 * Values and weights are 16-bit integers of -127..127. Every instruction set here has one that multiplies pairs of
 * them and adds both products in 32 bits, where neither a product nor a sum can leave its range: no saturation, no case
 * for signed values. Sums of integers are the same in any order, so that all kernels return the same bits.
 */
namespace podl {

//! Columns that a kernel works on at once.
inline constexpr size_t PANEL{16};
//! Largest number of rows that any kernel works on at once.
inline constexpr size_t MAX_TILE_ROWS{12};

//! Rows of a matrix, its bias row not counted: no sum leaves its 32 bits, whatever the order of its terms.
inline constexpr uint64_t MAX_SUM_TERMS{1 << 17};
static_assert(MAX_SUM_TERMS * 127 * 127 + 64 * 127 <= uint64_t{std::numeric_limits<int32_t>::max()});

/** Matrix of a layer, ready for the kernels: panels of PANEL columns; in each, pairs of rows, interleaved by column. */
struct PackedMatrix {
    size_t fan_in{0};
    size_t columns{0};
    std::vector<int16_t> panels{}; //!< what lies beyond the matrix is 0
    std::vector<int32_t> bias{};   //!< bias row times its constant input

    /** @param weights  rows of columns bytes (i8), the bias row last */
    PackedMatrix(std::span<const unsigned char> weights, size_t fan_in, size_t columns);

    size_t Pairs() const { return PairsOf(fan_in); }
    size_t Panels() const { return bias.size() / PANEL; }
    const int16_t* Panel(size_t index) const { return panels.data() + index * Pairs() * 2 * PANEL; }

    static size_t PairsOf(size_t fan_in) { return (fan_in + 1) / 2; }
    /** Bytes that a packed matrix takes. */
    static uint64_t Bytes(uint64_t fan_in, uint64_t columns);
};

/**
 * Products of some rows with one panel: out[r][c] = bias[c] + sum over k of values[r * stride + k] * panel[k][c].
 *
 * @param values  rows of 2 * pairs readable values; one beyond an odd fan-in meets a weight of 0
 * @param rows    1 to the kernel's number of rows
 */
using MultiplyFunction = void (*)(const int16_t* values, size_t stride, size_t rows, const int16_t* panel, size_t pairs, const int32_t* bias, int32_t (*out)[PANEL]);

struct Kernel {
    const char* name;
    size_t rows; //!< most rows of one call
    MultiplyFunction multiply;
};

/** Whether a kernel returns what portable C++ does, for any number of rows and with operands at their bounds. */
bool SelfTest(const Kernel& kernel);

/** Kernels that this machine can run and that pass their self-test, slowest first; the first one is portable C++. */
const std::vector<Kernel>& Kernels();
/** By name; nullptr when it is not among them. */
const Kernel* FindKernel(const std::string& name);

/** Kernels for x86-64 that this machine can run (none on other machines or compilers). */
std::vector<Kernel> X86Kernels();

} // namespace podl

#endif // BITCOIN_PODL_EVALUATOR_KERNEL_H
