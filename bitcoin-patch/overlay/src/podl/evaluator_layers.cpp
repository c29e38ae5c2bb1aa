// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator_layers.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <functional>
#include <limits>
#include <numeric>

namespace podl {
namespace {

constexpr int32_t ACTIVATION_MAX{127};
constexpr int32_t STATE_MAX{64};
//! Rows multiplied in one go: their patches stay in a core's cache while a panel passes over them.
constexpr size_t BLOCK_ROWS{48};
static_assert(BLOCK_ROWS % MAX_TILE_ROWS == 0);
//! Values in the patches of one block, where a patch is not larger than that.
constexpr size_t BLOCK_VALUES{1 << 15};

// Nor does what rounding adds to a sum: 2^(f+1), with f <= 13 at the largest fan-in.
static_assert(MAX_SUM_TERMS * 127 * 127 + 64 * 127 + (1 << 14) <= uint64_t{std::numeric_limits<int32_t>::max()});

bool IsConvolution(const LayerPlan& plan) { return plan.kind == LayerKind::CONV2D || plan.kind == LayerKind::CONV1D; }
bool IsRecurrent(const LayerPlan& plan) { return plan.kind == LayerKind::RNN || plan.kind == LayerKind::MGRU; }

/** Rnd of arithmetic.md 1: halves go up. */
constexpr int32_t RoundShift(int32_t value, int shift)
{
    return shift == 0 ? value : (value + (1 << (shift - 1))) >> shift;
}

size_t Product(const std::vector<uint32_t>& shape)
{
    return std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies{});
}

/**
 * Products of rows with a whole matrix; put(row, column, sums) takes PANEL columns of one row, of which those beyond
 * the matrix mean nothing.
 */
template <typename Put>
bool Multiply(const PackedMatrix& matrix, const Kernel& kernel, const int16_t* values, size_t stride, size_t rows, const StopRequest& stop, Put put)
{
    int32_t tile[MAX_TILE_ROWS][PANEL];
    for (size_t panel{0}; panel < matrix.Panels(); ++panel) {
        if (stop()) return false;
        for (size_t first{0}; first < rows; first += kernel.rows) {
            const size_t count{std::min(kernel.rows, rows - first)};
            kernel.multiply(values + first * stride, stride, count, matrix.Panel(panel), matrix.Pairs(), &matrix.bias[panel * PANEL], tile);
            for (size_t row{0}; row < count; ++row) put(first + row, panel * PANEL, tile[row]);
        }
    }
    return true;
}

/** Rows of outputs of a layer with ReLU: clip(Rnd(sum, f), 0, 127). */
bool MultiplyRelu(const Step& step, const Kernel& kernel, const int16_t* values, size_t rows, int16_t* out, const StopRequest& stop)
{
    const auto& matrix{*step.matrix};
    const int shift{step.plan.scale};
    return Multiply(matrix, kernel, values, matrix.fan_in, rows, stop, [&](size_t row, size_t column, const int32_t(&sums)[PANEL]) {
        int16_t outputs[PANEL];
        for (size_t i{0}; i < PANEL; ++i) outputs[i] = std::clamp(RoundShift(sums[i], shift), 0, ACTIVATION_MAX);
        std::copy_n(outputs, std::min(PANEL, matrix.columns - column), out + row * matrix.columns + column);
    });
}

/** An image, or a series of one row. */
struct Image {
    size_t height;
    size_t width;
    size_t channels;
};

/** A kernel's window, centred: of one row for a series. */
struct Window {
    size_t height;
    size_t width;
};

/** One row of the window around (y, x): width * channels values, 0 outside of the image. */
void CopyRow(const int16_t* row, const Image& image, size_t x, size_t window, int16_t* out)
{
    const size_t pad{window / 2};
    const size_t before{pad - std::min(x, pad)};
    const size_t end{std::min(window, image.width + pad - x)};
    out = std::fill_n(out, before * image.channels, int16_t{0});
    out = std::copy_n(row + (x + before - pad) * image.channels, (end - before) * image.channels, out);
    std::fill_n(out, (window - end) * image.channels, int16_t{0});
}

void CopyPatch(const int16_t* in, const Image& image, size_t position, const Window& window, int16_t* out)
{
    const size_t y{position / image.width};
    const size_t x{position % image.width};
    const size_t pad{window.height / 2};
    const size_t length{window.width * image.channels};
    for (size_t i{0}; i < window.height; ++i, out += length) {
        if (y + i < pad || y + i - pad >= image.height) {
            std::fill_n(out, length, int16_t{0});
        } else {
            CopyRow(in + (y + i - pad) * image.width * image.channels, image, x, window.width, out);
        }
    }
}

size_t PatchesAtOnce(size_t fan_in)
{
    return std::clamp(BLOCK_VALUES / fan_in / MAX_TILE_ROWS * MAX_TILE_ROWS, MAX_TILE_ROWS, BLOCK_ROWS);
}

bool RunConvolution(const Step& step, const Kernel& kernel, const int16_t* in, size_t samples, int16_t* out, Scratch& scratch, const StopRequest& stop)
{
    const auto& shape{step.plan.in};
    const bool flat{step.plan.kind == LayerKind::CONV1D};
    const Image image{flat ? 1 : shape[0], flat ? shape[0] : shape[1], shape.back()};
    const Window window{flat ? size_t{1} : step.plan.size, step.plan.size};
    const size_t fan_in{step.matrix->fan_in};
    const size_t block{PatchesAtOnce(fan_in)};
    const size_t positions{image.height * image.width};
    scratch.rows.resize(step.ScratchRows(samples));
    for (size_t sample{0}; sample < samples; ++sample, in += step.Inputs()) {
        for (size_t first{0}; first < positions; first += block) {
            const size_t rows{std::min(block, positions - first)};
            for (size_t row{0}; row < rows; ++row) CopyPatch(in, image, first + row, window, &scratch.rows[row * fan_in]);
            if (!MultiplyRelu(step, kernel, scratch.rows.data(), rows, out, stop)) return false;
            out += rows * step.matrix->columns;
        }
    }
    return true;
}

void MaxInto(int16_t* out, const int16_t* in, size_t count)
{
    size_t i{0};
    for (; i + PANEL <= count; i += PANEL) {
        int16_t larger[PANEL]; // apart from both, so that the compiler may use vectors
        for (size_t j{0}; j < PANEL; ++j) larger[j] = std::max(out[i + j], in[i + j]);
        std::copy_n(larger, PANEL, out + i);
    }
    for (; i < count; ++i) out[i] = std::max(out[i], in[i]);
}

/** For each output, visit(cells); cells(each) calls each with the channels of every cell of the output's window. */
template <typename Visit>
void ForWindows(const LayerPlan& plan, const int16_t* in, Visit visit)
{
    const size_t n{plan.size};
    const size_t width{plan.in[1]};
    const size_t channels{plan.in[2]};
    for (size_t y{0}; y < plan.out[0]; ++y) {
        for (size_t x{0}; x < plan.out[1]; ++x) {
            const int16_t* corner{in + (y * n * width + x * n) * channels};
            visit([&](auto each) {
                for (size_t i{0}; i < n; ++i) {
                    for (size_t j{0}; j < n; ++j) each(corner + (i * width + j) * channels);
                }
            });
        }
    }
}

void MaxPool(const LayerPlan& plan, const int16_t* in, int16_t* out)
{
    const size_t channels{plan.in[2]};
    ForWindows(plan, in, [&](auto cells) {
        std::fill_n(out, channels, std::numeric_limits<int16_t>::min());
        cells([&](const int16_t* cell) { MaxInto(out, cell, channels); });
        out += channels;
    });
}

void AveragePool(const LayerPlan& plan, const int16_t* in, int16_t* out)
{
    const size_t channels{plan.in[2]};
    const int shift{2 * std::countr_zero(plan.size) - plan.gain};
    ForWindows(plan, in, [&](auto cells) {
        for (size_t channel{0}; channel < channels; ++channel) {
            int32_t sum{0};
            cells([&](const int16_t* cell) { sum += cell[channel]; });
            *out++ = std::clamp(RoundShift(sum, shift), 0, ACTIVATION_MAX);
        }
    });
}

/** h' = clip(Rnd(acc, f), -64, 64) */
void UpdateSimple(const LayerPlan& plan, const int32_t* sums, size_t units, int16_t* state)
{
    for (size_t i{0}; i < units; ++i) state[i] = std::clamp(RoundShift(sums[i], plan.scale), -STATE_MAX, STATE_MAX);
}

/** The minimal gated cell: gates z in the first half of the columns, candidates c in the second. */
void UpdateGated(const LayerPlan& plan, const int32_t* sums, size_t units, int16_t* state)
{
    for (size_t i{0}; i < units; ++i) {
        const int32_t gate{std::clamp(RoundShift(sums[i], plan.scale + 2) + 32, 0, STATE_MAX)};
        const int32_t candidate{std::clamp(RoundShift(sums[units + i], plan.scale), -STATE_MAX, STATE_MAX)};
        state[i] += RoundShift(gate * (candidate - state[i]), 6);
    }
}

bool RunRecurrent(const Step& step, const Kernel& kernel, const int16_t* in, size_t samples, int16_t* out, Scratch& scratch, const StopRequest& stop)
{
    const size_t steps{step.plan.in[0]};
    const size_t depth{step.plan.in[1]};
    const size_t units{step.plan.out.back()};
    const bool sequence{step.plan.out.size() == 2};
    const auto& matrix{*step.matrix};
    const auto update{step.plan.kind == LayerKind::MGRU ? UpdateGated : UpdateSimple};
    // Each row is x_t, then the state, which starts at 0 and stays there.
    scratch.rows.assign(step.ScratchRows(samples), 0);
    scratch.sums.resize(step.ScratchSums(samples));
    for (size_t t{0}; t < steps; ++t) {
        for (size_t i{0}; i < samples; ++i) std::copy_n(in + (i * steps + t) * depth, depth, &scratch.rows[i * matrix.fan_in]);
        const bool done{Multiply(matrix, kernel, scratch.rows.data(), matrix.fan_in, samples, stop, [&](size_t row, size_t column, const int32_t(&sums)[PANEL]) {
            std::copy_n(sums, std::min(PANEL, matrix.columns - column), &scratch.sums[row * matrix.columns + column]);
        })};
        if (!done) return false;
        for (size_t i{0}; i < samples; ++i) {
            int16_t* state{&scratch.rows[i * matrix.fan_in + depth]};
            update(step.plan, &scratch.sums[i * matrix.columns], units, state);
            if (sequence) std::copy_n(state, units, out + (i * steps + t) * units);
            if (!sequence && t + 1 == steps) std::copy_n(state, units, out + i * units);
        }
    }
    return true;
}

} // namespace

