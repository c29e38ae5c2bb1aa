// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_EVALUATOR_LAYERS_H
#define BITCOIN_PODL_EVALUATOR_LAYERS_H

#include <podl/evaluator_kernel.h>
#include <podl/program.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

/** The layers' forward rules (arithmetic.md 1.4) on a batch of samples, one after the other in memory. */
namespace podl {

/** Asked every few milliseconds of work; true ends it early. */
using StopRequest = std::function<bool()>;

/** One step of a forward pass: a layer, and its matrix if it has one. */
struct Step {
    LayerPlan plan{};
    const PackedMatrix* matrix{nullptr};

    /** Values of one sample that go in, and that come out. */
    size_t Inputs() const;
    size_t Outputs() const;
    /** What it needs of a Scratch for a batch. */
    uint64_t ScratchRows(size_t samples) const;
    uint64_t ScratchSums(size_t samples) const;
};

/** What one thread works in. */
struct Scratch {
    std::vector<int16_t> rows{}; //!< patches of an image, or inputs and states of a recurrent step
    std::vector<int32_t> sums{}; //!< of a recurrent step

    /** Make room for a step, which then allocates nothing. */
    void Reserve(const Step& step, size_t samples);
};

/** A hidden layer. @param in  has one more readable value behind its end @returns false when stopped */
[[nodiscard]] bool RunLayer(const Step& step, const Kernel& kernel, const int16_t* in, size_t samples, int16_t* out, Scratch& scratch, const StopRequest& stop);

/** The output layer: raw sums, columns of them for each sample. */
[[nodiscard]] bool RunOutput(const Step& step, const Kernel& kernel, const int16_t* in, size_t samples, int32_t* logits, const StopRequest& stop);

} // namespace podl

#endif // BITCOIN_PODL_EVALUATOR_LAYERS_H
