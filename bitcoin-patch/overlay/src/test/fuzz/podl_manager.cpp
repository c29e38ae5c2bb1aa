// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/entry.h>
#include <podl/manager.h>
#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>
#include <test/fuzz/podl_script.h>
#include <test/fuzz/util.h>
#include <test/util/random.h>
#include <util/time.h>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

Script* g_script;

/** One node, driven by an input. */
class Driver
{
public:
    Driver(Script& script, FuzzedDataProvider& provider) : m_script{script}, m_provider{provider} { m_script.Reset(); }
    ~Driver() { Node().Stop(); }

    void Step();
    /** Every view of the node, and another node that hears of its schedule alone. */
    void Finish();

private:
    Script& m_script;
    FuzzedDataProvider& m_provider;
    bool m_started{false};

    Manager& Node() const { return *m_script.m_manager; }
    void SubmitPiece();
    void SubmitInPieces();
    void SubmitRaw();
    void SubmitVerdict();
    void SubmitAudit();
    void ChangeChain();
    void Work();
    void Look() const;
    void CheckAnswer(ObjectType type, const Bytes& bytes, const Submission& answer, const Submission& again) const;
};

void CheckReason(const Submission& answer)
{
    const bool good{answer.status == SubmitStatus::ACCEPTED || answer.status == SubmitStatus::DUPLICATE};
    assert(good ? answer.reason.empty() : answer.reason.starts_with("podl-"));
}

/** An answer has a reason exactly when it is a refusal, and stays the same. */
void Driver::CheckAnswer(ObjectType type, const Bytes& bytes, const Submission& answer, const Submission& again) const
{
    CheckReason(answer);
    CheckReason(again);
    if (answer.status == SubmitStatus::ACCEPTED) assert(again.status != SubmitStatus::ACCEPTED);
    if (answer.status == SubmitStatus::DUPLICATE) assert(again.status == SubmitStatus::DUPLICATE);
    if (type != ObjectType::ENTRY || answer.status != SubmitStatus::ACCEPTED) return;
    const auto entry{ParseEntry(bytes)};
    assert(entry && Node().IndexOf(entry->id) && Node().GetEntryBytes(entry->id) == bytes);
    assert(again.status == SubmitStatus::DUPLICATE);
}

void Driver::SubmitPiece()
{
    const auto& piece{m_script.PickPiece(m_provider)};
    bool changed;
    const auto bytes{m_script.Spoil(m_provider, piece, changed)};
    const auto answer{m_script.SubmitBytes(piece.type, piece.kind, piece.id, bytes)};
    const auto again{m_script.SubmitBytes(piece.type, piece.kind, piece.id, bytes)};
    CheckAnswer(piece.type, bytes, answer, again);
    const bool data{piece.type == ObjectType::BODY || piece.type == ObjectType::DATA};
    if (data && changed) assert(answer.status != SubmitStatus::ACCEPTED);
    if (data && answer.status == SubmitStatus::ACCEPTED) assert(Node().ReadObject(piece.kind, piece.id, 0, bytes.size()) == bytes);
}

void Driver::SubmitInPieces()
{
    const auto& piece{m_script.PickPiece(m_provider)};
    const uint64_t size{m_provider.ConsumeBool() ? piece.bytes.size() : m_provider.ConsumeIntegral<uint64_t>()};
    uint64_t offset{0};
    LIMITED_WHILE(offset < piece.bytes.size(), 8) {
        const auto length{m_provider.ConsumeIntegralInRange<uint64_t>(1, piece.bytes.size() - offset)};
        const std::span part{piece.bytes.data() + offset, length};
        const auto answer{Node().SubmitPiece(piece.kind, piece.id, size, m_provider.ConsumeBool() ? offset : m_provider.ConsumeIntegral<uint64_t>(), part)};
        CheckReason(answer);
        assert(answer.received <= std::max<uint64_t>(size, piece.bytes.size()));
        offset += length;
    }
}

void Driver::SubmitRaw()
{
    const auto type{ObjectType{m_provider.ConsumeIntegralInRange<uint8_t>(1, 3)}};
    const auto bytes{ConsumeRandomLengthByteVector<unsigned char>(m_provider, 2000)};
    const auto answer{m_script.SubmitBytes(type, ObjectKind::BODY, {}, bytes)};
    CheckAnswer(type, bytes, answer, m_script.SubmitBytes(type, ObjectKind::BODY, {}, bytes));
}

