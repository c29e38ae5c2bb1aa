// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_training.h>

#include <test/podl_arithmetic.h>
#include <tinyformat.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace podl::test {
namespace {

constexpr int64_t MASTER_MAX{int64_t{127} << 16};
constexpr int64_t UPDATE_MAX{int64_t{1} << 36};

/** Error of the logits (arithmetic.md 1.5). */
Values LossError(const Values& logits, int scale, size_t label)
{
    Values z, t;
    for (const int64_t logit : logits) z.push_back(std::clamp<int64_t>(Rnd(logit, scale + 6 - 10), -(1 << 15), (1 << 15) - 1));
    const int64_t top{*std::max_element(z.begin(), z.end())};
    for (const int64_t value : z) t.push_back(SoftmaxTable()[std::min<int64_t>((top - value + 8) >> 4, 1023)]);
    const int64_t sum{std::accumulate(t.begin(), t.end(), int64_t{0})};
    Values error;
    for (size_t j{0}; j < t.size(); ++j) error.push_back(ClipError((t[j] * (1 << 24) + sum) / (2 * sum) - (j == label ? 1 << 23 : 0)));
    return error;
}

/** Add one sample's gradients. */
void Learn(const Program& program, std::vector<Matrix>& matrices, Values sample, size_t label)
{
    std::vector<Trace> traces;
    std::vector<Matrix*> owners;
    size_t next{0};
    for (const LayerPlan& plan : program.layers) {
        Trace trace{.in = traces.empty() ? std::move(sample) : traces.back().out, .out = {}};
        owners.push_back(plan.fan_in == 0 ? nullptr : &matrices[next++]);
        Forward(plan, owners.back(), trace);
        traces.push_back(std::move(trace));
    }
    Values error{LossError(traces.back().out, program.layers.back().scale, label)};
    for (size_t i{traces.size()}; i-- > 0;) error = Backward(program.layers[i], owners[i], traces[i], error);
}

/** Move the weights by the gradient of a batch and start the next one (arithmetic.md 1.7). */
void Update(Matrix& matrix, int shift)
{
    for (size_t i{0}; i < matrix.masters.size(); ++i) {
        int64_t& v{matrix.velocities[i]};
        v = v - Rnd(v, 3) + std::clamp(Rnd(matrix.gradient[i], shift), -UPDATE_MAX, UPDATE_MAX);
        matrix.masters[i] = std::clamp(matrix.masters[i] - Rnd(v, 8), -MASTER_MAX, MASTER_MAX);
        matrix.weights[i] = Rnd(matrix.masters[i], 16);
        matrix.gradient[i] = 0;
    }
}

/** R of each matrix: x is 23 at the loss and finer below average pools. */
std::vector<int> UpdateShifts(const Program& program, int batch_log2, int rate_shift)
{
    std::vector<int> shifts;
    int x{23};
    for (size_t i{program.layers.size()}; i-- > 0;) {
        const LayerPlan& plan{program.layers[i]};
        if (plan.kind == LayerKind::AVGPOOL) x += PoolBits(plan);
        if (plan.fan_in != 0) shifts.insert(shifts.begin(), 6 + x + batch_log2 + rate_shift - plan.scale - 24);
    }
    return shifts;
}

int RateShiftAt(const TrainingSettings& settings, int epoch)
{
    if (!settings.drop) return settings.rate_shift;
    // epoch >= ceil(6 E / 10) without a division
    return settings.rate_shift + (10 * epoch >= 6 * settings.epochs) + (10 * epoch >= 8 * settings.epochs);
}

} // namespace

const Values& SoftmaxTable()
{
    static const Values table{[] {
        Values made;
        for (int k{0}; k < 1024; ++k) made.push_back(int64_t(std::floor(65536 * std::exp(-k / 64.0L) + 0.5L)));
        return made;
    }()};
    return table;
}

int64_t InitialLimit(uint64_t fan_in, int gain, int scale)
{
    const uint64_t square{(uint64_t(gain) << (2 * (scale + 16))) / fan_in};
    auto root{static_cast<uint64_t>(std::sqrt(static_cast<long double>(square)))};
    while (root * root > square) --root;
    while ((root + 1) * (root + 1) <= square) ++root;
    return root;
}

std::vector<Matrix> InitialMatrices(const Program& program, std::span<const unsigned char> seed)
{
    std::vector<Matrix> matrices;
    for (const LayerPlan& plan : program.layers) {
        if (plan.fan_in == 0) continue;
        const int gain{plan.kind == LayerKind::OUTPUT || IsRecurrent(plan.kind) ? 3 : 6};
        Values masters;
        const size_t count{size_t{plan.fan_in} * plan.columns};
        for (const int32_t value : DrawnIntegers(seed, strprintf("init%u", matrices.size()), count, InitialLimit(plan.fan_in, gain, plan.scale))) {
            masters.push_back(value);
        }
        masters.resize(count + plan.columns);
        matrices.emplace_back(plan, std::move(masters));
    }
    return matrices;
}

void Train(const Program& program, const TrainingSettings& settings, const TrainingSet& set, std::vector<Matrix>& matrices)
{
    const size_t batch{size_t{1} << settings.batch_log2};
    const size_t size{program.SampleSize()};
    for (int epoch{0}; epoch < settings.epochs; ++epoch) {
        const auto order{DrawnOrder(settings.seed, strprintf("perm%d", epoch), set.labels.size())};
        const auto shifts{UpdateShifts(program, settings.batch_log2, RateShiftAt(settings, epoch))};
        for (size_t first{0}; first + batch <= order.size(); first += batch) {
            for (size_t i{first}; i < first + batch; ++i) {
                Values sample;
                for (const unsigned char byte : set.samples.subspan(order[i] * size, size)) sample.push_back(int8_t(byte));
                Learn(program, matrices, std::move(sample), set.labels[order[i]]);
            }
            for (size_t i{0}; i < matrices.size(); ++i) Update(matrices[i], shifts[i]);
        }
    }
}

} // namespace podl::test
