// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_PROGRAM_H
#define BITCOIN_PODL_PROGRAM_H

#include <podl/result.h>

#include <uint256.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace podl {

/** Kinds of layer (arithmetic.md, "Layer program"). */
enum class LayerKind : uint8_t {
    DENSE = 1,
    CONV2D = 2,
    CONV1D = 3,
    MAXPOOL = 4,
    AVGPOOL = 5,
    FLATTEN = 6,
    RNN = 7,
    MGRU = 8,
    OUTPUT = 9,
};

//! Batch times positions of a layer: keeps every gradient below 2^52, within which its rounding is exact.
inline constexpr uint64_t MAX_GRADIENT_TERMS{1 << 22};

/** One layer in its place. */
struct LayerPlan {
    LayerKind kind{};
    uint8_t size{0};             //!< side of a kernel or pool
    uint8_t gain{0};             //!< of an average pool
    std::vector<uint32_t> in{};  //!< shape of its input, for one sample
    std::vector<uint32_t> out{}; //!< likewise; T,D behind a recurrent layer that hands on all its states
    uint32_t fan_in{0};          //!< rows of its matrix without the bias row; 0 without weights
    uint32_t columns{0};         //!< of its matrix; twice the units for a minimal gated cell
    uint8_t scale{0};            //!< f: one unit of a weight is 2^-f
};

/** A layer program that fits its task: what the node needs to know of an architecture. */
struct Program {
    std::vector<unsigned char> bytes;
    uint256 hash;              //!< SHA-256 of the bytes, as in verdicts
    uint32_t n_params{0};      //!< weights and biases of all layers
    uint64_t macs{0};          //!< multiply-adds of one forward pass for one sample
    uint64_t max_positions{0}; //!< most places that one weight is used at in one sample (H*W, T or 1)
    size_t busiest_layer{0};   //!< first layer with so many
    std::vector<LayerPlan> layers;

    /** Values of one sample. */
    uint64_t SampleSize() const;
    uint16_t Classes() const { return layers.back().columns; }

    /**
     * Read a layer program and prove that its arithmetic is exact.
     *
     * @param shape      sample shape of the task
     * @param classes    number of classes of the task
     * @returns the program, or podl-model-range
     */
    static Result<Program> Parse(std::span<const unsigned char> bytes, std::span<const uint16_t> shape, uint16_t classes);
};

} // namespace podl

#endif // BITCOIN_PODL_PROGRAM_H
