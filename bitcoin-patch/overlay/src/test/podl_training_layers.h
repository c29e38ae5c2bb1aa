// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_TRAINING_LAYERS_H
#define BITCOIN_TEST_PODL_TRAINING_LAYERS_H

#include <podl/program.h>

#include <cstddef>
#include <cstdint>
#include <vector>

/** The layers of docs/arithmetic.md 1.4 and 1.6 on one sample, forward and backward. */
namespace podl::test {

inline constexpr int64_t ERROR_MAX{(1 << 23) - 1};

using Values = std::vector<int64_t>;

/** Matrix of one layer, row-major, the bias row last. */
struct Matrix {
    size_t rows{0};
    size_t columns{0};
    Values masters{};    //!< M
    Values velocities{}; //!< V
    Values weights{};    //!< w = Rnd(M, 16)
    Values gradient{};   //!< G, summed over the samples of a batch

    Matrix(const LayerPlan& plan, Values given);
};

/** What the way back needs of one layer. */
struct Trace {
    Values in;
    Values out;
    // Recurrent layers, one entry per time step: [x_t, h_{t-1}], the states behind it, and gate z and candidate c.
    std::vector<Values> rows{};
    std::vector<Values> states{};
    std::vector<Values> gates{};
    std::vector<Values> candidates{};
};

/** Compute what a layer hands on; the matrix is null for a layer without weights. */
void Forward(const LayerPlan& plan, const Matrix* matrix, Trace& trace);

/** Add to the matrix's gradient and return the error of the layer's inputs, given the one of its outputs. */
Values Backward(const LayerPlan& plan, Matrix* matrix, const Trace& trace, const Values& error);

/** Bits by which the error's unit is finer below an average pool. */
int PoolBits(const LayerPlan& plan);

bool IsRecurrent(LayerKind kind);
size_t SizeOf(const std::vector<uint32_t>& shape);
int64_t ClipError(int64_t value);

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_TRAINING_LAYERS_H
