// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator.h>

#include <podl/data_checks.h>
#include <tinyformat.h>
#include <util/threadnames.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace podl {
namespace {

//! Activations of one batch: what a core's own cache holds.
constexpr uint64_t BATCH_BYTES{512 << 10};
constexpr size_t MAX_BATCH{2 * MAX_TILE_ROWS};
constexpr unsigned char MINUS_128{0x80};

util::Unexpected<Reject> Unavailable(std::string detail)
{
    return Refuse(FailureClass::LATER, "podl-eval-unavailable", std::move(detail));
}

Result<void> CheckSamples(const Program& program, std::span<const unsigned char> samples, size_t n)
{
    if (samples.size() != n * program.SampleSize()) {
        return Refuse(FailureClass::PERM, "podl-shard-range", strprintf("%u sample bytes instead of %u", samples.size(), n * program.SampleSize()));
    }
    if (const auto bad{std::ranges::find(samples, MINUS_128)}; bad != samples.end()) {
        return Refuse(FailureClass::PERM, "podl-shard-range", strprintf("sample byte %u is -128", bad - samples.begin()));
    }
    return {};
}

Result<void> CheckLabels(const Program& program, std::span<const unsigned char> labels)
{
    const auto bad{std::ranges::find_if(labels, [&](unsigned char label) { return label >= program.Classes(); })};
    if (bad == labels.end()) return {};
    return Refuse(FailureClass::PERM, "podl-shard-label", strprintf("label %u of sample %u, %u classes", *bad, bad - labels.begin(), program.Classes()));
}

/** Memory and batch of an evaluation, known before anything is allocated. */
struct Budget {
    uint64_t matrices{0}; //!< bytes, shared by all threads
    uint64_t values{0};   //!< most values of one sample on either side of a layer
    size_t batch{1};      //!< samples that one thread takes at once
    size_t threads{1};

    static Result<Budget> Of(const Program& program, size_t n, size_t threads);

private:
    uint64_t ThreadBytes(const Program& program) const;
};

Result<Budget> Budget::Of(const Program& program, size_t n, size_t threads)
{
    Budget budget;
    uint64_t pair{0};
    for (const auto& plan : program.layers) {
        const Step step{plan};
        budget.values = std::max<uint64_t>({budget.values, step.Inputs(), step.Outputs()});
        pair = std::max<uint64_t>(pair, step.Inputs() + step.Outputs());
        if (plan.fan_in > 0) budget.matrices += PackedMatrix::Bytes(plan.fan_in, plan.columns);
    }
    threads = std::clamp<size_t>(threads, 1, std::max<size_t>(n, 1));
    const size_t share{(n + threads - 1) / threads};
    budget.batch = std::clamp<uint64_t>(std::min<uint64_t>(BATCH_BYTES / (pair * sizeof(int16_t)), share), 1, MAX_BATCH);
    const uint64_t needed{budget.matrices + budget.ThreadBytes(program)};
    if (needed > MAX_EVALUATION_BYTES) return Unavailable(strprintf("needs %u bytes of memory, more than %u", needed, MAX_EVALUATION_BYTES));
    budget.threads = std::min<uint64_t>(threads, (MAX_EVALUATION_BYTES - budget.matrices) / budget.ThreadBytes(program));
    return budget;
}

uint64_t Budget::ThreadBytes(const Program& program) const
{
    uint64_t rows{0};
    uint64_t sums{0};
    for (const auto& plan : program.layers) {
        rows = std::max(rows, Step{plan}.ScratchRows(batch));
        sums = std::max(sums, Step{plan}.ScratchSums(batch));
    }
    return (2 * (batch * values + 1) + rows) * sizeof(int16_t) + (batch * program.Classes() + sums) * sizeof(int32_t);
}

/** A program with its weights packed. */
struct Model {
    std::vector<PackedMatrix> matrices;
    std::vector<Step> steps;

    Model(const Program& program, std::span<const unsigned char> weights)
    {
        matrices.reserve(program.layers.size()); // steps point into it
        size_t offset{0};
        for (const auto& plan : program.layers) {
            if (plan.fan_in > 0) {
                const size_t size{(size_t{plan.fan_in} + 1) * plan.columns};
                matrices.emplace_back(weights.subspan(offset, size), plan.fan_in, plan.columns);
                offset += size;
            }
            steps.push_back({plan, plan.fan_in > 0 ? &matrices.back() : nullptr});
        }
    }
};

/** What one thread computes with; allocated in advance, so that threads do not throw. */
class Runner
{
public:
    Runner(const Model& model, const Budget& budget, const EvaluatorOptions& options)
        : m_model{model}, m_options{options}, m_in(budget.batch * budget.values + 1), m_out(budget.batch * budget.values + 1),
          m_logits(budget.batch * model.steps.back().Outputs())
    {
        for (const auto& step : model.steps) m_scratch.Reserve(step, budget.batch);
    }

