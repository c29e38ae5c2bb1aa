// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_SCHEDULE_H
#define BITCOIN_PODL_SCHEDULE_H

#include <podl/entry.h>
#include <podl/final_check.h>
#include <podl/result.h>
#include <podl/reveal.h>
#include <podl/task.h>

#include <uint256.h>
#include <util/hasher.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

namespace podl {

/** Height of a block in this node's block index; nullopt if it is not there. */
using BlockHeightLookup = std::function<std::optional<int>(const uint256& block_hash)>;

/** How far an entry's time may lie in the future, seconds. */
inline constexpr int64_t MAX_FUTURE_TIME{120};

/** Two different entries behind the same one. */
struct Equivocation {
    size_t slot{0};          //!< index of the accepted entry
    uint256 accepted;        //!< its id
    uint256 other;           //!< id of the contradicting entry
    size_t finals_behind{0}; //!< finals accepted after the slot
};

/**
 * The requester's log as accepted so far, in memory (protocol section 5).
 *
 * Knows nothing of verdicts, storage or locks, and does not freeze itself: its owner asks Check() and then calls
 * Append(), and says with VoidLast() that a final is proven void. Such a final stays in the log and counts for nothing:
 * the queries about finals, heights and models do not know it. Pointers that queries return stay valid until Reset().
 */
class Schedule
{
public:
    /**
     * Whether the entry may be appended now.
     *
     * An entry that is already in the log must be recognised with Find() first. A signed entry that contradicts an
     * accepted one gets podl-entry-equivocation (EVIDENCE); FindConflict() then tells where.
     *
     * @param now       the node's clock, seconds
     * @param lookup    asked about the previous block of releases at the first height only
     * @param frozen    whether the owner accepts nothing more; podl-schedule-frozen (LATER) has its place among the rules
     */
    Result<void> Check(const Entry& entry, int64_t now, const BlockHeightLookup& lookup, bool frozen = false) const;

    /** Append an entry that Check() has approved. One that Withdraws() a final makes that final void. */
    void Append(Entry entry);
    /** The last final is proven void; there is one, it counts, and nothing but shards stands behind it. */
    void VoidLast();
    /** Whether the last attempt has ended in a void final, so that its height waits for the next one. */
    bool IsVoid() const { return m_void.has_value(); }
    /** Index of the final that a release puts aside, standing right behind it as the next attempt at its height; nullopt for any other entry. */
    std::optional<size_t> Withdraws(const Entry& entry) const;
    /** Whether the entry stands behind a void final without being its next attempt: it counts for nothing, and is no evidence. */
    bool IsIdle(const Entry& entry) const;
    /** Index of the final that an entry follows with nothing but shards between, whether it counts or not. */
    std::optional<size_t> FinalBefore(const Entry& entry) const;
    /** Start anew, empty. @returns the entries so far */
    std::deque<Entry> Reset();

    bool Empty() const { return m_entries.empty(); }
    size_t Size() const { return m_entries.size(); }
    const Entry& At(size_t index) const { return m_entries.at(index); }
    std::optional<size_t> Find(const uint256& id) const;

    /** Id of the last entry; zero when empty. */
    uint256 LastId() const;
    /** Id of the first entry; zero when empty. */
    uint256 ChainId() const;
    /** First height of the first task; 0 when empty. */
    uint32_t FirstHeight() const;
    /** Lowest height without a final; 0 when empty. */
    uint32_t NextHeight() const;
    /** Whether NextHeight() has a release (Phase 2), that is, whether its commitments are closed for this attempt. */
    bool InReveal() const { return LatestRelease(NextHeight()) != nullptr && !IsVoid(); }

    /** Task in force at a height; nullptr below the first height or when empty. */
    const TaskRecord* TaskFor(uint32_t height) const;
    const TaskRecord* FindTask(const uint256& task_id) const;

