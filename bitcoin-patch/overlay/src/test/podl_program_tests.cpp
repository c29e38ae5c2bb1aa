// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/program.h>

#include <crypto/common.h>
#include <test/podl_vectors.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

struct TestLayer {
    LayerKind kind;
    uint8_t size{0};
    uint16_t units{0};
    uint8_t gain{0};
    uint8_t unused{0};
};

constexpr uint16_t CLASSES{10};

std::vector<unsigned char> Encode(const std::vector<uint16_t>& dims, const std::vector<TestLayer>& layers)
{
    const auto low{[](uint16_t x) { return static_cast<unsigned char>(x & 0xff); }};
    const auto high{[](uint16_t x) { return static_cast<unsigned char>(x >> 8); }};
    std::vector<unsigned char> bytes{1, static_cast<unsigned char>(dims.size())};
    for (const uint16_t dim : dims) bytes.insert(bytes.end(), {low(dim), high(dim)});
    bytes.push_back(layers.size());
    for (const auto& layer : layers) {
        bytes.insert(bytes.end(), {static_cast<unsigned char>(layer.kind), layer.size, low(layer.units), high(layer.units), layer.gain, 0, 0, layer.unused});
    }
    return bytes;
}

/** Parse for a task with the program's own sample shape. */
Result<Program> Load(const std::vector<uint16_t>& dims, const std::vector<TestLayer>& layers)
{
    return Program::Parse(Encode(dims, layers), dims, CLASSES);
}

void CheckLoads(const std::vector<uint16_t>& dims, const std::vector<TestLayer>& layers, uint32_t n_params, uint64_t macs, uint64_t positions)
{
    const auto program{Load(dims, layers)};
    BOOST_REQUIRE_MESSAGE(program, Why(program));
    BOOST_CHECK_EQUAL(program->n_params, n_params);
    BOOST_CHECK_EQUAL(program->macs, macs);
    BOOST_CHECK_EQUAL(program->max_positions, positions);
    BOOST_CHECK(program->bytes == Encode(dims, layers));
}

void CheckRefused(const std::vector<uint16_t>& dims, const std::vector<TestLayer>& layers, const std::string& detail)
{
    const auto program{Load(dims, layers)};
    BOOST_CHECK_EQUAL(Reason(program), "podl-model-range");
    BOOST_CHECK_MESSAGE(Why(program).find(detail) != std::string::npos, Why(program) << " instead of " << detail);
}

template <typename Number = uint16_t>
std::vector<Number> Numbers(const UniValue& list)
{
    std::vector<Number> numbers;
    for (const UniValue& number : list.getValues()) numbers.push_back(number.getInt<Number>());
    return numbers;
}

/** Shapes, matrix and scale of a layer against the vector's. */
void CheckPlan(const LayerPlan& plan, const UniValue& layer)
{
    const auto in{Numbers<uint32_t>(layer["in"])};
    const auto out{Numbers<uint32_t>(layer["out"])};
    BOOST_CHECK_EQUAL_COLLECTIONS(plan.in.begin(), plan.in.end(), in.begin(), in.end());
    BOOST_CHECK_EQUAL_COLLECTIONS(plan.out.begin(), plan.out.end(), out.begin(), out.end());
    BOOST_CHECK_EQUAL(plan.fan_in > 0, layer.exists("fan_in"));
    if (plan.fan_in == 0) return;
    CHECK_NUMBER(plan, layer, fan_in);
    CHECK_NUMBER(plan, layer, columns);
    CHECK_NUMBER(plan, layer, scale);
}

/** Sample shape that a program's bytes name, so that a task's other shape is not what refuses it. */
std::vector<uint16_t> OwnShape(std::span<const unsigned char> bytes)
{
    std::vector<uint16_t> dims;
    for (size_t i{2}; bytes.size() > 1 && dims.size() < bytes[1] && i + 1 < bytes.size(); i += 2) dims.push_back(ReadLE16(&bytes[i]));
    return dims;
}

/** Units of the last layer in a program's bytes. */
uint16_t OwnClasses(std::span<const unsigned char> bytes)
{
    return bytes.size() < 8 ? CLASSES : ReadLE16(&bytes[bytes.size() - 6]);
}

constexpr TestLayer OUTPUT{LayerKind::OUTPUT, 0, CLASSES};
constexpr TestLayer FLATTEN{LayerKind::FLATTEN};

} // namespace

BOOST_AUTO_TEST_SUITE(podl_program_tests)

