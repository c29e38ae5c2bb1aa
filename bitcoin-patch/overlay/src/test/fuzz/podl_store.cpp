// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <dbwrapper.h>
#include <podl/entry.h>
#include <podl/manager.h>
#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>
#include <test/fuzz/podl_script.h>
#include <test/fuzz/util.h>
#include <test/util/random.h>
#include <util/fs.h>
#include <util/strencodings.h>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

//! First bytes of the keys (store.cpp).
constexpr std::string_view TABLES{"evokfazndcrsu"};
constexpr size_t CACHE_BYTES{1 << 20};
constexpr uint32_t CLAIM{50}; //!< of the script's finals

using Records = std::map<Bytes, Bytes>; //!< key to value

/** All bytes of a key or a value. */
struct AllBytes {
    Bytes bytes;

    template <typename Stream>
    void Unserialize(Stream& s)
    {
        bytes.resize(s.size());
        s >> std::span{bytes};
    }
};

/** What is seen of a node that has been started. */
struct Seen {
    std::string error{};
    uint256 digest{};
    size_t entries{0}, finals{0}, commitments{0}, candidates{0}, alarms{0}, evaluated{0};
    bool frozen{false}, is_void{false};
    friend bool operator==(const Seen&, const Seen&) = default;
};

/** Remove a folder with all that is in it, the deepest first. */
void RemoveFolder(const fs::path& folder)
{
    std::vector<fs::path> paths;
    if (fs::exists(folder)) {
        paths.push_back(folder);
        for (const auto& found : fs::recursive_directory_iterator{folder}) paths.emplace_back(found.path());
    }
    for (const auto& path : paths | std::views::reverse) fs::remove(path);
}

/** A node that is started on records of other nodes, spoiled. */
class Starter
{
public:
    Starter();
    void Run(FuzzedDataProvider& provider);

private:
    Script m_script;
    std::vector<Records> m_samples; //!< what nodes have kept: nothing, in a round, behind two, void, frozen, after a choice
    Records m_records;              //!< those of this input

    fs::path Folder() const { return m_script.m_path_root / fs::PathFromString(m_script.m_folder); }
    void Stop();
    void Clear();
    void Keep();
    void PlayRound(size_t first, size_t last);
    void PlayVerdict(uint32_t count, bool own = false);
    void PlayVoid();
    void PlayFreeze(bool choose);

    const Records& PickSample(FuzzedDataProvider& provider) const { return m_samples[provider.ConsumeIntegralInRange<size_t>(0, m_samples.size() - 1)]; }
    const Records::value_type* Pick(FuzzedDataProvider& provider, const Records& records) const;
    Bytes SpoilValue(FuzzedDataProvider& provider, const Records::value_type& record);
    void Step(FuzzedDataProvider& provider);
    void WriteObject(FuzzedDataProvider& provider);
    void AddRecord(FuzzedDataProvider& provider);
    void Move(FuzzedDataProvider& provider, const Records::value_type& record);
    void WriteRecords() const;
    Seen Start();
    void Use();
};

Starter::Starter()
{
    m_script.m_memory_only = false;
    m_script.m_folder = "store";
    Keep(); // of a node that knows its task alone
    Clear();
    PlayRound(0, 2);
    Keep();
    PlayRound(2, m_script.m_entries.size());
    PlayVerdict(CLAIM);
    PlayVerdict(CLAIM, /*own=*/true);
    assert(m_script.m_manager->SubmitAudit(m_script.m_mined[1].Hash(), {AuditResult::MISMATCH, 2, "auditor"}).reason.empty());
    Keep();
    PlayVoid();
    Keep();
    for (const bool choose : {false, true}) {
        PlayFreeze(choose);
        Keep();
    }
}

/** No node, and none of its files. */
void Starter::Stop()
{
    m_script.m_manager.reset();
    RemoveFolder(Folder());
}

/** An empty folder and a node that is started on it. */
void Starter::Clear()
{
    Stop();
    m_script.Reset();
}

