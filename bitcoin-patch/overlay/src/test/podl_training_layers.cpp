// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_training_layers.h>

#include <test/podl_arithmetic.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

namespace podl::test {
namespace {

/** sum of value * weight over the rows of one column, and 64 times its bias. */
int64_t Accumulate(const Matrix& matrix, size_t column, const Values& row)
{
    int64_t sum{64 * matrix.weights[(matrix.rows - 1) * matrix.columns + column]};
    for (size_t i{0}; i < row.size(); ++i) sum += row[i] * matrix.weights[i * matrix.columns + column];
    return sum;
}

/** Add one row's share [a, 64]^T d to a gradient. */
void AddGradient(Matrix& matrix, const Values& row, const Values& error)
{
    for (size_t column{0}; column < matrix.columns; ++column) {
        for (size_t i{0}; i < row.size(); ++i) matrix.gradient[i * matrix.columns + column] += row[i] * error[column];
        matrix.gradient[(matrix.rows - 1) * matrix.columns + column] += 64 * error[column];
    }
}

/** d W^T of one row of errors, without rounding. */
Values TurnedProduct(const Matrix& matrix, const Values& error)
{
    Values sums(matrix.rows - 1);
    for (size_t i{0}; i < sums.size(); ++i) {
        for (size_t column{0}; column < matrix.columns; ++column) sums[i] += error[column] * matrix.weights[i * matrix.columns + column];
    }
    return sums;
}

/** For each weight row that position reads: the place of its value in the layer's input; none where padding is read. */
std::vector<std::optional<size_t>> Reads(const LayerPlan& plan, size_t position)
{
    std::vector<std::optional<size_t>> places;
    if (plan.kind != LayerKind::CONV2D && plan.kind != LayerKind::CONV1D) {
        for (size_t i{0}; i < plan.fan_in; ++i) places.emplace_back(i);
        return places;
    }
    const bool series{plan.kind == LayerKind::CONV1D};
    const int64_t height{series ? 1 : int64_t{plan.in[0]}};
    const int64_t width{series ? plan.in[0] : plan.in[1]};
    const int64_t channels{plan.in.back()};
    const int64_t side{plan.size};
    for (int64_t i{0}; i < (series ? 1 : side); ++i) {
        for (int64_t j{0}; j < side; ++j) {
            const int64_t y{int64_t(position) / width + i - (series ? 0 : side / 2)};
            const int64_t x{int64_t(position) % width + j - side / 2};
            const bool inside{y >= 0 && y < height && x >= 0 && x < width};
            for (int64_t c{0}; c < channels; ++c) {
                places.push_back(inside ? std::optional<size_t>{(y * width + x) * channels + c} : std::nullopt);
            }
        }
    }
    return places;
}

Values Gather(const Values& in, const std::vector<std::optional<size_t>>& places)
{
    Values row;
    for (const auto& place : places) row.push_back(place ? in[*place] : 0);
    return row;
}

size_t Positions(const LayerPlan& plan) { return SizeOf(plan.out) / plan.columns; }

void ForwardWeighted(const LayerPlan& plan, const Matrix& matrix, Trace& trace)
{
    for (size_t position{0}; position < Positions(plan); ++position) {
        const Values row{Gather(trace.in, Reads(plan, position))};
        for (size_t column{0}; column < matrix.columns; ++column) {
            const int64_t sum{Accumulate(matrix, column, row)};
            trace.out.push_back(plan.kind == LayerKind::OUTPUT ? sum : std::clamp<int64_t>(Rnd(sum, plan.scale), 0, 127));
        }
    }
}

Values BackwardWeighted(const LayerPlan& plan, Matrix& matrix, const Trace& trace, Values error)
{
    if (plan.kind != LayerKind::OUTPUT) {
        for (size_t i{0}; i < error.size(); ++i) {
            if (trace.out[i] <= 0 || trace.out[i] >= 127) error[i] = 0;
        }
    }
    Values below(trace.in.size());
    for (size_t position{0}; position < Positions(plan); ++position) {
        const auto places{Reads(plan, position)};
        const Values part(error.begin() + position * matrix.columns, error.begin() + (position + 1) * matrix.columns);
        AddGradient(matrix, Gather(trace.in, places), part);
        const Values sums{TurnedProduct(matrix, part)};
        for (size_t i{0}; i < sums.size(); ++i) {
            if (places[i]) below[*places[i]] += sums[i];
        }
    }
    for (int64_t& sum : below) sum = ClipError(Rnd(sum, plan.scale));
    return below;
}

/** Places in the input of the cells of an output's window, in row-major order. */
std::vector<size_t> Window(const LayerPlan& plan, size_t place)
{
    const size_t channels{plan.in[2]};
    const size_t x{place / channels % plan.out[1]};
    const size_t y{place / channels / plan.out[1]};
    std::vector<size_t> cells;
    for (size_t i{0}; i < plan.size; ++i) {
        for (size_t j{0}; j < plan.size; ++j) {
            cells.push_back(((y * plan.size + i) * plan.in[1] + x * plan.size + j) * channels + place % channels);
        }
    }
    return cells;
}

size_t FirstMaximum(const Values& in, const std::vector<size_t>& cells)
{
    return *std::max_element(cells.begin(), cells.end(), [&](size_t a, size_t b) { return in[a] < in[b]; });
}

void ForwardPool(const LayerPlan& plan, Trace& trace)
{
    for (size_t place{0}; place < SizeOf(plan.out); ++place) {
        const auto cells{Window(plan, place)};
        if (plan.kind == LayerKind::MAXPOOL) {
            trace.out.push_back(trace.in[FirstMaximum(trace.in, cells)]);
            continue;
        }
        int64_t sum{0};
        for (const size_t cell : cells) sum += trace.in[cell];
        trace.out.push_back(std::clamp<int64_t>(Rnd(sum, PoolBits(plan)), 0, 127));
    }
}

Values BackwardPool(const LayerPlan& plan, const Trace& trace, const Values& error)
{
    Values below(trace.in.size());
    for (size_t place{0}; place < error.size(); ++place) {
        const auto cells{Window(plan, place)};
        if (plan.kind == LayerKind::MAXPOOL) {
            below[FirstMaximum(trace.in, cells)] = error[place];
        } else {
            for (const size_t cell : cells) below[cell] = error[place];
        }
    }
    return below;
}

void ForwardRecurrent(const LayerPlan& plan, const Matrix& matrix, Trace& trace)
{
    const size_t depth{plan.in[1]};
    const size_t units{plan.out.back()};
    Values state(units);
    for (size_t t{0}; t < plan.in[0]; ++t) {
        Values row(trace.in.begin() + t * depth, trace.in.begin() + (t + 1) * depth);
        row.insert(row.end(), state.begin(), state.end());
        Values gate(units), candidate(units);
        for (size_t i{0}; i < units; ++i) {
            if (plan.kind == LayerKind::RNN) {
                state[i] = std::clamp<int64_t>(Rnd(Accumulate(matrix, i, row), plan.scale), -64, 64);
                continue;
            }
            gate[i] = std::clamp<int64_t>(Rnd(Accumulate(matrix, i, row), plan.scale + 2) + 32, 0, 64);
            candidate[i] = std::clamp<int64_t>(Rnd(Accumulate(matrix, units + i, row), plan.scale), -64, 64);
            state[i] += Rnd(gate[i] * (candidate[i] - state[i]), 6);
        }
        trace.rows.push_back(std::move(row));
        trace.states.push_back(state);
        trace.gates.push_back(std::move(gate));
        trace.candidates.push_back(std::move(candidate));
        if (plan.out.size() == 2) trace.out.insert(trace.out.end(), state.begin(), state.end());
    }
    if (plan.out.size() == 1) trace.out = state;
}

/** Errors dp of one step's sums; through takes what reaches h_{t-1} beside them. */
Values StepError(const LayerPlan& plan, const Trace& trace, size_t t, const Values& error, Values& through)
{
    const size_t units{plan.out.back()};
    const Values& row{trace.rows[t]};
    Values inner(plan.columns);
    for (size_t i{0}; i < units; ++i) {
        const int64_t d{error[i]};
        if (plan.kind == LayerKind::RNN) {
            inner[i] = std::abs(trace.states[t][i]) < 64 ? d : 0;
            continue;
        }
        const int64_t z{trace.gates[t][i]};
        const int64_t c{trace.candidates[t][i]};
        const int64_t before{row[row.size() - units + i]};
        inner[i] = ClipError(z > 0 && z < 64 ? Rnd(d * (c - before), 8) : 0);
        inner[units + i] = ClipError(std::abs(c) < 64 ? Rnd(d * z, 6) : 0);
        through[i] = d - Rnd(d * z, 6);
    }
    return inner;
}

Values BackwardRecurrent(const LayerPlan& plan, Matrix& matrix, const Trace& trace, const Values& error)
{
    const size_t steps{plan.in[0]};
    const size_t depth{plan.in[1]};
    const size_t units{plan.out.back()};
    Values below(steps * depth);
    Values later(units);
    for (size_t t{steps}; t-- > 0;) {
        Values d(units);
        for (size_t i{0}; i < units; ++i) {
            const int64_t above{plan.out.size() == 2 ? error[t * units + i] : t + 1 == steps ? error[i] : 0};
            d[i] = ClipError(above + later[i]);
        }
        Values through(units);
        const Values inner{StepError(plan, trace, t, d, through)};
        AddGradient(matrix, trace.rows[t], inner);
        const Values sums{TurnedProduct(matrix, inner)};
        for (size_t i{0}; i < depth; ++i) below[t * depth + i] = ClipError(Rnd(sums[i], plan.scale));
        for (size_t i{0}; i < units; ++i) later[i] = through[i] + Rnd(sums[depth + i], plan.scale);
    }
    return below;
}

} // namespace

Matrix::Matrix(const LayerPlan& plan, Values given) : rows{plan.fan_in + 1}, columns{plan.columns}, masters{std::move(given)}
{
    velocities.resize(masters.size());
    gradient.resize(masters.size());
    for (const int64_t master : masters) weights.push_back(Rnd(master, 16));
}

void Forward(const LayerPlan& plan, const Matrix* matrix, Trace& trace)
{
    if (plan.kind == LayerKind::FLATTEN) {
        trace.out = trace.in;
    } else if (!matrix) {
        ForwardPool(plan, trace);
    } else if (IsRecurrent(plan.kind)) {
        ForwardRecurrent(plan, *matrix, trace);
    } else {
        ForwardWeighted(plan, *matrix, trace);
    }
}

Values Backward(const LayerPlan& plan, Matrix* matrix, const Trace& trace, const Values& error)
{
    if (plan.kind == LayerKind::FLATTEN) return error;
    if (!matrix) return BackwardPool(plan, trace, error);
    if (IsRecurrent(plan.kind)) return BackwardRecurrent(plan, *matrix, trace, error);
    return BackwardWeighted(plan, *matrix, trace, error);
}

int PoolBits(const LayerPlan& plan) { return 2 * std::countr_zero(plan.size) - plan.gain; }

bool IsRecurrent(LayerKind kind) { return kind == LayerKind::RNN || kind == LayerKind::MGRU; }

size_t SizeOf(const std::vector<uint32_t>& shape) { return std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies{}); }

int64_t ClipError(int64_t value) { return std::clamp(value, -ERROR_MAX, ERROR_MAX); }

} // namespace podl::test