BOOST_AUTO_TEST_CASE(vectors)
{
    for (const UniValue& vector : Cases(LoadVectors("arithmetic.json"), "programs")) {
        const auto bytes{HexBytes(vector["bytes"])};
        const UniValue& layers{vector["layers"]};
        uint64_t positions{0};
        for (const UniValue& layer : layers.getValues()) {
            if (layer.exists("positions")) positions = std::max(positions, layer["positions"].getInt<uint64_t>());
        }
        const auto program{Program::Parse(bytes, Numbers(layers[0]["in"]), layers[layers.size() - 1]["out"][0].getInt<uint16_t>())};
        BOOST_REQUIRE_MESSAGE(program, vector["text"].get_str() << ": " << Why(program));
        CHECK_NUMBER(*program, vector, n_params);
        CHECK_NUMBER(*program, vector, macs);
        BOOST_CHECK_EQUAL(program->max_positions, positions);
        BOOST_REQUIRE_EQUAL(program->layers.size(), layers.size());
        for (size_t i{0}; i < layers.size(); ++i) CheckPlan(program->layers[i], layers[i]);
    }
}

BOOST_AUTO_TEST_CASE(vectors_of_bad_programs)
{
    for (const UniValue& vector : Cases(LoadVectors("arithmetic.json"), "programs_invalid")) {
        const auto bytes{HexBytes(vector["bytes"])};
        const auto program{Program::Parse(bytes, OwnShape(bytes), OwnClasses(bytes))};
        BOOST_CHECK_MESSAGE(Reason(program) == vector["reason"].get_str(), vector["case"].get_str() << ": " << Why(program));
    }
}

BOOST_AUTO_TEST_CASE(sizes)
{
    const TestLayer dense{LayerKind::DENSE, 0, 64};
    CheckLoads({64}, {OUTPUT}, 650, 650, 1);
    CheckLoads({64}, {dense, dense, OUTPUT}, 2 * 65 * 64 + 650, 2 * 65 * 64 + 650, 1);
    CheckLoads({8, 8, 1}, {{LayerKind::CONV2D, 3, 16}, {LayerKind::MAXPOOL, 2}, {LayerKind::CONV2D, 3, 32}, {LayerKind::MAXPOOL, 2}, FLATTEN, dense, OUTPUT},
               10 * 16 + 145 * 32 + 129 * 64 + 650, 64 * 160 + 16 * 145 * 32 + 129 * 64 + 650, 64);
    CheckLoads({8, 8, 1}, {{LayerKind::CONV2D, 3, 16}, {LayerKind::AVGPOOL, 8, 0, 3}, FLATTEN, OUTPUT}, 160 + 170, 64 * 160 + 170, 64);
    CheckLoads({8, 8}, {{LayerKind::RNN, 0, 64}, OUTPUT}, 73 * 64 + 650, 8 * 73 * 64 + 650, 8);
    CheckLoads({8, 8}, {{LayerKind::MGRU, 0, 64}, OUTPUT}, 73 * 128 + 650, 8 * 73 * 128 + 650, 8);
    CheckLoads({8, 5}, {{LayerKind::CONV1D, 3, 16}, FLATTEN, OUTPUT}, 16 * 16 + 129 * 10, 8 * 16 * 16 + 129 * 10, 8);
    CheckLoads({8, 5}, {{LayerKind::CONV1D, 3, 6}, {LayerKind::RNN, 0, 4}, {LayerKind::MGRU, 0, 3}, OUTPUT},
               16 * 6 + 11 * 4 + 8 * 6 + 40, 8 * (16 * 6 + 11 * 4 + 8 * 6) + 40, 8);
}