void Driver::SubmitVerdict()
{
    VerdictKey key{m_script.PickMined(m_provider).Key(m_script.m_program, m_script.PickRelease(m_provider).test_root)};
    if (m_provider.ConsumeIntegralInRange(0, 15) == 0) key.program = ConsumeUInt256(m_provider);
    const uint32_t count{m_provider.ConsumeBool() ? 50 : m_provider.ConsumeIntegral<uint32_t>()};
    const uint64_t rank_sum{m_provider.ConsumeBool() ? SAMPLES - count : m_provider.ConsumeIntegral<uint64_t>()};
    const Verdict verdict{count, rank_sum, "device", m_provider.ConsumeRandomLengthString(100)};
    CheckReason(m_provider.ConsumeBool() ? Node().SubmitOwnVerdict(key, verdict) : Node().SubmitVerdict(key, verdict));
}

void Driver::SubmitAudit()
{
    Audit audit{.auditor = m_provider.ConsumeRandomLengthString(100)};
    audit.result = m_provider.PickValueInArray({AuditResult::REPLAYED, AuditResult::MISMATCH, AuditResult::NOT_REPLAYABLE});
    if (audit.result == AuditResult::MISMATCH) audit.epoch = m_provider.ConsumeIntegral<uint32_t>();
    const auto block{m_script.PickMined(m_provider).Hash()};
    CheckReason(Node().SubmitAudit(block, audit));
    (void)Node().Audits(block);
}

void Driver::ChangeChain()
{
    const auto& mined{m_script.PickMined(m_provider)};
    const int what{m_provider.ConsumeIntegralInRange(0, 2)};
    if (what == 0) m_script.m_locked->AddConnected(ConsumeUInt256(m_provider), FIRST_HEIGHT - 1);
    if (what == 1) m_script.m_locked->AddConnected(m_script.m_base, FIRST_HEIGHT - 1);
    if (what == 2) m_script.m_locked->RefuseBlock(mined.Hash());
}

void Driver::Work()
{
    if (!m_started) Node().Start();
    m_started = true;
    Node().SyncQueue();
}

void Driver::Look() const
{
    for (const auto& want : Node().Wanted()) assert(want.type >= 4 && want.type <= 5 && want.size <= want.max_size);
    (void)Node().Limits();
    (void)Node().Commitments();
    (void)Node().Candidates();
    (void)Node().OwnJobs();
    (void)Node().RevealIds();
    for (const auto& mined : m_script.m_mined) (void)Node().Template(mined.Hash());
}

void Driver::Step()
{
    switch (m_provider.ConsumeIntegralInRange(0, 9)) {
    case 0:
    case 1: SubmitPiece(); break;
    case 2: SubmitInPieces(); break;
    case 3: SubmitRaw(); break;
    case 4: SubmitVerdict(); break;
    case 5: SubmitAudit(); break;
    case 6: ChangeChain(); break;
    case 7: SetMockTime(GetTime() + m_provider.ConsumeIntegralInRange<int64_t>(-200'000, 200'000)); break;
    case 8: Work(); break;
    case 9: Look(); break;
    }
    if (m_started) Node().SyncQueue();
}

void Driver::Finish()
{
    Look();
    const auto info{Node().Info()};
    const auto entries{Node().Entries(0, info.entries)};
    assert(entries.total == info.entries && entries.entries.size() == info.entries);
    assert(entries.entries.front().id == Node().ChainId() && entries.entries.back().id == Node().LastEntryId());
    // Whoever has the same entries has the same schedule, whatever else the other node was told.
    uint64_t latest{0};
    for (const auto& entry : entries.entries) latest = std::max(latest, ParseEntry(entry.bytes)->time);
    SetMockTime(static_cast<int64_t>(latest));
    const auto other{m_script.OtherNode()};
    for (const auto& entry : entries.entries) {
        const auto answer{other->SubmitEntry(entry.bytes)};
        assert(answer.status == (entry.index == 0 ? SubmitStatus::DUPLICATE : SubmitStatus::ACCEPTED));
    }
    assert(other->Info().digest == info.digest);
}

} // namespace

void initialize_podl_manager()
{
    static Script script;
    g_script = &script;
}

FUZZ_TARGET(podl_manager, .init = initialize_podl_manager)
{
    SeedRandomStateForTest(SeedRand::ZEROS);
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    Driver driver{*g_script, provider};
    LIMITED_WHILE(provider.remaining_bytes() > 0, 100) driver.Step();
    driver.Finish();
}
