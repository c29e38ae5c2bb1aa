// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_DATA_CHECKS_H
#define BITCOIN_PODL_DATA_CHECKS_H

#include <podl/result.h>
#include <podl/task.h>

#include <cstdint>
#include <span>

/** Checks of bytes whose Merkle root is already known to be the committed one. */
namespace podl {

/** Bytes per parameter of weight and model bytes. */
inline constexpr uint64_t WEIGHT_BYTES{1};
inline constexpr uint64_t MODEL_BYTES{4};

/** Largest absolute master weight, 127 * 2^16. */
inline constexpr int32_t MAX_MASTER_WEIGHT{127 << 16};

/** An opened shard: podl-shard-range (length, or a sample byte of -128), podl-shard-label. All PERM. */
Result<void> CheckShardBytes(std::span<const unsigned char> bytes, const Task& task, uint32_t n);

/** Forward weights, i8: podl-model-size (DATA), podl-model-range (PERM; -128 is no weight). */
Result<void> CheckWeightBytes(std::span<const unsigned char> bytes, uint32_t n_params);

/** Master weights, i32: podl-model-size (DATA), podl-model-range (PERM). */
Result<void> CheckModelBytes(std::span<const unsigned char> bytes, uint32_t n_params);

} // namespace podl

#endif // BITCOIN_PODL_DATA_CHECKS_H