size_t Step::Inputs() const { return Product(plan.in); }
size_t Step::Outputs() const { return Product(plan.out); }

uint64_t Step::ScratchRows(size_t samples) const
{
    if (IsConvolution(plan)) return PatchesAtOnce(plan.fan_in) * plan.fan_in + 1;
    return IsRecurrent(plan) ? samples * plan.fan_in + 1 : 0;
}

uint64_t Step::ScratchSums(size_t samples) const { return IsRecurrent(plan) ? samples * plan.columns : 0; }

void Scratch::Reserve(const Step& step, size_t samples)
{
    rows.reserve(step.ScratchRows(samples));
    sums.reserve(step.ScratchSums(samples));
}

bool RunLayer(const Step& step, const Kernel& kernel, const int16_t* in, size_t samples, int16_t* out, Scratch& scratch, const StopRequest& stop)
{
    switch (step.plan.kind) {
    case LayerKind::CONV2D:
    case LayerKind::CONV1D:
        return RunConvolution(step, kernel, in, samples, out, scratch, stop);
    case LayerKind::RNN:
    case LayerKind::MGRU:
        return RunRecurrent(step, kernel, in, samples, out, scratch, stop);
    case LayerKind::MAXPOOL:
    case LayerKind::AVGPOOL:
        for (size_t i{0}; i < samples && !stop(); ++i) {
            const auto pool{step.plan.kind == LayerKind::MAXPOOL ? MaxPool : AveragePool};
            pool(step.plan, in + i * step.Inputs(), out + i * step.Outputs());
        }
        return !stop();
    case LayerKind::FLATTEN:
        std::copy_n(in, samples * step.Inputs(), out);
        return true;
    case LayerKind::DENSE:
        return MultiplyRelu(step, kernel, in, samples, out, stop);
    case LayerKind::OUTPUT:
        break;
    } // no default case, so the compiler can warn about missing cases
    assert(false);
}

bool RunOutput(const Step& step, const Kernel& kernel, const int16_t* in, size_t samples, int32_t* logits, const StopRequest& stop)
{
    const auto& matrix{*step.matrix};
    return Multiply(matrix, kernel, in, matrix.fan_in, samples, stop, [&](size_t row, size_t column, const int32_t(&sums)[PANEL]) {
        std::copy_n(sums, std::min(PANEL, matrix.columns - column), logits + row * matrix.columns + column);
    });
}

} // namespace podl
