// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/program.h>

#include <podl/codec.h>

#include <crypto/sha256.h>
#include <serialize.h>

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <numeric>
#include <string>
#include <utility>

namespace podl {
namespace {

//! An int32 sum of one output is exact up to this fan-in.
constexpr uint64_t MAX_FAN_IN{1 << 17};
//! Positions times fan-in, what the outputs of one sample read: bounds the memory of a convolution's patches.
constexpr uint64_t MAX_PATCH_VALUES{1 << 26};
//! Terms of one float64 sum in the error for the layer below.
constexpr uint64_t MAX_BACKWARD_TERMS{1 << 23};
//! Values in any activation of one sample: keeps the work of a program below 2^64.
constexpr uint64_t MAX_VALUES{1 << 24};
//! The protocol's cap on weight bytes.
constexpr uint64_t MAX_PARAMETERS{1 << 24};
constexpr size_t MAX_DIMENSIONS{3};
//! Labels are bytes.
constexpr uint16_t MAX_CLASSES{256};
//! First weights are drawn so that the largest is about 48 of 127.
constexpr uint64_t FIRST_WEIGHT_MAX{48};

using Shape = std::vector<uint64_t>;

struct Layer {
    LayerKind kind{};
    uint8_t size{0};   //!< side of a kernel or pool
    uint16_t units{0}; //!< outputs per position
    uint8_t gain{0};   //!< of an average pool
    std::array<unsigned char, 3> unused{};

    SERIALIZE_METHODS(Layer, obj)
    {
        uint8_t kind{static_cast<uint8_t>(obj.kind)};
        READWRITE(kind, obj.size, obj.units, obj.gain, obj.unused);
        SER_READ(obj, obj.kind = LayerKind{kind});
    }

    bool IsConvolution() const { return kind == LayerKind::CONV2D || kind == LayerKind::CONV1D; }
    bool IsPool() const { return kind == LayerKind::MAXPOOL || kind == LayerKind::AVGPOOL; }
    bool IsRecurrent() const { return kind == LayerKind::RNN || kind == LayerKind::MGRU; }
    /** Also true for a kind that does not exist, which OutShape() refuses. */
    bool HasWeights() const { return !IsPool() && kind != LayerKind::FLATTEN; }
    /** Cells of a kernel. */
    uint64_t Taps() const { return kind == LayerKind::CONV1D ? size : uint64_t{size} * size; }
};

struct Layout {
    uint8_t version{0};
    std::vector<uint16_t> dims;
    std::vector<Layer> layers;

