// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_STORE_H
#define BITCOIN_PODL_STORE_H

#include <podl/views.h>
#include <uint256.h>
#include <util/expected.h>
#include <util/fs.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

class CDBBatch;
class CDBWrapper;

namespace podl {

/** A verdict as it is kept, with the time it came. */
struct StoredVerdict {
    Verdict verdict{};
    int64_t time{0};
};

/** Evidence of two entries behind the same one, which freezes the schedule. */
struct Freeze {
    uint64_t slot{0}; //!< index of the accepted entry
    uint256 accepted{};
    uint256 other{};
    Bytes other_bytes{}; //!< the whole entry: the operator may choose it
};

/** An entry that takes the place of an accepted one and of all behind it. */
struct Replacement {
    uint32_t slot{0};
    const Bytes& bytes;
    uint32_t undo_height{0}; //!< lowest height whose block it may change
};

/** What a store holds besides audits, which are read when asked for. */
struct StoredState {
    std::vector<Bytes> entries{};
    std::map<VerdictKey, StoredVerdict> verdicts{};
    std::map<VerdictKey, StoredVerdict> confirmations{}; //!< the same from the other source
    std::set<VerdictKey> conflicts{};         //!< keys that got a second, different verdict
    std::map<uint256, std::string> faults{};  //!< block hash or release id to the reason it is proven bad
    std::vector<AlarmView> alarms{};
    std::optional<Freeze> freeze{};
    std::set<uint256> not_chosen{}; //!< entries that the operator decided against
    std::optional<uint32_t> undo_height{}; //!< blocks from here on may have to be disconnected
    std::vector<CommitmentView> commitments{}; //!< by place in the pool
    std::vector<Bytes> reveals{};
    bool resyncing{false};
};

/**
 * Everything but the data objects, in a LevelDB. Not thread-safe.
 *
 * Writers return whether the record is on disk (synced, except commitments and reveals, which peers send again);
 * a failure is logged and must leave the caller's state as it was. The next write opens the database anew.
 */
class Store
{
public:
    /** The error is one line, starting with podl-store-open or podl-store-corrupt, which names the file. */
    static util::Expected<std::unique_ptr<Store>, std::string> Open(const fs::path& path, bool memory_only, bool wipe);
    ~Store();

    /** Read all. A record that does not parse is an error starting with podl-store-corrupt, which names it. */
    util::Expected<StoredState, std::string> Load() const;

    /** Entries behind this place are erased. */
    [[nodiscard]] bool WriteEntry(uint32_t index, const Bytes& bytes);
    [[nodiscard]] bool WriteVerdict(const VerdictKey& key, const StoredVerdict& verdict);
    [[nodiscard]] bool WriteConfirmation(const VerdictKey& key, const StoredVerdict& verdict);
    [[nodiscard]] bool WriteConflict(const VerdictKey& key);
    [[nodiscard]] bool WriteFault(const uint256& id, const std::string& reason);
    [[nodiscard]] bool WriteAlarm(uint32_t index, const AlarmView& alarm);
    [[nodiscard]] bool WriteFreeze(const Freeze& freeze);
    [[nodiscard]] bool EraseFreeze();
    /** The operator's choice ends the freeze: all of it or nothing is written. */
    [[nodiscard]] bool WriteChoice(const uint256& not_chosen, const std::optional<Replacement>& replacement);
    [[nodiscard]] bool WriteUndo(uint32_t height);
    [[nodiscard]] bool EraseUndo();
    [[nodiscard]] bool WriteCommitment(uint32_t index, const CommitmentView& commitment);
    [[nodiscard]] bool WriteReveal(const uint256& id, const Bytes& bytes);
    [[nodiscard]] bool EraseReveal(const uint256& id);
    [[nodiscard]] bool WriteResyncing(bool resyncing);
    /** Replaces the auditor's earlier report on the block. */
    [[nodiscard]] bool WriteAudit(const uint256& block, const Audit& audit);
    [[nodiscard]] bool ClearCommitments();
    [[nodiscard]] bool ClearReveals();

    /** Reports on a block, by auditor; nullopt if one cannot be read. */
    std::optional<std::vector<Audit>> ReadAudits(const uint256& block) const;

private:
    const fs::path m_path;
    const bool m_memory_only;
    std::unique_ptr<CDBWrapper> m_db; //!< null after a failed write

    Store(const fs::path& path, bool memory_only, bool wipe);

    bool Write(const std::function<void(CDBBatch&)>& fill, bool sync);
    template <typename K, typename V>
    bool WriteRecord(const K& key, const V& value, bool sync);
    bool Clear(uint8_t table);
    void PutEntry(CDBBatch& batch, uint32_t index, const Bytes& bytes);
};

} // namespace podl

#endif // BITCOIN_PODL_STORE_H
