// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator.h>

#include <random.h>
#include <test/podl_arithmetic.h>
#include <test/podl_vectors.h>
#include <univalue.h>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

using Bytes = std::vector<unsigned char>;

/** Numbers of all rows, one after the other. */
std::vector<int32_t> Flat(const UniValue& rows)
{
    std::vector<int32_t> numbers;
    for (const UniValue& row : rows.getValues()) {
        for (const int32_t number : Integers<int32_t>(row)) numbers.push_back(number);
    }
    return numbers;
}

/** input 8x8x1, conv2d 3x3x20, maxpool 2, flatten, dense 30, output 10 */
const Bytes CNN{ParseHex<unsigned char>("0103080008000100" "05"
                                        "0203140000000000" "0402000000000000" "0600000000000000" "01001e0000000000" "09000a0000000000")};

/** A small convolutional network with drawn weights and signed samples. */
struct Drawn {
    Program program{OwnProgram(CNN)};
    Bytes weights;
    Bytes samples;
    Bytes labels;

    explicit Drawn(size_t n)
    {
        FastRandomContext random{/*fDeterministic=*/true};
        const auto draw{[&] { return static_cast<unsigned char>(static_cast<int>(random.randrange(255)) - 127); }};
        for (size_t i{0}; i < program.n_params; ++i) weights.push_back(draw());
        for (size_t i{0}; i < n * program.SampleSize(); ++i) samples.push_back(draw());
        for (size_t i{0}; i < n; ++i) labels.push_back(random.randrange(program.Classes()));
    }

    Examples All() const { return {samples, labels}; }
    std::string Refused() const { return Reason(Evaluate(program, weights, All(), {})); }
};

} // namespace

BOOST_AUTO_TEST_SUITE(podl_evaluator_tests)

BOOST_AUTO_TEST_CASE(vectors_of_logits)
{
    for (const UniValue& vector : Cases(LoadVectors("arithmetic.json"), "forward")) {
        const auto program{OwnProgram(HexBytes(vector["program"]))};
        const auto expected{Flat(vector["logits"])};
        const auto weights{Operand(vector["weights"], program.n_params)};
        const auto samples{Operand(vector["samples"], vector["n"].getInt<size_t>() * program.SampleSize())};
        Bytes labels;
        for (const int32_t label : Integers<int32_t>(vector["labels"])) labels.push_back(label);
        for (const auto& kernel : Kernels()) {
            const std::string row{vector["case"].get_str() + " with " + kernel.name};
            for (const size_t threads : {1, 2}) {
                const auto logits{Logits(program, weights, samples, {.threads = threads, .kernel = &kernel})};
                BOOST_REQUIRE_MESSAGE(logits, row << ": " << Why(logits));
                BOOST_CHECK_MESSAGE(*logits == expected, row);
            }
            const auto measured{Evaluate(program, weights, Examples{samples, labels}, {.kernel = &kernel})};
            BOOST_REQUIRE_MESSAGE(measured, row << ": " << Why(measured));
            CHECK_NUMBER(*measured, vector, count);
            CHECK_NUMBER(*measured, vector, rank_sum);
        }
    }
}

BOOST_AUTO_TEST_CASE(vectors_of_scores)
{
    for (const UniValue& vector : Cases(LoadVectors("arithmetic.json"), "scores")) {
        Measured score;
        for (size_t i{0}; i < vector["labels"].size(); ++i) AddScore(Integers<int32_t>(vector["logits"][i]), vector["labels"][i].getInt<uint8_t>(), score);
        BOOST_CHECK_EQUAL(score.count, vector["count"].getInt<uint32_t>());
        BOOST_CHECK_EQUAL(score.rank_sum, vector["rank_sum"].getInt<uint64_t>());
    }
}

BOOST_AUTO_TEST_CASE(every_way_to_run_counts_the_same)
{
    const Drawn drawn{101};
    const auto logits{Logits(drawn.program, drawn.weights, drawn.samples, {.kernel = &Kernels().front()})};
    BOOST_REQUIRE(logits);
    Measured expected;
    const size_t classes{drawn.program.Classes()};
    for (size_t i{0}; i < drawn.labels.size(); ++i) AddScore(std::span{*logits}.subspan(i * classes, classes), drawn.labels[i], expected);
    for (const auto& kernel : Kernels()) {
        for (const size_t threads : {1, 2, 3, 64}) {
            const auto found{Evaluate(drawn.program, drawn.weights, drawn.All(), {.threads = threads, .kernel = &kernel})};
            BOOST_REQUIRE_MESSAGE(found, Why(found));
            BOOST_CHECK_MESSAGE(*found == expected, kernel.name << ", " << threads << " threads");
        }
    }
}

