// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_ARITHMETIC_H
#define BITCOIN_TEST_PODL_ARITHMETIC_H

#include <podl/program.h>

#include <univalue.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

/** Generator, rounding and operands of arithmetic.md, which nodes do not need but the vectors are made of. */
namespace podl::test {

/** Rnd(value, shift): value / 2^shift, halves up; a negative shift multiplies. */
constexpr int64_t Rnd(int64_t value, int shift)
{
    if (shift <= 0) return value * (int64_t{1} << -shift);
    return (value + (int64_t{1} << (shift - 1))) >> shift;
}

/** First words of the generator for a seed and a tag (arithmetic.md 1.3). */
std::vector<uint32_t> GeneratorWords(std::span<const unsigned char> seed, const std::string& tag, size_t count);

/** Integers of -limit..limit, one for each word. */
std::vector<int32_t> DrawnIntegers(std::span<const unsigned char> seed, const std::string& tag, size_t count, int64_t limit);

/** Permutation of n numbers that the words of a seed and a tag sort. */
std::vector<size_t> DrawnOrder(std::span<const unsigned char> seed, const std::string& tag, size_t n);

/** int8 operand of a vector: bytes repeated, or drawn from the generator (vectors/README.md). */
std::vector<unsigned char> Operand(const UniValue& rule, size_t count);

/** A program for the shape and the classes that its own bytes name. */
Program OwnProgram(const std::vector<unsigned char>& bytes);

/** Numbers of a list. */
template <typename Integer>
std::vector<Integer> Integers(const UniValue& list)
{
    std::vector<Integer> numbers;
    for (const UniValue& number : list.getValues()) numbers.push_back(number.getInt<Integer>());
    return numbers;
}

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_ARITHMETIC_H
