// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_MANAGER_H
#define BITCOIN_PODL_MANAGER_H

#include <kernel/cs_main.h>
#include <podl/evaluator_jobs.h>
#include <podl/gate.h>
#include <podl/options.h>
#include <podl/views.h>
#include <sync.h>
#include <threadsafety.h>
#include <uint256.h>
#include <util/expected.h>
#include <util/time.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

class ChainstateManager;

namespace podl {

class ChainLink;
class EvaluatorThread;
class ObjectFiles;
class State;
struct Entry;
struct Event;
struct FeedTask;
struct ObjectId;

/**
 * Told about what the manager accepted. Called by the submitting thread or by the worker, without the
 * manager's mutex and without cs_main; a listener may call the manager, but must not block.
 */
class Listener
{
public:
    virtual ~Listener() = default;
    virtual void EntryAccepted(const uint256& id) {}
    virtual void CommitmentAccepted(const uint256& hash) {}
    virtual void RevealAccepted(const uint256& reveal_id, const uint256& hash) {}
    //! A reveal came, or state or bytes of the candidate changed. Sent for every candidate of the list that has a reveal.
    virtual void CandidateChanged(const uint256& hash) {}
    virtual void VerdictAccepted(const VerdictKey& key) {}
    virtual void ObjectStored(ObjectKind kind, const uint256& hash) {}
};

/**
 * Owner of all PoDL state of a node: schedule, commitment pool, the round's candidates, data objects, verdicts,
 * alarms; and of the worker thread that hands headers and blocks to validation (protocol section 7).
 *
 * m_mutex is an innermost lock: nothing else is locked, called back or waited for while it is held. Whatever is
 * accepted is on disk before it takes effect; when it cannot be written, the answer is podl-store-error (LATER). No
 * call throws.
 */
class Manager final : public BlockGate, public JobSource
{
public:
    using Options = ManagerOptions;

    /** Open or create the store; the error is one line for the operator. */
    static util::Expected<std::unique_ptr<Manager>, std::string> Open(Options options);
    ~Manager();

    // Submissions. They may take cs_main for a moment; all are safe from any thread.

    /** Parse, check, persist and append a schedule entry; orphans that it unlocks follow. @param[out] id  when it parses */
    Submission SubmitEntry(std::span<const unsigned char> bytes, uint256* id = nullptr) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** The operator chooses one of the two entries that froze the schedule; see State::Choose(). */
    Submission ChooseEntry(const uint256& id) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** A 112-byte header for the open height. @param[out] hash  when it has the right size */
    Submission SubmitCommitment(std::span<const unsigned char> bytes, uint256* hash = nullptr) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** A reveal for the open round. @param[out] hash  block hash, when it parses */
    Submission SubmitReveal(std::span<const unsigned char> bytes, uint256* hash = nullptr) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** One piece of an object (RPC), in order; offset 0 starts anew; the last one checks and stores the object. */
    PieceResult SubmitPiece(ObjectKind kind, const uint256& hash, uint64_t size, uint64_t offset, std::span<const unsigned char> piece) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** A whole object (P2P). */
    Submission AddObject(ObjectKind kind, const uint256& hash, std::span<const unsigned char> bytes) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    Submission SubmitVerdict(const VerdictKey& key, const Verdict& verdict) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** The node's own. */
    Submission SubmitOwnVerdict(const VerdictKey& key, const Verdict& verdict) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** Report on a final's block; one per auditor, the latest stands. */
    Submission SubmitAudit(const uint256& block, const Audit& audit) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

    // Data objects. A body whose block is in Core's files is read from there.

    std::optional<uint64_t> ObjectSize(ObjectKind kind, const uint256& hash) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /**
     * At most length bytes from offset; nullopt: not held (or unreadable) or offset beyond the end. An object that the
     * disk has changed is thrown away, and fetched again: seen at the first look after a start, and whenever it is read whole.
     */
    std::optional<Bytes> ReadObject(ObjectKind kind, const uint256& hash, uint64_t offset, uint64_t length) const override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** Which kind of held object a Merkle root names (P2P type 5). */
    std::optional<ObjectKind> KindOfRoot(const uint256& root) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** What should be fetched from peers now, most urgent first. AddObject takes more than this: all that is named. */
    std::vector<Want> Wanted() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    PeerLimits Limits() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** Block that commitments must build on, if it is known yet. */
    std::optional<uint256> OpenPrev() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);

    // What peers ask for.