/** Stop the node and take its records for a sample. */
void Starter::Keep()
{
    m_script.m_manager.reset();
    auto& records{m_samples.emplace_back()};
    if (!fs::exists(Folder() / "db")) return;
    CDBWrapper db{{.path = Folder() / "db", .cache_bytes = CACHE_BYTES}};
    const std::unique_ptr<CDBIterator> it{db.NewIterator()};
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
        AllBytes key, value;
        assert(it->GetKey(key) && it->GetValue(value));
        records.emplace(key.bytes, value.bytes);
    }
}

/** Submit entries of the script, and behind each all that is not an entry. */
void Starter::PlayRound(size_t first, size_t last)
{
    if (!m_script.m_manager) m_script.Reset();
    for (size_t i{first}; i < last; ++i) {
        for (const auto& piece : m_script.m_pieces) {
            const bool turn{piece.type != ObjectType::ENTRY || piece.id == m_script.m_entries[i].id};
            if (turn) (void)m_script.SubmitBytes(piece.type, piece.kind, piece.id, piece.bytes);
        }
    }
}

/** A verdict about the winner of the first height. */
void Starter::PlayVerdict(uint32_t count, bool own)
{
    const auto key{m_script.KeyOf(m_script.m_mined[1], m_script.m_log[2])};
    const Verdict verdict{count, SAMPLES - count, "device", own ? INTERNAL_EVALUATOR : "evaluator"};
    assert(own ? m_script.m_manager->SubmitOwnVerdict(key, verdict).reason.empty() : m_script.m_manager->SubmitVerdict(key, verdict).reason.empty());
}

/** A final that claims too much; its body is bad as well, and a second verdict contradicts the first. */
void Starter::PlayVoid()
{
    Clear();
    PlayRound(0, 4);
    m_script.m_locked->RefuseBlock(m_script.m_mined[1].Hash());
    PlayVerdict(CLAIM);
    m_script.m_manager->Start();
    m_script.m_manager->SyncQueue();
    assert(m_script.m_manager->Info().is_void);
    const auto key{m_script.KeyOf(m_script.m_mined[1], m_script.m_log[2])};
    assert(m_script.m_manager->SubmitVerdict(key, {CLAIM - 1, SAMPLES - CLAIM + 1, "device", "liar"}).reason == "podl-verdict-conflict");
}

/** Two finals for one slot, and what the operator does about it. */
void Starter::PlayFreeze(bool choose)
{
    Clear();
    PlayRound(0, 4);
    const auto& final{m_script.m_log[3]};
    const auto other{m_script.Seal(final.time + 1, final.body, final.prev)};
    assert(m_script.Submit(other).reason == "podl-entry-equivocation");
    if (choose) assert(m_script.m_manager->ChooseEntry(other.id).reason.empty());
}

const Records::value_type* Starter::Pick(FuzzedDataProvider& provider, const Records& records) const
{
    if (records.empty()) return nullptr;
    return &*std::next(records.begin(), provider.ConsumeIntegralInRange<size_t>(0, records.size() - 1));
}

/** Entries may be signed again: otherwise only their parser would ever see a change. */
Bytes Starter::SpoilValue(FuzzedDataProvider& provider, const Records::value_type& record)
{
    bool changed;
    const auto type{record.first[0] == 'e' ? ObjectType::ENTRY : ObjectType::DATA};
    return m_script.Spoil(provider, {.type = type, .id = {}, .bytes = record.second}, changed);
}

/** A record of a known table with any key and value. */
void Starter::AddRecord(FuzzedDataProvider& provider)
{
    Bytes key{static_cast<unsigned char>(TABLES[provider.ConsumeIntegralInRange<size_t>(0, TABLES.size() - 1)])};
    const auto rest{provider.ConsumeRandomLengthString(110)};
    key.insert(key.end(), rest.begin(), rest.end());
    const auto value{provider.ConsumeRandomLengthString(2000)};
    m_records[key] = Bytes(value.begin(), value.end());
}

/** The same value under a key that is changed, if it still is one of a known table. */
void Starter::Move(FuzzedDataProvider& provider, const Records::value_type& record)
{
    Bytes key{record.first};
    auto value{record.second};
    m_records.erase(key);
    Edit(provider, key);
    if (!key.empty() && TABLES.find(static_cast<char>(key[0])) != TABLES.npos) m_records[key] = std::move(value);
}

