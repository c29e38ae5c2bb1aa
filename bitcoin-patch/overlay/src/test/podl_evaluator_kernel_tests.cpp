// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator_kernel.h>

#include <random.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using namespace podl;

namespace {

/** A matrix, rows to multiply it with, and the products in 64 bits. */
struct Product {
    size_t fan_in;
    size_t columns;
    size_t rows;
    std::vector<int16_t> values;        //!< rows * fan_in and one more
    std::vector<unsigned char> weights; //!< (fan_in + 1) * columns

    int64_t Expected(size_t row, size_t column) const
    {
        const auto weight{[&](size_t i) { return int64_t{static_cast<int8_t>(weights[i * columns + column])}; }};
        int64_t sum{64 * weight(fan_in)};
        for (size_t i{0}; i < fan_in; ++i) sum += values[row * fan_in + i] * weight(i);
        return sum;
    }
};

Product Drawn(size_t fan_in, size_t columns, size_t rows, FastRandomContext& random)
{
    const auto draw{[&] { return static_cast<int>(random.randrange(255)) - 127; }};
    Product product{fan_in, columns, rows, {}, {}};
    for (size_t i{0}; i < rows * fan_in + 1; ++i) product.values.push_back(draw());
    for (size_t i{0}; i < (fan_in + 1) * columns; ++i) product.weights.push_back(draw());
    return product;
}

Product Filled(size_t fan_in, int value, int weight)
{
    return {fan_in, 1, 1, std::vector<int16_t>(fan_in + 1, value), std::vector<unsigned char>(fan_in + 1, static_cast<unsigned char>(weight))};
}

void CheckProduct(const Kernel& kernel, const Product& product)
{
    const PackedMatrix matrix{product.weights, product.fan_in, product.columns};
    BOOST_REQUIRE_LE(product.rows, kernel.rows);
    for (size_t panel{0}; panel < matrix.Panels(); ++panel) {
        int32_t tile[MAX_TILE_ROWS][PANEL];
        kernel.multiply(product.values.data(), product.fan_in, product.rows, matrix.Panel(panel), matrix.Pairs(), &matrix.bias[panel * PANEL], tile);
        for (size_t row{0}; row < product.rows; ++row) {
            for (size_t i{0}; i < PANEL && panel * PANEL + i < product.columns; ++i) {
                BOOST_REQUIRE_EQUAL(int64_t{tile[row][i]}, product.Expected(row, panel * PANEL + i));
            }
        }
    }
}

} // namespace

BOOST_AUTO_TEST_SUITE(podl_evaluator_kernel_tests)

BOOST_AUTO_TEST_CASE(drawn_operands)
{
    for (const auto& kernel : Kernels()) {
        BOOST_TEST_CONTEXT(kernel.name) {
            FastRandomContext random{/*fDeterministic=*/true};
            for (size_t rows{1}; rows <= kernel.rows; ++rows) {
                for (const size_t fan_in : {1, 2, 3, 9, 64, 145}) {
                    for (const size_t columns : {1, 15, 16, 17, 40}) CheckProduct(kernel, Drawn(fan_in, columns, rows, random));
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(operands_at_their_bounds)
{
    for (const auto& kernel : Kernels()) {
        BOOST_TEST_CONTEXT(kernel.name) {
            for (const int value : {127, -127}) {
                for (const int weight : {127, -127}) {
                    for (const size_t fan_in : {size_t{1}, size_t{2}, size_t{1039}, size_t{MAX_SUM_TERMS - 1}, size_t{MAX_SUM_TERMS}}) {
                        CheckProduct(kernel, Filled(fan_in, value, weight));
                    }
                }
            }
        }
    }
}

/** The portable one, but for sums of the second of two rows that leave 16 bits. */
void MultiplySaturating(const int16_t* values, size_t stride, size_t rows, const int16_t* panel, size_t pairs, const int32_t* bias, int32_t (*out)[PANEL])
{
    for (size_t row{0}; row < rows; ++row) {
        Kernels().front().multiply(values + row * stride, stride, 1, panel, pairs, bias, out + row);
    }
    if (rows != 2) return;
    for (auto& sum : out[1]) sum = std::clamp(sum, -32768, 32767);
}

BOOST_AUTO_TEST_CASE(a_kernel_that_errs_is_found)
{
    for (const auto& kernel : Kernels()) BOOST_CHECK(SelfTest(kernel));
    BOOST_CHECK(SelfTest({"good", 1, MultiplySaturating}));
    BOOST_CHECK(!SelfTest({"bad", 2, MultiplySaturating}));
}

BOOST_AUTO_TEST_CASE(names)
{
    BOOST_REQUIRE(!Kernels().empty());
    BOOST_CHECK_EQUAL(std::string{Kernels().front().name}, "portable");
    for (const auto& kernel : Kernels()) BOOST_CHECK_EQUAL(FindKernel(kernel.name), &kernel);
    BOOST_CHECK(!FindKernel("none"));
}

BOOST_AUTO_TEST_SUITE_END()