BOOST_AUTO_TEST_CASE(numbers_of_a_layer)
{
    CheckRefused({64}, {{LayerKind{0}, 0, 1}, OUTPUT}, "unknown kind");
    CheckRefused({64}, {{LayerKind{10}, 0, 1}, OUTPUT}, "unknown kind");
    CheckRefused({64}, {{LayerKind::DENSE, 0, 0}, OUTPUT}, "units");
    CheckRefused({64}, {{LayerKind::DENSE, 1, 8}, OUTPUT}, "unused size");
    CheckRefused({64}, {{LayerKind::DENSE, 0, 8, 1}, OUTPUT}, "unused gain");
    CheckRefused({64}, {{LayerKind::DENSE, 0, 8, 0, 1}, OUTPUT}, "unused bytes");
    CheckRefused({8, 8, 1}, {{LayerKind::FLATTEN, 0, 1}, OUTPUT}, "units");
    CheckRefused({8, 8, 1}, {{LayerKind::CONV2D, 2, 8}, FLATTEN, OUTPUT}, "even");
    CheckRefused({8, 8, 1}, {{LayerKind::CONV2D, 0, 8}, FLATTEN, OUTPUT}, "even");
    CheckRefused({8, 8, 1}, {{LayerKind::MAXPOOL, 1}, FLATTEN, OUTPUT}, "below 2");
    CheckRefused({8, 8, 1}, {{LayerKind::MAXPOOL, 3}, FLATTEN, OUTPUT}, "does not divide");
    CheckRefused({8, 4, 1}, {{LayerKind::MAXPOOL, 8}, FLATTEN, OUTPUT}, "does not divide");
    CheckRefused({9, 9, 1}, {{LayerKind::AVGPOOL, 3}, FLATTEN, OUTPUT}, "power of two");
    CheckLoads({8, 8, 1}, {{LayerKind::AVGPOOL, 2, 0, 2}, FLATTEN, OUTPUT}, 170, 170, 1);
    CheckRefused({8, 8, 1}, {{LayerKind::AVGPOOL, 2, 0, 3}, FLATTEN, OUTPUT}, "gain above");
}

BOOST_AUTO_TEST_CASE(shapes)
{
    CheckRefused({8, 8, 1}, {OUTPUT}, "flat input");
    CheckRefused({64}, {FLATTEN, OUTPUT}, "flat already");
    CheckRefused({64}, {{LayerKind::CONV2D, 3, 8}, FLATTEN, OUTPUT}, "H,W,C");
    CheckRefused({8, 8}, {{LayerKind::MAXPOOL, 2}, FLATTEN, OUTPUT}, "H,W,C");
    CheckRefused({8, 8, 1}, {{LayerKind::MGRU, 0, 8}, OUTPUT}, "T,D");
    CheckRefused({8, 8, 1}, {{LayerKind::CONV1D, 3, 8}, FLATTEN, OUTPUT}, "T,D");
    CheckRefused({64}, {{LayerKind::CONV1D, 3, 8}, FLATTEN, OUTPUT}, "T,D");
    CheckRefused({8, 8}, {{LayerKind::CONV1D, 4, 8}, FLATTEN, OUTPUT}, "even");
    CheckRefused({8, 8}, {{LayerKind::CONV1D, 3, 8}, {LayerKind::MAXPOOL, 2}, FLATTEN, OUTPUT}, "H,W,C");
    CheckRefused({8, 8}, {{LayerKind::MGRU, 0, 8}, {LayerKind::CONV1D, 3, 8}, FLATTEN, OUTPUT}, "layer 1: needs an input of T,D");
    CheckRefused({8, 8}, {{LayerKind::MGRU, 0, 8}, FLATTEN, OUTPUT}, "flat already");
    CheckRefused({8, 8}, {FLATTEN, {LayerKind::RNN, 0, 8}, OUTPUT}, "T,D");
    CheckRefused({64}, {{LayerKind::DENSE, 0, 8}}, "output layer");
    CheckRefused({64}, {OUTPUT, OUTPUT}, "output layer");
    CheckRefused({64}, {}, "output layer");
    CheckRefused({64}, {{LayerKind::OUTPUT, 0, CLASSES + 1}}, "classes");
    CheckRefused({}, {OUTPUT}, "1 to 3");
    CheckRefused({2, 2, 2, 2}, {FLATTEN, OUTPUT}, "1 to 3");
    CheckRefused({8, 0}, {FLATTEN, OUTPUT}, "sample size");
}

BOOST_AUTO_TEST_CASE(the_task_shape)
{
    const auto bytes{Encode({64}, {OUTPUT})};
    BOOST_CHECK(Program::Parse(bytes, std::array<uint16_t, 3>{8, 8, 1}, CLASSES));
    BOOST_CHECK_EQUAL(Reason(Program::Parse(bytes, std::array<uint16_t, 3>{8, 8, 2}, CLASSES)), "podl-model-range");
    // A product of 2^32 + 64 must not pass for 64.
    BOOST_CHECK_EQUAL(Reason(Program::Parse(bytes, std::array<uint16_t, 2>{65535, 65535}, CLASSES)), "podl-model-range");
}

