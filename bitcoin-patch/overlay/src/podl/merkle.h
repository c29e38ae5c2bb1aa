// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_MERKLE_H
#define BITCOIN_PODL_MERKLE_H

#include <uint256.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/** Merkle trees of protocol section 2. A last node without partner moves up unchanged; nothing is duplicated. */
namespace podl {

/** Bytes per leaf of a tree over a byte string. */
inline constexpr uint64_t CHUNK_SIZE{64 * 1024};

/** Number of leaves of the tree over a byte string; 0 for an empty one, which has no tree. */
constexpr uint64_t ChunkCount(uint64_t length) { return length / CHUNK_SIZE + (length % CHUNK_SIZE != 0); }

/** Leaf of one chunk. */
uint256 LeafHash(std::span<const unsigned char> chunk);

/** Leaves of a byte string, in order. */
std::vector<uint256> DataLeaves(std::span<const unsigned char> data);

/** Root over leaves that stand for a byte string of this length. Leaves must not be empty. */
uint256 MerkleRoot(std::vector<uint256> leaves, uint64_t length);

/** Root of a byte string, which must not be empty. */
uint256 DataRoot(std::span<const unsigned char> data);

/** Root over given 32-byte leaves (checkpoints, shard list), which must not be empty. */
uint256 TreeRoot(const std::vector<uint256>& leaves);

/** Number of partners in the proof of a leaf; nullopt if there is no such leaf. */
std::optional<size_t> ProofLength(uint64_t index, uint64_t n_leaves);

/** Partners of a leaf from the bottom up. The index must be below the number of leaves. */
std::vector<uint256> MerkleProof(std::vector<uint256> leaves, size_t index);

/**
 * Whether the path leads from the leaf to the root.
 *
 * @param length    bytes that the tree stands for: the data's size, or 32 * n_leaves for given leaves
 */
bool VerifyProof(const uint256& leaf, uint64_t index, uint32_t n_leaves, uint64_t length, std::span<const uint256> path, const uint256& root);

} // namespace podl

#endif // BITCOIN_PODL_MERKLE_H
