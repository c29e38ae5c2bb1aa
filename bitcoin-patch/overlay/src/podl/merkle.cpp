// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/merkle.h>

#include <hash.h>
#include <util/check.h>

#include <algorithm>
#include <utility>

namespace podl {
namespace {

uint256 NodeHash(const uint256& left, const uint256& right)
{
    static const HashWriter TAGGED{TaggedHash("PoDL/node/v1")};
    HashWriter writer{TAGGED};
    writer << left << right;
    return writer.GetSHA256();
}

uint256 RootHash(uint64_t length, uint32_t n_leaves, const uint256& top)
{
    static const HashWriter TAGGED{TaggedHash("PoDL/root/v1")};
    HashWriter writer{TAGGED};
    writer << length << n_leaves << top;
    return writer.GetSHA256();
}

/** Replace a level by the one above it. */
void MoveUp(std::vector<uint256>& level)
{
    const size_t pairs{level.size() / 2};
    for (size_t i{0}; i < pairs; ++i) level[i] = NodeHash(level[2 * i], level[2 * i + 1]);
    if (level.size() % 2) level[pairs] = level.back();
    level.resize(level.size() - pairs);
}

bool HasPartner(uint64_t index, uint64_t width) { return (index ^ 1) < width; }

uint64_t WidthAbove(uint64_t width) { return width / 2 + width % 2; }

} // namespace

uint256 LeafHash(std::span<const unsigned char> chunk)
{
    static const HashWriter TAGGED{TaggedHash("PoDL/leaf/v1")};
    HashWriter writer{TAGGED};
    writer.write(std::as_bytes(chunk));
    return writer.GetSHA256();
}

std::vector<uint256> DataLeaves(std::span<const unsigned char> data)
{
    std::vector<uint256> leaves;
    leaves.reserve(ChunkCount(data.size()));
    for (size_t at{0}; at < data.size(); at += CHUNK_SIZE) {
        leaves.push_back(LeafHash(data.subspan(at, std::min<size_t>(CHUNK_SIZE, data.size() - at))));
    }
    return leaves;
}

uint256 MerkleRoot(std::vector<uint256> leaves, uint64_t length)
{
    Assert(!leaves.empty());
    const auto n_leaves{static_cast<uint32_t>(leaves.size())};
    while (leaves.size() > 1) MoveUp(leaves);
    return RootHash(length, n_leaves, leaves.front());
}

uint256 DataRoot(std::span<const unsigned char> data)
{
    return MerkleRoot(DataLeaves(data), data.size());
}

uint256 TreeRoot(const std::vector<uint256>& leaves)
{
    return MerkleRoot(leaves, uint256::size() * uint64_t{leaves.size()});
}

std::optional<size_t> ProofLength(uint64_t index, uint64_t n_leaves)
{
    if (index >= n_leaves) return std::nullopt;
    size_t length{0};
    for (uint64_t width{n_leaves}; width > 1; width = WidthAbove(width), index /= 2) {
        length += HasPartner(index, width);
    }
    return length;
}

std::vector<uint256> MerkleProof(std::vector<uint256> leaves, size_t index)
{
    Assert(index < leaves.size());
    std::vector<uint256> path;
    for (; leaves.size() > 1; index /= 2) {
        if (HasPartner(index, leaves.size())) path.push_back(leaves[index ^ 1]);
        MoveUp(leaves);
    }
    return path;
}

bool VerifyProof(const uint256& leaf, uint64_t index, uint32_t n_leaves, uint64_t length, std::span<const uint256> path, const uint256& root)
{
    if (ProofLength(index, n_leaves) != path.size()) return false;
    uint256 node{leaf};
    auto partner{path.begin()};
    for (uint64_t width{n_leaves}; width > 1; width = WidthAbove(width), index /= 2) {
        if (!HasPartner(index, width)) continue;
        node = index & 1 ? NodeHash(*partner, node) : NodeHash(node, *partner);
        ++partner;
    }
    return RootHash(length, n_leaves, node) == root;
}

} // namespace podl
