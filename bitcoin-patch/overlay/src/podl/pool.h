// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_POOL_H
#define BITCOIN_PODL_POOL_H

#include <podl/views.h>
#include <uint256.h>

#include <cstddef>
#include <optional>
#include <set>
#include <vector>

namespace podl {

/** Commitments on one block (protocol section 5, Pool). Not thread-safe. */
class CommitmentPool
{
public:
    /** Start anew for commitments on prev, unless the pool is for them already. @returns whether it was emptied */
    bool Open(int height, const uint256& prev);

    bool IsFor(int height, const uint256& prev) const { return m_height == height && m_prev == prev; }
    bool Has(const uint256& hash) const { return m_hashes.contains(hash); }
    size_t Size() const { return m_commitments.size(); }
    void Add(CommitmentView commitment);
    /**
     * Where a new commitment would stand: behind the others, or, once there are so many, in the place of the one with
     * the highest block hash, if its own is lower. Which ones are held then depends on no one's arrival.
     */
    std::optional<size_t> PlaceFor(const uint256& hash, size_t limit) const;
    /** Put it at a place that PlaceFor() gave. */
    void Put(size_t place, CommitmentView commitment);
    const std::vector<CommitmentView>& All() const { return m_commitments; }
    const CommitmentView* Find(const uint256& hash) const;

private:
    int m_height{0};
    uint256 m_prev{};
    std::vector<CommitmentView> m_commitments;
    std::set<uint256> m_hashes;
};

} // namespace podl

#endif // BITCOIN_PODL_POOL_H