    /** Logits of a batch, or nothing when stopped. */
    std::span<const int32_t> Run(std::span<const unsigned char> samples, size_t count)
    {
        std::ranges::transform(samples, m_in.begin(), [](unsigned char value) { return static_cast<int8_t>(value); });
        const auto& steps{m_model.steps};
        for (size_t i{0}; i + 1 < steps.size(); ++i) {
            if (!RunLayer(steps[i], *m_options.kernel, m_in.data(), count, m_out.data(), m_scratch, m_options.stop)) return {};
            std::swap(m_in, m_out);
        }
        if (!RunOutput(steps.back(), *m_options.kernel, m_in.data(), count, m_logits.data(), m_options.stop)) return {};
        return std::span{m_logits}.first(count * steps.back().Outputs());
    }

private:
    const Model& m_model;
    const EvaluatorOptions& m_options;
    std::vector<int16_t> m_in;
    std::vector<int16_t> m_out;
    std::vector<int32_t> m_logits;
    Scratch m_scratch;
};

/** Told the logits of some samples, from the first one's index on, by whichever thread has them; a thread has its own slot. */
using Sink = std::function<void(size_t slot, size_t first, std::span<const int32_t> logits)>;

/** Work shared by threads: batches in order, each to the next free thread. */
class Evaluation
{
public:
    Evaluation(const Program& program, std::span<const unsigned char> weights, std::span<const unsigned char> samples, const Budget& budget, const EvaluatorOptions& options, const Sink& sink)
        : m_size{program.SampleSize()}, m_n{samples.size() / m_size}, m_samples{samples}, m_batch{budget.batch}, m_sink{sink}, m_model{program, weights}
    {
        for (size_t i{0}; i < budget.threads; ++i) m_runners.emplace_back(m_model, budget, options);
    }

    /** @returns false when stopped */
    bool Run()
    {
        std::vector<std::thread> threads;
        threads.reserve(m_runners.size());
        try {
            while (threads.size() + 1 < m_runners.size()) threads.emplace_back([this, slot = threads.size() + 1] {
                util::ThreadRename(strprintf("podl-eval.%u", slot));
                Work(slot);
            });
        } catch (const std::system_error&) {
            // As many as there are.
        }
        Work(0);
        for (auto& thread : threads) thread.join();
        return !m_stopped;
    }

private:
    const size_t m_size;
    const size_t m_n;
    const std::span<const unsigned char> m_samples;
    const size_t m_batch;
    const Sink& m_sink;
    const Model m_model;
    std::vector<Runner> m_runners;
    std::atomic<size_t> m_next{0};
    std::atomic<bool> m_stopped{false};

    void Work(size_t slot)
    {
        while (!m_stopped) {
            const size_t first{m_next.fetch_add(m_batch)};
            if (first >= m_n) return;
            const size_t count{std::min(m_batch, m_n - first)};
            const auto logits{m_runners[slot].Run(m_samples.subspan(first * m_size, count * m_size), count)};
            if (logits.empty()) {
                m_stopped = true;
            } else {
                m_sink(slot, first, logits);
            }
        }
    }
};

Result<void> Run(const Program& program, std::span<const unsigned char> weights, std::span<const unsigned char> samples, const EvaluatorOptions& options, const Sink& sink)
{
    const auto budget{Budget::Of(program, samples.size() / program.SampleSize(), options.threads)};
    if (!budget) return util::Unexpected{budget.error()};
    try {
        Evaluation evaluation{program, weights, samples, *budget, options, sink};
        if (!evaluation.Run()) return Unavailable("stopped");
        return {};
    } catch (const std::bad_alloc&) {
        return Unavailable("out of memory");
    }
}

} // namespace

std::string InternalDevice() { return strprintf("C++ on CPU (%s)", Kernels().back().name); }

void AddScore(std::span<const int32_t> logits, uint8_t label, Measured& score)
{
    const int32_t own{logits[label]};
    uint32_t rank{0};
    for (size_t j{0}; j < logits.size(); ++j) rank += logits[j] > own || (j < label && logits[j] == own);
    score.rank_sum += rank;
    // The prediction is the lowest index of the largest output: nothing ranks before it.
    score.count += rank == 0;
}

Result<Measured> Evaluate(const Program& program, std::span<const unsigned char> weights, const Examples& examples, const EvaluatorOptions& options)
{
    if (auto checked{CheckWeightBytes(weights, program.n_params)}; !checked) return util::Unexpected{checked.error()};
    if (auto checked{CheckSamples(program, examples.samples, examples.labels.size())}; !checked) return util::Unexpected{checked.error()};
    if (auto checked{CheckLabels(program, examples.labels)}; !checked) return util::Unexpected{checked.error()};
    const size_t classes{program.Classes()};
    std::vector<Measured> scores(std::max<size_t>(options.threads, 1));
    const auto done{Run(program, weights, examples.samples, options, [&](size_t slot, size_t first, std::span<const int32_t> logits) {
        for (size_t i{0}; i * classes < logits.size(); ++i) AddScore(logits.subspan(i * classes, classes), examples.labels[first + i], scores[slot]);
    })};
    if (!done) return util::Unexpected{done.error()};
    Measured total;
    for (const auto& score : scores) {
        total.count += score.count;
        total.rank_sum += score.rank_sum;
    }
    return total;
}

Result<std::vector<int32_t>> Logits(const Program& program, std::span<const unsigned char> weights, std::span<const unsigned char> samples, const EvaluatorOptions& options)
{
    const size_t n{samples.size() / program.SampleSize()};
    if (auto checked{CheckWeightBytes(weights, program.n_params)}; !checked) return util::Unexpected{checked.error()};
    if (auto checked{CheckSamples(program, samples, n)}; !checked) return util::Unexpected{checked.error()};
    const size_t classes{program.Classes()};
    std::vector<int32_t> all(n * classes);
    const auto done{Run(program, weights, samples, options, [&](size_t, size_t first, std::span<const int32_t> logits) {
        std::ranges::copy(logits, all.begin() + first * classes);
    })};
    if (!done) return util::Unexpected{done.error()};
    return all;
}

} // namespace podl