BOOST_AUTO_TEST_CASE(a_sample_does_not_depend_on_its_neighbours)
{
    const Drawn drawn{30};
    const size_t size{drawn.program.SampleSize()};
    const auto all{Logits(drawn.program, drawn.weights, drawn.samples, {})};
    BOOST_REQUIRE(all);
    for (const size_t i : {0, 13, 29}) {
        const auto one{Logits(drawn.program, drawn.weights, std::span{drawn.samples}.subspan(i * size, size), {})};
        BOOST_REQUIRE(one);
        BOOST_CHECK_EQUAL_COLLECTIONS(one->begin(), one->end(), all->begin() + i * one->size(), all->begin() + (i + 1) * one->size());
    }
}

BOOST_AUTO_TEST_CASE(bytes_that_do_not_fit)
{
    const Drawn good{5};
    BOOST_CHECK_EQUAL(good.Refused(), "");
    Drawn drawn{good};
    drawn.weights.pop_back();
    BOOST_CHECK_EQUAL(drawn.Refused(), "podl-model-size");
    drawn = good;
    drawn.weights.back() = 0x80;
    BOOST_CHECK_EQUAL(drawn.Refused(), "podl-model-range");
    drawn = good;
    drawn.samples.push_back(0);
    BOOST_CHECK_EQUAL(drawn.Refused(), "podl-shard-range");
    drawn = good;
    drawn.labels.pop_back();
    BOOST_CHECK_EQUAL(drawn.Refused(), "podl-shard-range");
    drawn = good;
    drawn.samples.back() = 0x80;
    BOOST_CHECK_EQUAL(drawn.Refused(), "podl-shard-range");
    drawn = good;
    drawn.labels.front() = drawn.program.Classes();
    BOOST_CHECK_EQUAL(drawn.Refused(), "podl-shard-label");
}

BOOST_AUTO_TEST_CASE(no_samples)
{
    const Drawn drawn{0};
    const auto found{Evaluate(drawn.program, drawn.weights, drawn.All(), {.threads = 4})};
    BOOST_REQUIRE(found);
    BOOST_CHECK(*found == Measured{});
}

BOOST_AUTO_TEST_CASE(memory_is_bounded)
{
    // 253 kernels of 255 x 255 for a single pixel: their packed columns, one in each panel, would take half a gigabyte.
    Bytes bytes{ParseHex<unsigned char>("01030100010001" "00ff")};
    for (int i{0}; i < 253; ++i) {
        const auto layer{ParseHex<unsigned char>("02ff010000000000")};
        bytes.insert(bytes.end(), layer.begin(), layer.end());
    }
    const auto end{ParseHex<unsigned char>("0600000000000000" "0900020000000000")};
    bytes.insert(bytes.end(), end.begin(), end.end());
    const auto program{OwnProgram(bytes)};
    const auto found{Evaluate(program, Bytes(program.n_params), {Bytes(1), Bytes(1)}, {})};
    BOOST_REQUIRE(!found);
    BOOST_CHECK_EQUAL(found.error().reason, "podl-eval-unavailable");
    BOOST_CHECK(found.error().cls == FailureClass::LATER);
    BOOST_CHECK_MESSAGE(found.error().detail.find("needs") == 0, found.error().detail);
}

BOOST_AUTO_TEST_CASE(stop)
{
    const Drawn drawn{100};
    for (const size_t threads : {1, 3}) {
        std::atomic<int> asked{0};
        const auto found{Evaluate(drawn.program, drawn.weights, drawn.All(), {.threads = threads, .stop = [&] { return ++asked > 20; }})};
        BOOST_REQUIRE(!found);
        BOOST_CHECK_EQUAL(found.error().reason, "podl-eval-unavailable");
        BOOST_CHECK(found.error().cls == FailureClass::LATER);
        // Each thread asks a few times more, not once per layer of every sample that is left.
        BOOST_CHECK_LE(asked, 20 + int(threads) * 3);
    }
}

BOOST_AUTO_TEST_SUITE_END()
