// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/pool.h>

#include <arith_uint256.h>

#include <algorithm>
#include <utility>

namespace podl {

bool CommitmentPool::Open(int height, const uint256& prev)
{
    if (IsFor(height, prev)) return false;
    m_height = height;
    m_prev = prev;
    m_commitments.clear();
    m_hashes.clear();
    return true;
}

void CommitmentPool::Add(CommitmentView commitment)
{
    if (!m_hashes.insert(commitment.hash).second) return;
    m_commitments.push_back(std::move(commitment));
}

std::optional<size_t> CommitmentPool::PlaceFor(const uint256& hash, size_t limit) const
{
    if (Size() < limit) return Size();
    const auto value{[](const CommitmentView& commitment) { return UintToArith256(commitment.hash); }};
    const auto highest{std::ranges::max_element(m_commitments, {}, value)};
    if (highest == m_commitments.end() || UintToArith256(hash) >= value(*highest)) return std::nullopt;
    return highest - m_commitments.begin();
}

void CommitmentPool::Put(size_t place, CommitmentView commitment)
{
    if (place == Size()) return Add(std::move(commitment));
    m_hashes.erase(m_commitments.at(place).hash);
    m_hashes.insert(commitment.hash);
    m_commitments.at(place) = std::move(commitment);
}

const CommitmentView* CommitmentPool::Find(const uint256& hash) const
{
    const auto it{std::ranges::find(m_commitments, hash, &CommitmentView::hash)};
    return it == m_commitments.end() ? nullptr : &*it;
}

} // namespace podl
