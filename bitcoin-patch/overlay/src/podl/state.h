// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_STATE_H
#define BITCOIN_PODL_STATE_H

#include <podl/candidates.h>
#include <podl/entry.h>
#include <podl/gate.h>
#include <podl/object_check.h>
#include <podl/objects.h>
#include <podl/options.h>
#include <podl/pool.h>
#include <podl/result.h>
#include <podl/reveal.h>
#include <podl/schedule.h>
#include <podl/store.h>
#include <podl/verdicts.h>
#include <podl/views.h>
#include <primitives/block.h>
#include <uint256.h>
#include <util/expected.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace podl {

/** Something that listeners are told once the manager's mutex is free. */
struct Event {
    enum class Type { ENTRY, COMMITMENT, REVEAL, CANDIDATE, VERDICT, OBJECT };
    Type type;
    uint256 id{};            //!< of the entry, reveal or object; block hash of commitment and candidate
    uint256 block{};         //!< block hash of a reveal
    VerdictKey verdict{};
    ObjectKind kind{ObjectKind::BODY};
};
using Events = std::vector<Event>;

/** What the block index says about the parent of a commitment. */
struct ParentInfo {
    int64_t median_time_past{0};
    uint32_t next_bits{0}; //!< nBits that its child must have
};

/** A final whose block is not connected yet, as the worker needs it. */
struct FeedTask {
    uint32_t height{0};
    CBlockHeader header{};
    Bytes payout{};
    uint8_t stamp_bits{0};
    bool body_held{false};    //!< as a data object
    bool body_checked{false};
    bool may_connect{false};  //!< all that is asked before the block connects is fulfilled
};

/** From which height on the active chain may have blocks that the schedule names no more. */
struct UndoTask {
    uint32_t height{0};
    uint256 named{}; //!< block of that height's final; null without one
};

/** Submission for a refusal. */
Submission Refusal(const Reject& reject);
/** Answer when something could not be written: podl-store-error (LATER). */
Submission StoreFailure();

/**
 * Everything the manager knows, without locks, threads or the chain; the manager guards it with its mutex.
 *
 * Calls that change something write to the store first, then take effect, then append what happened to events.
 */
class State
{
public:
    /** Finals that may be looked after at once, from the lowest one not connected on. */
    static constexpr size_t LOOKAHEAD{64};
    /** Entries kept that cannot be judged yet. */
    static constexpr size_t MAX_ORPHANS{16};
    /** Evidence of equivocation freezes while fewer finals than this lie behind the slot (protocol section 5). */
    static constexpr size_t FINAL_DEPTH{6};

    /** Open the store and replay it. The error is one line for the operator. */
    static util::Expected<std::unique_ptr<State>, std::string> Load(const ManagerOptions& options, int64_t now);

    // Schedule (state_entries.cpp)

    /** @param prev_height  height of a first release's previous block in the block index, if it is there */
    Submission AddEntry(const Entry& entry, int64_t now, std::optional<int> prev_height, Events& events);
    /** Take out the kept entries that may follow the last accepted one. */
    std::vector<Entry> TakeOrphans();
    bool IsFrozen() const { return m_freeze.has_value(); }

    // What is taken back (state_undo.cpp)

    /**
     * The operator's way out of a freeze: one of the two entries for the slot stands from now on.
     *
     * @returns refused podl-choice-none, podl-choice-unknown, or the rule that the other entry breaks
     */
    Submission Choose(const uint256& id, int64_t now, std::optional<int> prev_height, Events& events);
    /** The entry that stands against an accepted one, while the schedule is frozen. */
    std::optional<Entry> Contested() const;
    std::optional<UndoTask> Undo() const;
    void SetUndone(uint32_t height);
    /** The active chain's block of this height could not be disconnected. */
    void AddUndoAlarm(uint32_t height, int64_t now);

    // Round (state_round.cpp)

    /** @param first_tip  the active tip, if it has the height below the first PoDL block */
    Submission AddCommitment(const CBlockHeader& header, const Bytes& bytes, int64_t now, const std::optional<uint256>& first_tip, const std::optional<ParentInfo>& parent, Events& events);
    /** Block that commitments must build on, if it is known yet. */
    std::optional<uint256> OpenPrev(const std::optional<uint256>& first_tip) const;
    Submission AddReveal(Reveal reveal, int64_t now, Events& events);
    /** One over RPC, or the node's own, which bears its name. */
    Submission AddVerdict(const VerdictKey& key, const Verdict& verdict, int64_t now, Events& events);
    Submission AddAudit(const uint256& block, const Audit& audit);

    // Data (state_data.cpp)

