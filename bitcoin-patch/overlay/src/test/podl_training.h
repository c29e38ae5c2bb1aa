// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_TRAINING_H
#define BITCOIN_TEST_PODL_TRAINING_H

#include <podl/program.h>
#include <test/podl_training_layers.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

/**
 * Training as docs/arithmetic.md words it, one sample and one term at a time in 64-bit integers.
 *
 * No node trains: this is a second reading of the text, apart from the tools' one, that the vectors are held against.
 */
namespace podl::test {

/** What determines a model, beside program and examples. */
struct TrainingSettings {
    uint8_t batch_log2{0};
    uint8_t epochs{0};
    uint8_t rate_shift{0};
    bool drop{false};
    std::vector<unsigned char> seed{};
};

/** Training set, one sample after the other. */
struct TrainingSet {
    std::span<const unsigned char> samples;
    std::span<const unsigned char> labels;
};

/** floor(65536 * exp(-k / 64) + 1/2) for k = 0..1023. */
const Values& SoftmaxTable();

/** Largest first weight of a matrix (Lm), given its fan-in and f, and g = 6 for a ReLU layer, else 3. */
int64_t InitialLimit(uint64_t fan_in, int gain, int scale);

/** First weights, bias rows 0 (arithmetic.md 1.2). */
std::vector<Matrix> InitialMatrices(const Program& program, std::span<const unsigned char> seed);

/** Train to the end. */
void Train(const Program& program, const TrainingSettings& settings, const TrainingSet& set, std::vector<Matrix>& matrices);

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_TRAINING_H
