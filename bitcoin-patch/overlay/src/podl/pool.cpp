// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/pool.h>

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

const CommitmentView* CommitmentPool::Find(const uint256& hash) const
{
    const auto it{std::ranges::find(m_commitments, hash, &CommitmentView::hash)};
    return it == m_commitments.end() ? nullptr : &*it;
}

} // namespace podl