void Starter::Step(FuzzedDataProvider& provider)
{
    const int what{provider.ConsumeIntegralInRange(0, 6)};
    if (what == 0) return AddRecord(provider);
    if (what == 1) return WriteObject(provider);
    const auto* record{Pick(provider, what == 2 ? PickSample(provider) : m_records)};
    if (!record) return;
    switch (what) {
    case 2: m_records.insert_or_assign(record->first, record->second); break;
    case 3: m_records.erase(Bytes{record->first}); break;
    case 4: Move(provider, *record); break;
    default: m_records[record->first] = SpoilValue(provider, *record); break;
    }
}

/** A data object beside the records, as it should be or not. */
void Starter::WriteObject(FuzzedDataProvider& provider)
{
    const auto& piece{m_script.PickPiece(provider)};
    bool changed;
    const auto bytes{m_script.Spoil(provider, piece, changed)};
    fs::create_directories(Folder() / "data");
    std::ofstream file{(Folder() / "data" / fs::PathFromString(KindName(piece.kind) + "-" + HexStr(piece.id))).std_path(), std::ios::binary};
    file.write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void Starter::WriteRecords() const
{
    CDBWrapper db{{.path = Folder() / "db", .cache_bytes = CACHE_BYTES}};
    CDBBatch batch{db};
    for (const auto& [key, value] : m_records) batch.Write(std::span{key}, std::span{value});
    db.WriteBatch(batch);
}

Seen Starter::Start()
{
    auto error{m_script.TryOpen()};
    if (!error.empty()) return {.error = std::move(error)};
    const auto info{m_script.m_manager->Info()};
    return {
        .digest = info.digest, .entries = info.entries, .finals = info.finals, .commitments = info.commitments, .candidates = info.candidates,
        .alarms = info.alarms.size(), .evaluated = info.evaluated, .frozen = info.frozen, .is_void = info.is_void,
    };
}

/** Ask for everything, and let the node go on. */
void Starter::Use()
{
    auto& node{*m_script.m_manager};
    auto chain{std::make_unique<LockedChain>(node)};
    chain->AddConnected(m_script.m_base, FIRST_HEIGHT - 1);
    assert(!node.Attach(std::move(chain)));
    const auto total{node.Entries(0, 0).total};
    for (const auto& entry : node.Entries(0, total).entries) assert(node.IndexOf(entry.id) == entry.index && ParseEntry(entry.bytes));
    for (const auto& mined : m_script.m_mined) (void)node.Audits(mined.Hash());
    for (const auto& piece : m_script.m_pieces) {
        if (piece.type != ObjectType::ENTRY) (void)node.ReadObject(piece.kind, piece.id, 0, piece.bytes.size());
        (void)m_script.SubmitBytes(piece.type, piece.kind, piece.id, piece.bytes);
    }
    node.Start();
    node.SyncQueue();
    (void)node.Wanted();
    (void)node.OwnJobs();
    (void)node.Candidates();
    (void)node.Commitments();
    (void)node.Template(m_script.m_base);
}

void Starter::Run(FuzzedDataProvider& provider)
{
    Clear(); // sets the clock, too
    Stop();
    m_records = PickSample(provider);
    LIMITED_WHILE(provider.remaining_bytes() > 0, 20) Step(provider);
    WriteRecords();

    const auto seen{Start()};
    if (seen.error.empty()) {
        assert(Start() == seen);
        Use();
        const auto digest{m_script.m_manager->Info().digest};
        assert(Start().digest == digest);
    } else {
        assert(seen.error.starts_with("podl-store-corrupt: ") && seen.error.find('\n') == std::string::npos);
        assert(Start() == seen);
        assert(m_script.TryOpen(/*resync=*/true).empty() && m_script.m_manager->Info().entries == 1);
    }
}

Starter* g_starter;

} // namespace

void initialize_podl_store()
{
    static Starter starter;
    g_starter = &starter;
}

FUZZ_TARGET(podl_store, .init = initialize_podl_store)
{
    SeedRandomStateForTest(SeedRand::ZEROS);
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    g_starter->Run(provider);
}