    uint256 ChainId() const;
    int PodlHeight() const;
    uint256 LastEntryId() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    std::optional<size_t> IndexOf(const uint256& entry_id) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** Entries from index on, as many as fit max_bytes (each counted with 5 bytes more). Empty: no more. */
    std::vector<Bytes> EntriesFrom(size_t index, size_t max_bytes) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    std::optional<Bytes> GetEntryBytes(const uint256& id) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    std::optional<Bytes> GetCommitmentBytes(const uint256& hash) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** Only reveals of the open round are kept. */
    std::optional<Bytes> GetRevealBytes(const uint256& reveal_id) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** Ids to announce to a new peer: commitments of the open height, reveals of the open round. */
    std::vector<uint256> CommitmentHashes() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    std::vector<uint256> RevealIds() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

    // The node's own evaluator.

    std::vector<JobView> OwnJobs() const override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** An evaluator over RPC has shown itself. */
    void NoteSidecar();
    bool HasSidecar() const override;

    // Views for RPC.

    InfoView Info() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** At most count entries from index on. */
    ScheduleView Entries(size_t from, size_t count) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    CommitmentsView Commitments() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    CandidatesView Candidates() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    TemplateView Template(const uint256& prev_block) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    std::vector<Audit> Audits(const uint256& block) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

    // BlockGate; called with cs_main held.

    HeaderStatus CheckHeader(const uint256& hash, const CBlockIndex& prev) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    bool MayConnect(const CBlockIndex& index) override EXCLUSIVE_LOCKS_REQUIRED(::cs_main, !m_mutex);

    // Life cycle: Open, Attach once the block index is loaded, Start, Interrupt, Stop.

    /** Connect with validation. @returns a line for the operator when the block index does not fit the store */
    std::optional<std::string> Attach(ChainstateManager& chainman) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** The same with any chain (unit tests). */
    std::optional<std::string> Attach(std::unique_ptr<ChainLink> chain) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    void Start() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void Interrupt() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** Join the worker and let go of the chain; before validation and the scheduler stop. */
    void Stop() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** What the worker does whenever it is woken: all that can be done now. @returns false if the chain is not ready */
    bool Work() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** Wait until the worker has nothing left to do (or is not running). */
    void SyncQueue() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

    void AddListener(Listener* listener) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void RemoveListener(Listener* listener) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

private:
    const Options m_options;
    mutable Mutex m_mutex;
    const std::unique_ptr<State> m_state PT_GUARDED_BY(m_mutex);
    const uint256 m_chain_id;
    std::shared_ptr<ChainLink> m_chain GUARDED_BY(m_mutex);
    std::vector<Listener*> m_listeners GUARDED_BY(m_mutex);
    std::condition_variable m_wake_cv;
    std::condition_variable m_idle_cv;
    uint64_t m_requested GUARDED_BY(m_mutex){0}; //!< rounds of work asked for
    uint64_t m_completed GUARDED_BY(m_mutex){0}; //!< the last of them that is done
    bool m_running GUARDED_BY(m_mutex){false};
    bool m_interrupted GUARDED_BY(m_mutex){false};
    std::thread m_worker;
    std::atomic<SteadyClock::time_point> m_sidecar_time{SteadyClock::time_point::min()}; //!< when an evaluator over RPC was last seen
    const std::unique_ptr<EvaluatorThread> m_evaluator; //!< null without one

    Manager(Options options, std::unique_ptr<State> state, const uint256& chain_id);

    std::optional<std::string> Connect(std::shared_ptr<ChainLink> chain) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    std::shared_ptr<ChainLink> GetChain() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** The active tip, as long as it decides what first commitments build on. */
    std::optional<uint256> FirstTip() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** A final's block out of Core's files, serialized. */
    std::optional<Bytes> BodyFromChain(const uint256& hash) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** Folder of an object that is held and sound as far as has been looked; null without. */
    const ObjectFiles* FilesOf(const ObjectId& id) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    std::optional<Bytes> ReadWhole(const ObjectFiles& files, const ObjectId& id) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** Height of the previous block that a release of the first height names. */
    std::optional<int> PrevHeight(const Entry& entry) const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    Submission SubmitParsed(const Entry& entry) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    void RetryOrphans() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    void Notify(const std::vector<Event>& events) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void Wake() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);

    // Worker thread (manager_worker.cpp)
    void Run() EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    bool IsInterrupted() const EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    /** Disconnect blocks that an earlier state of the schedule has named. */
    void TakeBack(ChainLink& chain) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** Take a final's block one step further. @returns whether anything has changed */
    bool Advance(ChainLink& chain, const FeedTask& task) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    bool AdvanceHeader(ChainLink& chain, const FeedTask& task) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    bool AdvanceBody(ChainLink& chain, const FeedTask& task) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    bool AdvanceData(ChainLink& chain, const FeedTask& task) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex) LOCKS_EXCLUDED(::cs_main);
    /** @returns whether the fault is recorded */
    bool FailBlock(const FeedTask& task, const std::string& reason) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
};

} // namespace podl

#endif // BITCOIN_PODL_MANAGER_H
