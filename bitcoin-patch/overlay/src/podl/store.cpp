// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/store.h>

#include <dbwrapper.h>
#include <logging.h>
#include <podl/codec.h>
#include <podl/store_damage.h>
#include <serialize.h>
#include <streams.h>
#include <tinyformat.h>
#include <util/byte_units.h>
#include <util/strencodings.h>

#include <algorithm>
#include <utility>

namespace podl {
namespace {

//! First byte of every key.
constexpr uint8_t ENTRIES{'e'};
constexpr uint8_t VERDICTS{'v'};
constexpr uint8_t CONFIRMATIONS{'o'};
constexpr uint8_t CONFLICTS{'k'};
constexpr uint8_t FAULTS{'f'};
constexpr uint8_t ALARMS{'a'};
constexpr uint8_t FREEZE{'z'};
constexpr uint8_t NOT_CHOSEN{'n'};
constexpr uint8_t UNDO{'d'};
constexpr uint8_t COMMITMENTS{'c'};
constexpr uint8_t REVEALS{'r'};
constexpr uint8_t RESYNCING{'s'};
constexpr uint8_t AUDITS{'u'};

constexpr size_t CACHE_BYTES{2_MiB};

/** Bytes that fill the rest of a key or value. */
struct Rest {
    Bytes bytes;

    template <typename Stream>
    void Serialize(Stream& s) const
    {
        s << std::span{bytes};
    }

    template <typename Stream>
    void Unserialize(Stream& s)
    {
        bytes.resize(s.size());
        s >> std::span{bytes};
    }
};

/** Position in a table; big-endian, so that LevelDB's order is that of the positions. */
struct IndexKey {
    uint8_t table;
    uint32_t index;

    template <typename Stream>
    void Serialize(Stream& s) const
    {
        s << table;
        ser_writedata32be(s, index);
    }

