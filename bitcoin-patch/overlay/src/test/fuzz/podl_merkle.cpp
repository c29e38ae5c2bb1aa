// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/merkle.h>

#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>
#include <test/fuzz/util.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace {

//! Deeper paths belong to more leaves than a data object can have.
constexpr size_t LONGEST_PATH{40};

std::vector<uint256> ConsumeHashes(FuzzedDataProvider& provider, size_t count)
{
    std::vector<uint256> hashes(count);
    for (auto& hash : hashes) hash = ConsumeUInt256(provider);
    return hashes;
}

/** A proof of a tree holds for its leaf, and for nothing else. */
void CheckOwnProof(const std::vector<uint256>& leaves, size_t index, size_t other, size_t changed)
{
    const auto n_leaves{static_cast<uint32_t>(leaves.size())};
    const uint64_t length{uint256::size() * leaves.size()};
    const auto root{podl::TreeRoot(leaves)};
    auto path{podl::MerkleProof(leaves, index)};
    const auto holds{[&](const uint256& leaf, uint64_t place, uint32_t count, uint64_t size) { return podl::VerifyProof(leaf, place, count, size, path, root); }};
    assert(podl::ProofLength(index, n_leaves) == path.size());
    assert(holds(leaves[index], index, n_leaves, length));
    assert(!holds(leaves[index], index, n_leaves, length + 1));
    assert(!holds(leaves[index], index, n_leaves + 1, length));
    if (leaves[other] != leaves[index]) {
        assert(!holds(leaves[other], index, n_leaves, length));
        assert(!holds(leaves[index], other, n_leaves, length));
    }
    if (path.empty()) return;
    path[changed % path.size()].begin()[0] ^= 1;
    assert(!holds(leaves[index], index, n_leaves, length));
}

} // namespace

FUZZ_TARGET(podl_merkle)
{
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    const auto index{provider.ConsumeIntegral<uint64_t>()};
    const auto n_leaves{provider.ConsumeIntegral<uint32_t>()};
    const auto length{provider.ConsumeIntegral<uint64_t>()};
    const auto root{ConsumeUInt256(provider)};
    const auto leaf{ConsumeUInt256(provider)};
    const auto hashes{ConsumeHashes(provider, provider.ConsumeIntegralInRange<size_t>(0, LONGEST_PATH))};

    const auto expected{podl::ProofLength(index, n_leaves)};
    assert(expected.has_value() == (index < n_leaves));
    if (expected) assert(*expected <= 32);
    if (podl::VerifyProof(leaf, index, n_leaves, length, hashes, root)) assert(expected == hashes.size());

    if (hashes.empty()) return;
    CheckOwnProof(hashes, index % hashes.size(), n_leaves % hashes.size(), length % LONGEST_PATH);
}
