// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_arithmetic.h>

#include <crypto/common.h>
#include <crypto/sha256.h>
#include <span.h>
#include <test/podl_vectors.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace podl::test {

std::vector<uint32_t> GeneratorWords(std::span<const unsigned char> seed, const std::string& tag, size_t count)
{
    std::vector<unsigned char> prefix(CSHA256::OUTPUT_SIZE);
    std::vector<unsigned char> block(CSHA256::OUTPUT_SIZE);
    CSHA256().Write(seed.data(), seed.size()).Write(UCharCast("|"), 1).Write(UCharCast(tag.data()), tag.size()).Finalize(prefix.data());
    std::vector<uint32_t> words;
    for (uint64_t index{0}; words.size() < count; ++index) {
        unsigned char counter[8];
        WriteBE64(counter, index);
        CSHA256().Write(prefix.data(), prefix.size()).Write(counter, sizeof(counter)).Finalize(block.data());
        for (size_t at{0}; at < block.size() && words.size() < count; at += 4) words.push_back(ReadBE32(&block[at]));
    }
    return words;
}

std::vector<int32_t> DrawnIntegers(std::span<const unsigned char> seed, const std::string& tag, size_t count, int64_t limit)
{
    std::vector<int32_t> values;
    for (const uint32_t word : GeneratorWords(seed, tag, count)) {
        values.push_back(int32_t(((word * (2 * limit + 1)) >> 32) - limit));
    }
    return values;
}

std::vector<size_t> DrawnOrder(std::span<const unsigned char> seed, const std::string& tag, size_t n)
{
    const auto words{GeneratorWords(seed, tag, 2 * n)};
    const auto key{[&](size_t i) { return uint64_t{words[2 * i]} << 32 | words[2 * i + 1]; }};
    std::vector<size_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
    return order;
}

std::vector<unsigned char> Operand(const UniValue& rule, size_t count)
{
    std::vector<unsigned char> values;
    if (rule.exists("bytes")) {
        const auto given{HexBytes(rule["bytes"])};
        for (size_t i{0}; i < count; ++i) values.push_back(given[i % given.size()]);
        return values;
    }
    const bool absolute{rule["absolute"].get_bool()};
    for (const int32_t value : DrawnIntegers(HexBytes(rule["seed"]), rule["tag"].get_str(), count, rule["limit"].getInt<int64_t>())) {
        values.push_back(static_cast<unsigned char>(absolute ? std::abs(value) : value));
    }
    return values;
}

Program OwnProgram(const std::vector<unsigned char>& bytes)
{
    std::vector<uint16_t> shape;
    for (size_t i{0}; i < bytes.at(1); ++i) shape.push_back(ReadLE16(&bytes.at(2 + 2 * i)));
    auto program{Program::Parse(bytes, shape, ReadLE16(&bytes[bytes.size() - 6]))};
    BOOST_REQUIRE_MESSAGE(program, Why(program));
    return *program;
}

} // namespace podl::test