BOOST_AUTO_TEST_CASE(bounds_of_exactness)
{
    constexpr uint32_t longest{1 << 17};
    CheckLoads({256, 256, 2}, {FLATTEN, OUTPUT}, 10 * longest + 10, 10 * longest + 10, 1);
    CheckRefused({43691, 3}, {FLATTEN, OUTPUT}, "fan-in 131073");
    CheckRefused({1, 1, 14564}, {{LayerKind::CONV2D, 3, 1}, FLATTEN, OUTPUT}, "fan-in 131076");
    CheckRefused({1, 43691}, {{LayerKind::CONV1D, 3, 1}, FLATTEN, OUTPUT}, "fan-in 131073");
    CheckRefused({1, 65535}, {{LayerKind::RNN, 0, 65535}, {LayerKind::RNN, 0, 1}, OUTPUT}, "parameters");
    CheckLoads({2048, 2048, 1}, {{LayerKind::CONV2D, 1, 1}, {LayerKind::MAXPOOL, 128}, FLATTEN, OUTPUT}, 2 + 2570, 4194304 * 2 + 2570, 4194304);
    CheckRefused({2048, 2049, 1}, {{LayerKind::CONV2D, 1, 1}, FLATTEN, OUTPUT}, "4196352 positions");
    CheckLoads({1024, 1024, 1}, {{LayerKind::CONV2D, 7, 1}, {LayerKind::MAXPOOL, 128}, FLATTEN, OUTPUT}, 50 + 650, 1048576 * 50 + 650, 1048576);
    CheckRefused({1024, 1024, 1}, {{LayerKind::CONV2D, 9, 1}, FLATTEN, OUTPUT}, "1048576 positions of fan-in 81");
    CheckLoads({65535, 1}, {{LayerKind::MGRU, 0, 1023}, OUTPUT}, 1025 * 2046 + 10240, 65535ULL * 1025 * 2046 + 10240, 65535);
    CheckRefused({65535, 2}, {{LayerKind::MGRU, 0, 1023}, OUTPUT}, "65535 positions of fan-in 1025");
    // A layer without weights has no gradient.
    CheckLoads({256, 256, 1}, {{LayerKind::MAXPOOL, 16}, FLATTEN, OUTPUT}, 2570, 2570, 1);
    // 31^2 * 8730 is just above 2^23.
    CheckRefused({1, 1, 1}, {{LayerKind::CONV2D, 31, 8730}, FLATTEN, OUTPUT}, "input error");
    CheckLoads({1, 1, 1}, {{LayerKind::CONV2D, 31, 8729}, FLATTEN, OUTPUT}, 962 * 8729 + 87300, 962 * 8729 + 87300, 1);
    CheckRefused({1, 1}, {{LayerKind::CONV1D, 255, 32897}, FLATTEN, OUTPUT}, "input error");
    CheckLoads({1, 1}, {{LayerKind::CONV1D, 255, 32896}, FLATTEN, OUTPUT}, 256 * 32896 + 328970, 256 * 32896 + 328970, 1);
}

BOOST_AUTO_TEST_CASE(bounds_of_size)
{
    CheckRefused({4096, 4096, 2}, {{LayerKind::MAXPOOL, 128}, FLATTEN, OUTPUT}, "sample size");
    CheckRefused({65535, 65535, 65535}, {FLATTEN, OUTPUT}, "sample size");
    CheckRefused({256, 128, 1}, {{LayerKind::CONV2D, 1, 513}, FLATTEN, OUTPUT}, "too many values");
    CheckRefused({1000}, {{LayerKind::DENSE, 0, 20000}, OUTPUT}, "parameters");
}

BOOST_AUTO_TEST_CASE(every_other_length_is_refused)
{
    const auto bytes{Encode({8, 8, 1}, {FLATTEN, OUTPUT})};
    const std::array<uint16_t, 1> shape{64};
    BOOST_REQUIRE(Program::Parse(bytes, shape, CLASSES));
    for (size_t length{0}; length < bytes.size(); ++length) {
        BOOST_CHECK_EQUAL(Reason(Program::Parse(std::span{bytes}.first(length), shape, CLASSES)), "podl-model-range");
    }
    auto longer{bytes};
    longer.push_back(0);
    BOOST_CHECK_EQUAL(Reason(Program::Parse(longer, shape, CLASSES)), "podl-model-range");
    for (const unsigned char version : {0, 2}) {
        auto other{bytes};
        other.front() = version;
        BOOST_CHECK_EQUAL(Reason(Program::Parse(other, shape, CLASSES)), "podl-model-range");
    }
}

BOOST_AUTO_TEST_SUITE_END()
