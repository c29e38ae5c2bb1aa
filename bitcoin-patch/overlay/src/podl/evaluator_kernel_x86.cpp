// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator_kernel.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <array>
#include <cstring>
#include <utility>

#include <immintrin.h>

/**
 * The products with instructions that are chosen at run time; only these functions may use them. The sums stay in
 * registers only when the loops over rows are unrolled, which not every compiler does unasked.
 */
namespace podl {
namespace {

//! 12 sums, a panel's two halves and a pair of values: what 16 registers hold.
constexpr size_t AVX2_ROWS{6};
//! Enough independent sums to hide the latency of a multiply-add.
constexpr size_t VNNI_ROWS{12};
static_assert(AVX2_ROWS <= MAX_TILE_ROWS && VNNI_ROWS <= MAX_TILE_ROWS);

/** Two values as one 32-bit number. */
inline int32_t LoadPair(const int16_t* values)
{
    int32_t pair;
    std::memcpy(&pair, values, sizeof(pair));
    return pair;
}

template <size_t ROWS>
__attribute__((target("avx2"))) void MultiplyAvx2(const int16_t* values, size_t stride, const int16_t* panel, size_t pairs, const int32_t* bias, int32_t (*out)[PANEL])
{
    const __m256i bias_low{_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bias))};
    const __m256i bias_high{_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bias + 8))};
    __m256i low[ROWS];
    __m256i high[ROWS];
#pragma GCC unroll 16
    for (size_t row{0}; row < ROWS; ++row) {
        low[row] = bias_low;
        high[row] = bias_high;
    }
    for (size_t pair{0}; pair < pairs; ++pair, panel += 2 * PANEL) {
        const __m256i weights_low{_mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel))};
        const __m256i weights_high{_mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel + PANEL))};
#pragma GCC unroll 16
        for (size_t row{0}; row < ROWS; ++row) {
            const __m256i both{_mm256_set1_epi32(LoadPair(values + row * stride + 2 * pair))};
            low[row] = _mm256_add_epi32(low[row], _mm256_madd_epi16(both, weights_low));
            high[row] = _mm256_add_epi32(high[row], _mm256_madd_epi16(both, weights_high));
        }
    }
#pragma GCC unroll 16
    for (size_t row{0}; row < ROWS; ++row) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[row]), low[row]);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[row] + 8), high[row]);
    }
}

template <size_t ROWS>
__attribute__((target("avx512f,avx512bw,avx512vnni"))) void MultiplyVnni(const int16_t* values, size_t stride, const int16_t* panel, size_t pairs, const int32_t* bias, int32_t (*out)[PANEL])
{
    const __m512i start{_mm512_loadu_si512(bias)};
    __m512i sums[ROWS];
#pragma GCC unroll 16
    for (size_t row{0}; row < ROWS; ++row) sums[row] = start;
    for (size_t pair{0}; pair < pairs; ++pair, panel += 2 * PANEL) {
        const __m512i weights{_mm512_loadu_si512(panel)};
#pragma GCC unroll 16
        for (size_t row{0}; row < ROWS; ++row) {
            const __m512i both{_mm512_set1_epi32(LoadPair(values + row * stride + 2 * pair))};
            sums[row] = _mm512_dpwssd_epi32(sums[row], both, weights);
        }
    }
#pragma GCC unroll 16
    for (size_t row{0}; row < ROWS; ++row) _mm512_storeu_si512(out[row], sums[row]);
}

using FixedFunction = void (*)(const int16_t*, size_t, const int16_t*, size_t, const int32_t*, int32_t (*)[PANEL]);

template <size_t... I>
constexpr std::array<FixedFunction, sizeof...(I)> Avx2Table(std::index_sequence<I...>) { return {MultiplyAvx2<I + 1>...}; }
template <size_t... I>
constexpr std::array<FixedFunction, sizeof...(I)> VnniTable(std::index_sequence<I...>) { return {MultiplyVnni<I + 1>...}; }

constexpr auto AVX2_TABLE{Avx2Table(std::make_index_sequence<AVX2_ROWS>{})};
constexpr auto VNNI_TABLE{VnniTable(std::make_index_sequence<VNNI_ROWS>{})};

/** Hands a number of rows to the function made for it. */
template <const auto& TABLE>
void Multiply(const int16_t* values, size_t stride, size_t rows, const int16_t* panel, size_t pairs, const int32_t* bias, int32_t (*out)[PANEL])
{
    TABLE[rows - 1](values, stride, panel, pairs, bias, out);
}

} // namespace

std::vector<Kernel> X86Kernels()
{
    std::vector<Kernel> kernels;
    // These also ask whether the system saves the wider registers.
    if (__builtin_cpu_supports("avx2")) kernels.push_back({"avx2", AVX2_ROWS, Multiply<AVX2_TABLE>});
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni")) {
        kernels.push_back({"avx512-vnni", VNNI_ROWS, Multiply<VNNI_TABLE>});
    }
    return kernels;
}

} // namespace podl

#else

namespace podl {

std::vector<Kernel> X86Kernels() { return {}; }

} // namespace podl

#endif
