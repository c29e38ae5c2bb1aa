// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/fuzz/podl_script.h>

#include <podl/entry.h>
#include <test/util/common.h>
#include <util/fs.h>
#include <util/time.h>

#include <cassert>
#include <utility>

namespace podl::test {
namespace {

constexpr int64_t CLOCK{1'700'100'000}; // behind all entries
constexpr uint32_t CLAIM{50};

TestOpts WithoutLog() { return {.extra_args = {"-nodebuglogfile", "-nodebug"}}; }

} // namespace

int Edit(FuzzedDataProvider& provider, Bytes& bytes)
{
    const int edits{provider.ConsumeIntegralInRange(0, 4)};
    for (int i{0}; i < edits && !bytes.empty(); ++i) {
        const auto at{provider.ConsumeIntegralInRange<size_t>(0, bytes.size() - 1)};
        const int what{provider.ConsumeIntegralInRange(0, 3)};
        if (what == 0) bytes.erase(bytes.begin() + at);
        if (what == 1) bytes.insert(bytes.begin() + at, provider.ConsumeIntegral<uint8_t>());
        if (what >= 2) bytes[at] = provider.ConsumeIntegral<uint8_t>();
    }
    return edits;
}

Script::Script() : World{/*last_label=*/0, /*stamp_bits=*/0, WithoutLog()}
{
    m_memory_only = true;
    for (uint16_t trial{0}; trial < 3; ++trial) m_mined.push_back(Mine(FIRST_HEIGHT, m_base, trial));
    const auto first{MakeRelease(FIRST_HEIGHT, 0, m_base, {m_mined[0].Hash(), m_mined[1].Hash()})};
    const auto again{MakeRelease(FIRST_HEIGHT, 1, m_base, {m_mined[1].Hash(), m_mined[2].Hash()})};
    MakeFinal(FIRST_HEIGHT, 1, m_mined[1], CLAIM);
    m_mined.push_back(Mine(FIRST_HEIGHT + 1, m_mined[1].Hash()));
    const auto second{MakeRelease(FIRST_HEIGHT + 1, 0, m_mined[1].Hash(), {m_mined[3].Hash()})};
    MakeFinal(FIRST_HEIGHT + 1, 0, m_mined[3], CLAIM);

    for (const auto& entry : m_log) AddPiece(ObjectType::ENTRY, entry.id, entry.bytes);
    m_entries = m_pieces;
    for (const auto& mined : m_mined) AddMined(mined);
    const std::pair<const Entry&, const Mined&> reveals[]{{first, m_mined[0]}, {first, m_mined[1]}, {again, m_mined[1]}, {again, m_mined[2]}, {second, m_mined[3]}};
    for (const auto& [release, mined] : reveals) {
        auto bytes{MakeReveal(mined, release.id, CLAIM)};
        const auto id{*SmallObjectId(ObjectType::REVEAL, bytes)};
        AddPiece(ObjectType::REVEAL, id, std::move(bytes));
    }
    for (size_t i{0}; i < 3; ++i) AddPiece(ObjectType::DATA, DataRoot(m_shards[i]), m_shards[i], ObjectKind::SHARD);
}

void Script::AddMined(const Mined& mined)
{
    const auto& opening{mined.disclosure.opening};
    AddPiece(ObjectType::COMMITMENT, mined.Hash(), HeaderBytes(mined.disclosure.header));
    AddPiece(ObjectType::BODY, mined.Hash(), mined.body);
    AddPiece(ObjectType::DATA, opening.weights_root, mined.weights, ObjectKind::WEIGHTS);
    AddPiece(ObjectType::DATA, opening.model_root, mined.model, ObjectKind::MODEL);
}

const Release& Script::PickRelease(FuzzedDataProvider& provider) const
{
    const size_t wanted{provider.ConsumeIntegralInRange<size_t>(1, 2)};
    return *m_log[provider.ConsumeBool() ? 4 : wanted].AsRelease();
}

void Script::Reset()
{
    SetMockTime(CLOCK);
    CBlockHeader::s_podl_headers = true;
    m_manager.reset();
    const auto data{m_path_root / fs::PathFromString(m_folder) / "data"};
    if (fs::exists(data)) {
        for (const auto& file : fs::directory_iterator{data}) fs::remove(file.path());
    }
    assert(TryOpen().empty());
    auto chain{std::make_unique<LockedChain>(*m_manager)};
    m_locked = chain.get();
    m_locked->AddConnected(m_base, FIRST_HEIGHT - 1);
    assert(!m_manager->Attach(std::move(chain)));
}

std::unique_ptr<Manager> Script::OtherNode()
{
    auto current{std::move(m_manager)};
    const auto folder{std::exchange(m_folder, "other")};
    assert(TryOpen().empty());
    auto chain{std::make_unique<LockedChain>(*m_manager)};
    chain->AddConnected(m_base, FIRST_HEIGHT - 1);
    assert(!m_manager->Attach(std::move(chain)));
    m_folder = folder;
    return std::exchange(m_manager, std::move(current));
}

Bytes Script::SignAgain(FuzzedDataProvider& provider, const Bytes& bytes)
{
    auto entry{ParseEntry(bytes)};
    if (!entry || !provider.ConsumeBool()) return bytes;
    const auto prev{provider.ConsumeBool() && m_manager ? m_manager->LastEntryId() : entry->prev};
    return Seal(entry->time, std::move(entry->body), prev).bytes;
}

Bytes Script::Spoil(FuzzedDataProvider& provider, const Piece& piece, bool& changed)
{
    Bytes bytes{piece.bytes};
    const int edits{Edit(provider, bytes)};
    if (edits > 0 && piece.type == ObjectType::ENTRY) bytes = SignAgain(provider, bytes);
    changed = bytes != piece.bytes;
    return bytes;
}

Submission Script::SubmitBytes(ObjectType type, ObjectKind kind, const uint256& id, const Bytes& bytes)
{
    if (type == ObjectType::ENTRY) return m_manager->SubmitEntry(bytes);
    if (type == ObjectType::COMMITMENT) return m_manager->SubmitCommitment(bytes);
    if (type == ObjectType::REVEAL) return m_manager->SubmitReveal(bytes);
    return m_manager->AddObject(kind, id, bytes);
}

} // namespace podl::test
