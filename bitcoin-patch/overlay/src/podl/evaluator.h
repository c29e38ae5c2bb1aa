// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_EVALUATOR_H
#define BITCOIN_PODL_EVALUATOR_H

#include <podl/evaluator_kernel.h>
#include <podl/evaluator_layers.h>
#include <podl/program.h>
#include <podl/result.h>
#include <podl/winner.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

/** The node's own evaluator: the forward pass of arithmetic.md 1.4 in integers, and the score of protocol section 6. */
namespace podl {

//! Most memory that one evaluation allocates, beside the bytes it is given. Every program of a task fits with one thread: at
//! most 2^22 weights of at most 32 bytes each once packed (alone in their panels), two times 2^24 values, some patches.
inline constexpr uint64_t MAX_EVALUATION_BYTES{256 << 20};

inline constexpr int MAX_EVALUATOR_THREADS{64};

/** What the node's own verdicts name as their device, for example "C++ on CPU (avx2)". */
std::string InternalDevice();

/** How an evaluation runs; no setting changes its result. */
struct EvaluatorOptions {
    size_t threads{1};                     //!< at most; fewer when memory or work do not suffice for all
    const Kernel* kernel{&Kernels().back()};
    StopRequest stop{[] { return false; }}; //!< asked from all threads
};

/** A test set, or a part of one. */
struct Examples {
    std::span<const unsigned char> samples; //!< i8, one sample after the other
    std::span<const unsigned char> labels;  //!< one byte each
};

/** Add one sample to a score. */
void AddScore(std::span<const int32_t> logits, uint8_t label, Measured& score);

/**
 * Count correct answers.
 *
 * @returns podl-model-size, podl-model-range, podl-shard-range, podl-shard-label for bytes that do not fit the program, before
 *          anything is allocated; podl-eval-unavailable (LATER) when stopped, or when memory or its bound do not suffice
 */
Result<Measured> Evaluate(const Program& program, std::span<const unsigned char> weights, const Examples& examples, const EvaluatorOptions& options);

/** Outputs of every sample, classes of them each (tests). Refused as above. */
Result<std::vector<int32_t>> Logits(const Program& program, std::span<const unsigned char> weights, std::span<const unsigned char> samples, const EvaluatorOptions& options);

} // namespace podl

#endif // BITCOIN_PODL_EVALUATOR_H