    /** Whether an object of this size would be taken now, and what it has to be checked against. Null context: held already. */
    Result<std::optional<ObjectContext>> ContextFor(const ObjectId& id, uint64_t size);
    /** Record what CheckObject has found. @returns whether all of it is on disk */
    bool AddFindings(const ObjectId& id, const ObjectFindings& findings, int64_t now, Events& events);
    /** The object's file is written: hold it, unless nobody names it any more. */
    Submission AddObject(const ObjectId& id, uint64_t size, int64_t now, Events& events);
    /** The bytes on disk are the named ones. */
    void SetChecked(const ObjectId& id, int64_t now);
    /** The bytes on disk are not the named ones (any more): throw them away and want them anew. */
    void DropDamaged(const ObjectId& id, int64_t now);
    ObjectFiles& Files() { return m_files; }
    /** Bytes that prove a final void and are of no other use; kept to be served. */
    ObjectFiles& Proofs() { return m_proofs; }
    /** Where an object is held; nullptr if it is not. */
    const ObjectFiles* Holder(const ObjectId& id) const;
    Assembly& Parts() { return m_parts; }
    uint64_t BufferBytes() const;

    // Chain (state_chain.cpp)

    HeaderStatus CheckHeader(const uint256& hash, int height) const;
    /** @param connected  the block was connected before. @param[out] news  the worker should look at this block */
    bool MayConnect(const uint256& hash, bool connected, bool& news);
    std::vector<FeedTask> FeedTasks() const;
    // A final that is void by now is left alone.

    void SetBodyChecked(const uint256& hash);
    /** The block was connected: nothing is left to do for this final. */
    void SetConnected(const uint256& hash, int64_t now, Events& events);
    /** Remove the bodies of connected blocks that Core has on disk up to this height: a crash cannot lose them. */
    void DropBodies(int flushed_height);
    /** The final's block or header is proven bad. @returns whether that could be recorded */
    bool AddBlockFault(const uint256& hash, const std::string& reason, int64_t now, Events& events);
    /** Compare with the active tip. @returns a line for the operator when finals are missing, or the chain is another one */
    std::optional<std::string> CheckTip(int tip_height, bool legacy);

    // Views (state_views.cpp)

    InfoView Info(const std::optional<uint256>& first_tip) const;
    ScheduleView Entries(size_t from, size_t count) const;
    CommitmentsView Commitments(const std::optional<uint256>& first_tip) const;
    CandidatesView CandidatesNow() const;
    /** Evaluations that can be done now and whose verdict by this source would help, in the order in which they should be done. */
    std::vector<JobView> Jobs(VerdictSource source) const;
    TemplateView Template(const uint256& prev_block, const std::optional<uint256>& first_tip) const;
    std::vector<Want> Wanted(int64_t now) const;
    PeerLimits Limits() const;
    std::optional<std::vector<Audit>> Audits(const uint256& block) const { return m_store->ReadAudits(block); }
    const Schedule& Log() const { return m_schedule; }
    const CommitmentPool& Pool() const { return m_pool; }
    const CandidateTable& Table() const { return m_table; }

private:
    /** A final and how far its block is. */
    struct FinalRecord {
        uint32_t height{0};
        uint256 hash{};
        uint256 entry_id{};
        uint256 release_id{};
        VerdictKey key{};
        uint256 model_root{};
        uint32_t n_params{0};
        uint32_t n{0};
        uint32_t claim{0};
        bool body_checked{false};
        bool in_chain{false};  //!< Core has the block's data
        bool connected{false};
    };
    /** Something missing. */
    struct Need {
        std::string what;
        uint256 id;
        int height{0};
        std::optional<Want> want{}; //!< not set for what is not fetched as an object: entry, evaluator
        bool background{false};     //!< nothing stands still without it
    };
    //! what, id as shown, height
    using WaitKey = std::tuple<std::string, std::string, int>;

    State(const ManagerOptions& options, std::unique_ptr<Store> store);

    const int m_podl_height;
    const Consensus::Params* const m_consensus;
    const EvaluatorMode m_evaluator;
    const std::unique_ptr<Store> m_store;
    ObjectFiles m_files;
    ObjectFiles m_proofs;
    Assembly m_parts;
    Schedule m_schedule;
    CommitmentPool m_pool;
    CandidateTable m_table;
    Verdicts m_verdicts{m_evaluator};
    std::vector<FinalRecord> m_finals;            //!< that count, by height, from the first one on
    std::vector<FinalRecord> m_voided;            //!< void ones; the last one may still wait for the next attempt
    std::multimap<uint256, size_t> m_final_index; //!< block hash, release id, weights and model root, test root to final
    size_t m_first_open{0};                       //!< lowest final that is not connected
    size_t m_first_kept{0};                       //!< lowest final whose body may still be an own file
    std::set<ObjectId> m_archive;                 //!< objects of finals that are not held
    std::map<uint256, std::string> m_faults;      //!< block hash or release id
    std::set<ObjectId> m_unusable;                //!< bytes seen that nobody named so far can use: not fetched again
    std::vector<AlarmView> m_alarms;
    size_t m_alarms_written{0};                   //!< how many of them are on disk
    std::optional<Freeze> m_freeze;
    std::set<uint256> m_not_chosen; //!< entries that the operator decided against
    std::optional<uint32_t> m_undo_height;
    bool m_resyncing{false};
    std::deque<Entry> m_orphans;
    std::map<WaitKey, int64_t> m_waiting; //!< since when