    SERIALIZE_METHODS(Layout, obj)
    {
        READWRITE(obj.version, Using<CountedFormatter<uint8_t>>(obj.dims), Using<CountedFormatter<uint8_t>>(obj.layers));
    }
};

/** The one matrix of a layer with weights. */
struct Matrix {
    uint64_t fan_in{0};
    uint64_t columns{0};
    uint64_t positions{1}; //!< places of one sample that use it
    uint64_t taps{1};      //!< cells of a kernel
};

util::Unexpected<Reject> BadProgram(std::string detail)
{
    return Refuse(FailureClass::DATA, "podl-model-range", std::move(detail));
}

uint64_t Product(const auto& dims)
{
    return std::accumulate(dims.begin(), dims.end(), uint64_t{1}, std::multiplies{});
}

Result<void> CheckAveragePool(const Layer& layer)
{
    if (!std::has_single_bit(layer.size)) return BadProgram("average pool size is no power of two");
    if (layer.gain > 2 * std::countr_zero(layer.size)) return BadProgram("average pool gain above its window");
    return {};
}

/** What a layer says of itself: used numbers in range, unused ones zero. */
Result<void> CheckNumbers(const Layer& layer)
{
    if (layer.unused != decltype(layer.unused){}) return BadProgram("unused bytes are not zero");
    if (layer.HasWeights() != (layer.units > 0)) return BadProgram("units out of range");
    if (layer.gain > 0 && layer.kind != LayerKind::AVGPOOL) return BadProgram("unused gain is not zero");
    if (layer.IsConvolution()) {
        if (layer.size % 2 == 0) return BadProgram("kernel size is even");
    } else if (layer.IsPool()) {
        if (layer.size < 2) return BadProgram("pool size below 2");
    } else if (layer.size > 0) {
        return BadProgram("unused size is not zero");
    }
    return layer.kind == LayerKind::AVGPOOL ? CheckAveragePool(layer) : Result<void>{};
}

Result<Shape> PoolShape(const Layer& layer, const Shape& in)
{
    if (in[0] % layer.size || in[1] % layer.size) return BadProgram("pool size does not divide its input");
    return Shape{in[0] / layer.size, in[1] / layer.size, in[2]};
}

/** Shape behind a layer of checked numbers; a recurrent layer hands all its states to another one. */
Result<Shape> OutShape(const Layer& layer, const Shape& in, bool feeds_recurrent)
{
    switch (layer.kind) {
    case LayerKind::CONV1D:
        if (in.size() != 2) return BadProgram("needs an input of T,D");
        return Shape{in[0], layer.units};
    case LayerKind::CONV2D:
        if (in.size() != 3) return BadProgram("needs an input of H,W,C");
        return Shape{in[0], in[1], layer.units};
    case LayerKind::MAXPOOL:
    case LayerKind::AVGPOOL:
        if (in.size() != 3) return BadProgram("needs an input of H,W,C");
        return PoolShape(layer, in);
    case LayerKind::FLATTEN:
        if (in.size() == 1) return BadProgram("input is flat already");
        return Shape{Product(in)};
    case LayerKind::RNN:
    case LayerKind::MGRU:
        if (in.size() != 2) return BadProgram("needs an input of T,D");
        return feeds_recurrent ? Shape{in[0], layer.units} : Shape{layer.units};
    case LayerKind::DENSE:
    case LayerKind::OUTPUT:
        if (in.size() != 1) return BadProgram("needs a flat input");
        return Shape{layer.units};
    } // no default case, so the compiler can warn about missing cases
    return BadProgram("unknown kind");
}

/** Layer scale f = max{ f : isqrt(g*4^f // fan_in) <= 48 } (arithmetic.md 1.2). */
uint8_t ScaleOf(const Layer& layer, uint64_t fan_in)
{
    const uint64_t gain{layer.IsRecurrent() || layer.kind == LayerKind::OUTPUT ? 3U : 6U};
    uint8_t scale{0};
    while ((gain << 2 * (scale + 1)) / fan_in < (FIRST_WEIGHT_MAX + 1) * (FIRST_WEIGHT_MAX + 1)) ++scale;
    return scale;
}

/** Matrix of a layer with weights whose input shape is checked. */
Matrix MatrixOf(const Layer& layer, const Shape& in)
{
    Matrix matrix{.fan_in = in.back(), .columns = layer.units};
    if (layer.IsConvolution()) {
        matrix.taps = layer.Taps();
        matrix.positions = Product(in) / in.back();
        matrix.fan_in *= matrix.taps;
    } else if (layer.IsRecurrent()) {
        matrix.positions = in[0];
        matrix.fan_in += layer.units;
        if (layer.kind == LayerKind::MGRU) matrix.columns *= 2;
    }
    return matrix;
}

Result<void> AddMatrix(const Matrix& matrix, Program& program)
{
    if (matrix.fan_in > MAX_FAN_IN) return BadProgram(strprintf("fan-in %u above %u", matrix.fan_in, MAX_FAN_IN));
    if (matrix.positions > MAX_GRADIENT_TERMS) return BadProgram(strprintf("%u positions above %u", matrix.positions, MAX_GRADIENT_TERMS));
    if (matrix.positions * matrix.fan_in > MAX_PATCH_VALUES) {
        return BadProgram(strprintf("%u positions of fan-in %u above %u values", matrix.positions, matrix.fan_in, MAX_PATCH_VALUES));
    }
    if (matrix.columns * matrix.taps > MAX_BACKWARD_TERMS) return BadProgram("too many terms in an input error");
    const uint64_t weights{(matrix.fan_in + 1) * matrix.columns};
    if (program.n_params + weights > MAX_PARAMETERS) return BadProgram(strprintf("more than %u parameters", MAX_PARAMETERS));
    program.n_params += weights;
    program.macs += matrix.positions * weights;
    if (matrix.positions > program.max_positions) {
        program.max_positions = matrix.positions;
        program.busiest_layer = program.layers.size();
    }
    return {};
}

Result<Shape> AddLayer(std::span<const Layer> layers, size_t place, const Shape& in, Program& program)
{
    const Layer& layer{layers[place]};
    if (auto numbers{CheckNumbers(layer)}; !numbers) return util::Unexpected{numbers.error()};
    auto out{OutShape(layer, in, place + 1 < layers.size() && layers[place + 1].IsRecurrent())};
    if (!out) return out;
    LayerPlan plan{.kind = layer.kind, .size = layer.size, .gain = layer.gain, .in{in.begin(), in.end()}, .out{out->begin(), out->end()}};
    if (layer.HasWeights()) {
        const auto matrix{MatrixOf(layer, in)};
        if (auto added{AddMatrix(matrix, program)}; !added) return util::Unexpected{added.error()};
        plan.fan_in = matrix.fan_in;
        plan.columns = matrix.columns;
        plan.scale = ScaleOf(layer, matrix.fan_in);
    }
    if (Product(*out) > MAX_VALUES) return BadProgram("too many values behind this layer");
    program.layers.push_back(std::move(plan));
    return out;
}

/** Version, sample shape and the output layer. */
Result<void> CheckFrame(const Layout& layout, std::span<const uint16_t> shape, uint16_t classes)
{
    if (layout.version != 1) return BadProgram(strprintf("unknown version %u", layout.version));
    if (layout.dims.empty() || layout.dims.size() > MAX_DIMENSIONS) return BadProgram("a sample has 1 to 3 dimensions");
    const uint64_t values{Product(layout.dims)};
    if (values == 0 || values > MAX_VALUES) return BadProgram("sample size out of range");
    if (values != Product(shape)) return BadProgram("sample size differs from the task's");
    const auto is_output{[](const Layer& layer) { return layer.kind == LayerKind::OUTPUT; }};
    if (std::ranges::count_if(layout.layers, is_output) != 1 || !is_output(layout.layers.back())) {
        return BadProgram("the last layer, and only the last, is an output layer");
    }
    if (classes < 2 || classes > MAX_CLASSES) return BadProgram("number of classes out of range");
    if (layout.layers.back().units != classes) return BadProgram("outputs differ from the task's classes");
    return {};
}

} // namespace

uint64_t Program::SampleSize() const { return Product(layers.front().in); }

Result<Program> Program::Parse(std::span<const unsigned char> bytes, std::span<const uint16_t> shape, uint16_t classes)
{
    const auto layout{ParseExact<Layout>(bytes, "podl-model-range")};
    if (!layout) return util::Unexpected{layout.error()};
    if (auto frame{CheckFrame(*layout, shape, classes)}; !frame) return util::Unexpected{frame.error()};

    Program program;
    Shape values(layout->dims.begin(), layout->dims.end());
    for (size_t i{0}; i < layout->layers.size(); ++i) {
        auto next{AddLayer(layout->layers, i, values, program)};
        if (!next) return BadProgram(strprintf("layer %u: %s", i, next.error().detail));
        values = std::move(*next);
    }
    program.bytes.assign(bytes.begin(), bytes.end());
    CSHA256().Write(bytes.data(), bytes.size()).Finalize(program.hash.begin());
    return program;
}

} // namespace podl