    template <typename Stream>
    void Unserialize(Stream& s)
    {
        s >> table;
        index = ser_readdata32be(s);
    }
};

struct IdKey {
    uint8_t table{0};
    uint256 id;
    SERIALIZE_METHODS(IdKey, obj) { READWRITE(obj.table, obj.id); }
};

struct VerdictRecordKey {
    uint8_t table{0};
    VerdictKey key;
    SERIALIZE_METHODS(VerdictRecordKey, obj) { READWRITE(obj.table, obj.key.arithmetic, obj.key.program, obj.key.weights_root, obj.key.test_root); }
};

struct VerdictRecord {
    StoredVerdict stored;
    SERIALIZE_METHODS(VerdictRecord, obj)
    {
        READWRITE(obj.stored.verdict.count, obj.stored.verdict.rank_sum, obj.stored.verdict.device, obj.stored.verdict.evaluator, obj.stored.time);
    }
};

struct AlarmRecord {
    AlarmView alarm;
    SERIALIZE_METHODS(AlarmRecord, obj) { READWRITE(obj.alarm.reason, obj.alarm.detail, obj.alarm.time, obj.alarm.ids); }
};

struct FreezeRecord {
    Freeze freeze;
    SERIALIZE_METHODS(FreezeRecord, obj) { READWRITE(obj.freeze.slot, obj.freeze.accepted, obj.freeze.other, obj.freeze.other_bytes); }
};

struct CommitmentRecord {
    CommitmentView commitment;
    SERIALIZE_METHODS(CommitmentRecord, obj) { READWRITE(obj.commitment.hash, obj.commitment.time, obj.commitment.bytes); }
};

struct TextRecord {
    std::string text;
    SERIALIZE_METHODS(TextRecord, obj) { READWRITE(obj.text); }
};

/** An audit; the auditor is part of the key. */
struct AuditRecord {
    uint8_t result{0};
    uint8_t has_epoch{0};
    uint32_t epoch{0};
    SERIALIZE_METHODS(AuditRecord, obj) { READWRITE(obj.result, obj.has_epoch, obj.epoch); }
};

Bytes AuditKey(const uint256& block, const std::string& auditor)
{
    Bytes key;
    VectorWriter{key, 0} << AUDITS << block << Rest{Bytes(auditor.begin(), auditor.end())};
    return key;
}

/** Throws dbwrapper_error and fs::filesystem_error. */
std::unique_ptr<CDBWrapper> OpenDatabase(const fs::path& path, bool memory_only, bool wipe)
{
    return std::make_unique<CDBWrapper>(DBParams{.path = path, .cache_bytes = CACHE_BYTES, .memory_only = memory_only, .wipe_data = wipe});
}

using Handler = std::function<bool(std::span<const unsigned char> key, std::span<const unsigned char> value)>;

/** Call handle for each record whose key begins with prefix; false if it refuses one, whose key then is in bad_key. */
bool ForEach(CDBWrapper& db, std::span<const unsigned char> prefix, const Handler& handle, Bytes* bad_key = nullptr)
{
    const std::unique_ptr<CDBIterator> it{db.NewIterator()};
    for (it->Seek(Rest{Bytes(prefix.begin(), prefix.end())}); it->Valid(); it->Next()) {
        Rest key, value;
        if (!it->GetKey(key) || key.bytes.size() < prefix.size()) return true;
        if (!std::ranges::equal(std::span{key.bytes}.first(prefix.size()), prefix)) return true;
        if (it->GetValue(value) && handle(key.bytes, value.bytes)) continue;
        if (bad_key) *bad_key = key.bytes;
        return false;
    }
    return true;
}

template <typename T>
std::optional<T> Parse(std::span<const unsigned char> bytes)
{
    auto parsed{ParseExact<T>(bytes, "")};
    if (!parsed) return std::nullopt;
    return std::move(*parsed);
}

/** Handler for records of key type K and value type V. */
template <typename K, typename V>
Handler Typed(const std::function<bool(const K&, V&&)>& take)
{
    return [take](auto key_bytes, auto value_bytes) {
        const auto key{Parse<K>(key_bytes)};
        auto value{Parse<V>(value_bytes)};
        return key && value && take(*key, std::move(*value));
    };
}

std::vector<std::pair<uint8_t, Handler>> Loaders(StoredState& state)
{
    return {
        {ENTRIES, Typed<IndexKey, Rest>([&](const auto& key, auto&& value) {
             if (key.index != state.entries.size()) return false;
             state.entries.push_back(std::move(value.bytes));
             return true;
         })},
        {VERDICTS, Typed<VerdictRecordKey, VerdictRecord>([&](const auto& key, auto&& value) {
             state.verdicts.emplace(key.key, std::move(value.stored));
             return true;
         })},
        {CONFIRMATIONS, Typed<VerdictRecordKey, VerdictRecord>([&](const auto& key, auto&& value) {
             state.confirmations.emplace(key.key, std::move(value.stored));
             return true;
         })},
        {CONFLICTS, Typed<VerdictRecordKey, Rest>([&](const auto& key, auto&& value) {
             state.conflicts.insert(key.key);
             return value.bytes.empty();
         })},
        {FAULTS, Typed<IdKey, TextRecord>([&](const auto& key, auto&& value) {
             state.faults.emplace(key.id, std::move(value.text));
             return true;
         })},
        {ALARMS, Typed<IndexKey, AlarmRecord>([&](const auto& key, auto&& value) {
             state.alarms.push_back(std::move(value.alarm));
             return key.index + 1 == state.alarms.size();
         })},
        {FREEZE, Typed<uint8_t, FreezeRecord>([&](const auto&, auto&& value) {
             state.freeze = std::move(value.freeze);
             return true;
         })},
        {NOT_CHOSEN, Typed<IdKey, Rest>([&](const auto& key, auto&& value) {
             state.not_chosen.insert(key.id);
             return value.bytes.empty();
         })},
        {UNDO, Typed<uint8_t, uint32_t>([&](const auto&, auto&& value) {
             state.undo_height = value;
             return true;
         })},
        {COMMITMENTS, Typed<IndexKey, CommitmentRecord>([&](const auto&, auto&& value) {
             state.commitments.push_back(std::move(value.commitment));
             return true;
         })},
        {REVEALS, Typed<IdKey, Rest>([&](const auto&, auto&& value) {
             state.reveals.push_back(std::move(value.bytes));
             return true;
         })},
        {RESYNCING, Typed<uint8_t, uint8_t>([&](const auto&, auto&& value) {
             state.resyncing = value == 1;
             return value <= 1;
         })},
    };
}

} // namespace

Store::Store(const fs::path& path, bool memory_only, bool wipe)
    : m_path{path}, m_memory_only{memory_only}, m_db{OpenDatabase(path, memory_only, wipe)}
{
}

Store::~Store() = default;

util::Expected<std::unique_ptr<Store>, std::string> Store::Open(const fs::path& path, bool memory_only, bool wipe)
{
    try {
        const auto damage{memory_only || wipe ? std::nullopt : FindDamage(path)};
        if (damage) return util::Unexpected{strprintf("podl-store-corrupt: %s: %s", fs::PathToString(path), *damage)};
        return std::unique_ptr<Store>{new Store{path, memory_only, wipe}};
    } catch (const std::exception& e) {
        return util::Unexpected{strprintf("podl-store-open: %s: %s", fs::PathToString(path), e.what())};
    }
}

util::Expected<StoredState, std::string> Store::Load() const
{
    StoredState state;
    for (const auto& [table, handle] : Loaders(state)) {
        Bytes key;
        if (!ForEach(*m_db, std::span{&table, 1}, handle, &key)) {
            return util::Unexpected{strprintf("podl-store-corrupt: record %s of table '%c'", HexStr(key), table)};
        }
    }
    return state;
}

bool Store::Write(const std::function<void(CDBBatch&)>& fill, bool sync)
{
    try {
        if (!m_db) m_db = OpenDatabase(m_path, m_memory_only, /*wipe=*/false);
        CDBBatch batch{*m_db};
        fill(batch);
        m_db->WriteBatch(batch, sync);
        return true;
    } catch (const std::exception& e) {
        LogError("PoDL store: %s", e.what());
        // LevelDB would write on behind the torn record and not find what follows it at the next start. Opening cuts it off.
        if (!m_memory_only) m_db.reset();
        return false;
    }
}

template <typename K, typename V>
bool Store::WriteRecord(const K& key, const V& value, bool sync)
{
    return Write([&](CDBBatch& batch) { batch.Write(key, value); }, sync);
}

bool Store::Clear(uint8_t table)
{
    return Write([&](CDBBatch& batch) {
        ForEach(*m_db, std::span{&table, 1}, [&](auto key, auto) {
            batch.Erase(Rest{Bytes(key.begin(), key.end())});
            return true;
        });
    }, /*sync=*/false);
}

void Store::PutEntry(CDBBatch& batch, uint32_t index, const Bytes& bytes)
{
    batch.Write(IndexKey{ENTRIES, index}, Rest{bytes});
    const std::unique_ptr<CDBIterator> it{m_db->NewIterator()};
    IndexKey key{ENTRIES, index + 1};
    for (it->Seek(key); it->Valid() && it->GetKey(key) && key.table == ENTRIES; it->Next()) batch.Erase(key);
}

bool Store::WriteEntry(uint32_t index, const Bytes& bytes)
{
    return Write([&](CDBBatch& batch) { PutEntry(batch, index, bytes); }, /*sync=*/true);
}

bool Store::EraseFreeze()
{
    return Write([&](CDBBatch& batch) { batch.Erase(FREEZE); }, /*sync=*/true);
}

bool Store::WriteChoice(const uint256& not_chosen, const std::optional<Replacement>& replacement)
{
    return Write([&](CDBBatch& batch) {
        batch.Erase(FREEZE);
        batch.Write(IdKey{NOT_CHOSEN, not_chosen}, Rest{});
        if (!replacement) return;
        PutEntry(batch, replacement->slot, replacement->bytes);
        batch.Write(UNDO, replacement->undo_height);
    }, /*sync=*/true);
}

bool Store::WriteUndo(uint32_t height) { return WriteRecord(UNDO, height, /*sync=*/true); }

bool Store::EraseUndo()
{
    return Write([&](CDBBatch& batch) { batch.Erase(UNDO); }, /*sync=*/true);
}

bool Store::WriteVerdict(const VerdictKey& key, const StoredVerdict& verdict) { return WriteRecord(VerdictRecordKey{VERDICTS, key}, VerdictRecord{verdict}, /*sync=*/true); }
bool Store::WriteConfirmation(const VerdictKey& key, const StoredVerdict& verdict) { return WriteRecord(VerdictRecordKey{CONFIRMATIONS, key}, VerdictRecord{verdict}, /*sync=*/true); }
bool Store::WriteConflict(const VerdictKey& key) { return WriteRecord(VerdictRecordKey{CONFLICTS, key}, Rest{}, /*sync=*/true); }
bool Store::WriteFault(const uint256& id, const std::string& reason) { return WriteRecord(IdKey{FAULTS, id}, TextRecord{reason}, /*sync=*/true); }
bool Store::WriteAlarm(uint32_t index, const AlarmView& alarm) { return WriteRecord(IndexKey{ALARMS, index}, AlarmRecord{alarm}, /*sync=*/true); }
bool Store::WriteFreeze(const Freeze& freeze) { return WriteRecord(FREEZE, FreezeRecord{freeze}, /*sync=*/true); }
bool Store::WriteCommitment(uint32_t index, const CommitmentView& commitment) { return WriteRecord(IndexKey{COMMITMENTS, index}, CommitmentRecord{commitment}, /*sync=*/false); }
bool Store::WriteReveal(const uint256& id, const Bytes& bytes) { return WriteRecord(IdKey{REVEALS, id}, Rest{bytes}, /*sync=*/false); }
bool Store::WriteResyncing(bool resyncing) { return WriteRecord(RESYNCING, uint8_t{resyncing}, /*sync=*/true); }
bool Store::ClearCommitments() { return Clear(COMMITMENTS); }
bool Store::ClearReveals() { return Clear(REVEALS); }

bool Store::EraseReveal(const uint256& id)
{
    return Write([&](CDBBatch& batch) { batch.Erase(IdKey{REVEALS, id}); }, /*sync=*/false);
}

bool Store::WriteAudit(const uint256& block, const Audit& audit)
{
    const AuditRecord record{static_cast<uint8_t>(audit.result), audit.epoch.has_value(), audit.epoch.value_or(0)};
    return WriteRecord(Rest{AuditKey(block, audit.auditor)}, record, /*sync=*/true);
}

std::optional<std::vector<Audit>> Store::ReadAudits(const uint256& block) const
{
    if (!m_db) return std::nullopt;
    std::vector<Audit> audits;
    const Bytes prefix{AuditKey(block, "")};
    const bool readable{ForEach(*m_db, prefix, [&](auto key, auto value) {
        const auto record{Parse<AuditRecord>(value)};
        if (!record || record->result > static_cast<uint8_t>(AuditResult::NOT_REPLAYABLE)) return false;
        const auto auditor{key.subspan(prefix.size())};
        audits.push_back({AuditResult{record->result}, record->has_epoch ? std::optional{record->epoch} : std::nullopt,
                          std::string(auditor.begin(), auditor.end())});
        return true;
    })};
    if (!readable) return std::nullopt;
    return audits;
}

} // namespace podl