    // state_load.cpp
    std::optional<std::string> ReplayLog(std::vector<Bytes> entries, const Bytes& task);
    std::optional<std::string> Replay(StoredState stored, const Bytes& task, int64_t now);
    std::optional<std::string> ReplayEntry(const Bytes& bytes);
    void ReplayCommitments(const std::vector<CommitmentView>& stored);
    void ReplayReveals(const std::vector<Bytes>& stored, int64_t now);
    void CheckLength(const uint256& weights_root, uint32_t n_params, int64_t now);
    void Apply(const Entry& entry);
    void ApplyFinal(const Entry& entry, const Final& final);

    // state_entries.cpp
    Submission Judge(const Entry& entry, int64_t now, std::optional<int> prev_height, Events& events);
    Submission RefuseEntry(const Entry& entry, const Reject& reject, int64_t now, Events& events);
    void KeepOrphan(const Entry& entry);
    /** Whether the entry withdraws a final that this node has found valid. */
    bool WithdrawsValid(const Entry& entry) const;
    /** @returns false if a freeze could not be recorded, and nothing has changed */
    bool AddEquivocation(const Equivocation& found, const Bytes& other, int64_t now);
    void AfterEntry(const Entry& entry, int64_t now);
    void ReportSuboptimal(const Entry& entry, const Final& final, int64_t now);
    void AddAlarm(const std::string& reason, const std::string& detail, const std::vector<std::string>& ids, int64_t now);
    void AddConflictAlarm(const VerdictKey& key, const std::string& second, int64_t now);
    /** Alarms of what is recorded, in case a crash or a full disk came between record and alarm. */
    void RestoreAlarms(int64_t now);
    std::optional<std::string> VoidReason(const FinalRecord& final) const;
    /** Look at all finals. */
    void FindVoid(int64_t now);
    /** Look again at the finals that this id belongs to. */
    void UpdateVoid(const uint256& id, int64_t now);
    std::optional<uint32_t> FrozenHeight() const;

    // state_undo.cpp
    /** Put aside the final that this entry withdraws, unless that has been done. */
    void Withdraw(const Entry& entry);
    /** The last final counts for nothing from now on. */
    void VoidLast();
    /** This final is proven void: it is the last entry that is left, with shards behind it. */
    void VoidFinal(size_t index, const std::string& reason, int64_t now);
    /** A void final's proof has fallen: it counts again. */
    void RestoreVoid();
    /** Cut the log to this many entries, and derive everything anew from them. */
    void Rebuild(size_t size);
    void CopyProgress(const std::vector<FinalRecord>& before);
    Submission Replace(const Freeze& freeze, int64_t now, std::optional<int> prev_height, Events& events);
    /** Whether the evidence is about entries that a void final has made idle. */
    bool IsIdle(const Freeze& freeze) const;

    // state_round.cpp
    std::optional<Reject> CheckCommitment(const CBlockHeader& header, int64_t now, const std::optional<uint256>& prev, const std::optional<ParentInfo>& parent) const;
    VerdictKey KeyOf(const Disclosure& disclosure, const Round& round) const;
    /** Samples and classes that a key is about; nullopt if no final and no candidate has this key. */
    std::optional<std::pair<uint32_t, uint16_t>> TestOf(const VerdictKey& key) const;
    CandidateFacts FactsOf(const Candidate& candidate, const Round& round) const;
    /** Bring candidates and waiting list up to date after any change. */
    void Refresh(int64_t now, Events& events);

    // state_data.cpp
    std::optional<ObjectContext> Context(const ObjectId& id) const;
    ObjectNamer FinalNamer(const FinalRecord& final, ObjectKind kind) const;
    static std::vector<ObjectId> ObjectsOf(const FinalRecord& final);
    static std::vector<ObjectId> ObjectsOf(const Candidate& candidate);
    bool NamedByFinal(const ObjectId& id) const;
    /** Why a block cannot be a height's: what is recorded, or weights of another length than it says. */
    std::optional<std::string> FaultOf(const uint256& block, const uint256& weights_root, uint32_t n_params) const;
    static uint64_t SizeLimit(const ObjectContext& context);
    uint64_t CandidateBytes() const;
    uint64_t CandidateQuota() const;
    /** Candidates' data that are worth less than this object and must go for it; nullopt: it would not fit all the same. */
    std::optional<std::vector<ObjectId>> RoomFor(const ObjectId& id, uint64_t size) const;
    Reject NoRoom() const;
    void DropLosers();
    std::vector<Need> Needs(int64_t now) const;
    void FinalNeeds(const FinalRecord& final, std::vector<Need>& needs) const;
    void RoundNeeds(std::vector<Need>& needs) const;
    void SpareNeeds(int height, size_t limit, std::vector<Need>& needs) const;
    void ArchiveNeeds(int64_t now, std::vector<Need>& needs) const;
    void AddNeed(const ObjectId& id, int height, std::vector<Need>& needs, bool background = false) const;

    // state_chain.cpp
    const FinalRecord* FindFinal(const uint256& hash) const;
    FinalRecord* FindFinal(const uint256& hash);
    bool IsJudged(const FinalRecord& final) const;
    bool Fulfilled(const FinalRecord& final) const;
};

} // namespace podl

#endif // BITCOIN_PODL_STATE_H