    //! Entries that hold a release or final of a height; nullptr if there is none. AsRelease(), AsFinal() are set.
    const Entry* FirstRelease(uint32_t height) const;
    const Entry* LatestRelease(uint32_t height) const;
    const Entry* FinalFor(uint32_t height) const;
    const Entry* FinalByHash(const uint256& block_hash) const;
    size_t FinalCount() const { return m_final_count; }

    /** What openings of a height must name: id of the first release one height below, the chain id at the first height. */
    std::optional<uint256> OpeningReleaseId(uint32_t height) const;
    /** Block that commitments of a height build on; nullopt at the first height (any block) and while unknown. */
    std::optional<uint256> CommitPrev(uint32_t height) const;
    /** What candidates of a height are checked against; nullopt without a release, or when its attempt is over without a final. */
    std::optional<Round> RoundFor(uint32_t height) const;
    const ModelHistory& Models() const { return m_models; }

    /**
     * Whether a reveal belongs to the latest release of the open height and discloses what its header commits to.
     *
     * LATER: podl-reveal-release, podl-late-reveal, podl-not-committed, podl-commit-prev, podl-commit-time.
     * DATA: podl-commit-stamp and what CheckDisclosure() finds.
     */
    Result<void> CheckReveal(const Reveal& reveal) const;

    /** The accepted entry that a signed entry contradicts, if any. The caller has verified the signature. */
    std::optional<Equivocation> FindConflict(const Entry& entry) const;
    /** Lowest height without a final before the entry at this index. */
    uint32_t OpenHeight(size_t index) const { return FirstHeight() + m_finals_before.at(index); }
    /** Number of finals accepted after the entry at this index. */
    size_t FinalsBehind(size_t index) const;

private:
    //! Indices of the entries of one height.
    struct HeightRecord {
        size_t first_release;
        size_t latest_release;
        std::optional<size_t> final_entry;
    };

    //! Shards that a task's releases open, as the task or its last shards entry says.
    struct ShardList {
        uint256 root;
        uint32_t count;
        uint32_t used{0};
    };

    std::deque<Entry> m_entries;
    std::vector<size_t> m_finals_before; //!< finals that count among the entries before each index
    std::unordered_map<uint256, size_t, SaltedUint256Hasher> m_by_id;
    std::unordered_map<uint256, size_t, SaltedUint256Hasher> m_final_by_hash;
    std::vector<HeightRecord> m_heights; //!< from FirstHeight() on, one per height with a release
    std::deque<TaskRecord> m_tasks;      //!< by first height
    std::deque<ShardList> m_shards;      //!< per task
    std::set<uint256> m_test_roots;      //!< of all releases
    ModelHistory m_models;
    size_t m_final_count{0};
    std::optional<size_t> m_void; //!< void final that the next release puts aside

    void AppendTask(const Entry& entry, const Task& task);
    void AppendRelease(const Release& release, size_t index);
    void AppendFinal(const Final& final, size_t index);
    void AppendShards(const Shards& shards);
    /** Whether the final at this index is not void, as far as is known. */
    bool Counts(size_t index) const;

    const HeightRecord* HeightAt(uint32_t height) const;
    size_t TaskIndexFor(uint32_t height) const;

    Result<void> CheckVoid(const Entry& entry) const;
    Result<void> CheckLink(const Entry& entry, bool frozen) const;
    Result<void> CheckBody(const Entry& entry, const BlockHeightLookup& lookup) const;
    Result<void> CheckTaskBody(const Task& task) const;
    Result<void> CheckReleaseBody(const Release& release, uint64_t time, const BlockHeightLookup& lookup) const;
    Result<void> CheckShard(const Release& release, const Task& task, const ShardList& list) const;
    Result<void> CheckReleaseTime(const Release& release, uint64_t time) const;
    Result<void> CheckReleasePrev(const Release& release, const BlockHeightLookup& lookup) const;
    Result<void> CheckFinalBody(const Final& final, uint64_t time) const;
    Result<void> CheckShardsBody(const Shards& shards) const;
};

} // namespace podl

#endif // BITCOIN_PODL_SCHEDULE_H
