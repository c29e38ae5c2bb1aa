// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/objects.h>
#include <podl/params.h>
#include <podl/store.h>

#include <dbwrapper.h>
#include <test/podl_full_disk.h>
#include <test/util/setup_common.h>
#include <util/fs.h>

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

using namespace podl;

namespace {

struct StoreSetup : BasicTestingSetup {
    const fs::path m_dir{m_path_root / "podl"};

    std::unique_ptr<Store> Open(bool wipe = false)
    {
        auto store{Store::Open(m_dir / "db", /*memory_only=*/false, wipe)};
        BOOST_REQUIRE_MESSAGE(store, (store ? "" : store.error()));
        return std::move(*store);
    }

    /** Write a record behind the store's back. */
    template <typename V>
    void Overwrite(const std::vector<unsigned char>& key, const V& value)
    {
        CDBWrapper db{{.path = m_dir / "db", .cache_bytes = 1 << 20}};
        CDBBatch batch{db};
        batch.Write(std::span{key}, value);
        db.WriteBatch(batch, /*fSync=*/true);
    }

    std::string LoadError()
    {
        const auto loaded{Open()->Load()};
        return loaded ? "" : loaded.error();
    }
};

VerdictKey SomeKey(FastRandomContext& rng) { return {1, rng.rand256(), rng.rand256(), rng.rand256()}; }

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_store_tests, StoreSetup)

BOOST_AUTO_TEST_CASE(everything_survives_a_restart)
{
    const auto key{SomeKey(m_rng)}, conflict{SomeKey(m_rng)};
    const uint256 id{m_rng.rand256()};
    {
        auto store{Open()};
        // More than 256, so that the order of the keys matters in two bytes.
        for (uint32_t i{0}; i < 300; ++i) BOOST_REQUIRE(store->WriteEntry(i, Bytes(1 + i % 7, static_cast<unsigned char>(i))));
        BOOST_REQUIRE(store->WriteVerdict(key, {{40, 24, "cpu", "one"}, 77}));
        BOOST_REQUIRE(store->WriteConfirmation(key, {{40, 24, "C++", "internal"}, 78}));
        BOOST_REQUIRE(store->WriteConflict(conflict));
        BOOST_REQUIRE(store->WriteFault(id, "podl-payout"));
        BOOST_REQUIRE(store->WriteAlarm(0, {"podl-x", "detail", 5, {"aa", "bb"}}));
        BOOST_REQUIRE(store->WriteFreeze({3, id, key.program}));
        BOOST_REQUIRE(store->WriteCommitment(0, {id, Bytes(112, 1), 9}));
        BOOST_REQUIRE(store->WriteReveal(id, Bytes{1, 2, 3}));
        BOOST_REQUIRE(store->WriteResyncing(true));
    }
    const auto state{Open()->Load()};
    BOOST_REQUIRE(state);
    BOOST_REQUIRE_EQUAL(state->entries.size(), 300U);
    for (uint32_t i{0}; i < 300; ++i) BOOST_REQUIRE(state->entries[i] == Bytes(1 + i % 7, static_cast<unsigned char>(i)));
    BOOST_REQUIRE_EQUAL(state->verdicts.size(), 1U);
    const auto& verdict{state->verdicts.at(key)};
    BOOST_CHECK(verdict.verdict.count == 40 && verdict.verdict.rank_sum == 24 && verdict.verdict.device == "cpu" && verdict.verdict.evaluator == "one" && verdict.time == 77);
    BOOST_REQUIRE_EQUAL(state->confirmations.size(), 1U);
    BOOST_CHECK(state->confirmations.at(key).verdict.evaluator == "internal" && state->confirmations.at(key).time == 78);
    BOOST_CHECK(state->conflicts == std::set{conflict});
    BOOST_CHECK_EQUAL(state->faults.at(id), "podl-payout");
    BOOST_REQUIRE_EQUAL(state->alarms.size(), 1U);
    BOOST_CHECK(state->alarms[0].reason == "podl-x" && state->alarms[0].detail == "detail" && state->alarms[0].time == 5 && state->alarms[0].ids.size() == 2);
    BOOST_CHECK(state->freeze && state->freeze->slot == 3 && state->freeze->accepted == id && state->freeze->other == key.program);
    BOOST_REQUIRE_EQUAL(state->commitments.size(), 1U);
    BOOST_CHECK(state->commitments[0].hash == id && state->commitments[0].time == 9 && state->commitments[0].bytes == Bytes(112, 1));
    BOOST_CHECK(state->reveals == std::vector<Bytes>({{1, 2, 3}}));
    BOOST_CHECK(state->resyncing);
}

BOOST_AUTO_TEST_CASE(clearing_and_wiping)
{
    const uint256 kept{m_rng.rand256()}, erased{m_rng.rand256()};
    {
        auto store{Open()};
        BOOST_REQUIRE(store->WriteEntry(0, Bytes{1}));
        for (uint32_t i{0}; i < 5; ++i) BOOST_REQUIRE(store->WriteCommitment(i, {m_rng.rand256(), {}, i}));
        BOOST_REQUIRE(store->WriteReveal(kept, Bytes{1}) && store->WriteReveal(erased, Bytes{2}));
        BOOST_REQUIRE(store->EraseReveal(erased));
        BOOST_REQUIRE(store->ClearCommitments());
        const auto state{store->Load()};
        BOOST_REQUIRE(state);
        BOOST_CHECK(state->commitments.empty());
        BOOST_CHECK(state->reveals == std::vector<Bytes>({{1}}));
        BOOST_REQUIRE(store->ClearReveals());
        BOOST_CHECK(store->Load()->reveals.empty());
        BOOST_CHECK_EQUAL(store->Load()->entries.size(), 1U);
    }
    BOOST_CHECK(Open(/*wipe=*/true)->Load()->entries.empty());
}

BOOST_AUTO_TEST_CASE(what_follows_a_torn_write_survives)
{
    {
        auto store{Open()};
        BOOST_REQUIRE(store->WriteEntry(0, Bytes(1000, 1)));
        {
            const test::FullDisk full{1500};
            BOOST_CHECK(!store->WriteEntry(1, Bytes(1000, 2)));
            BOOST_CHECK(!store->ReadAudits(uint256::ONE));
        }
        for (uint32_t i{1}; i < 50; ++i) BOOST_REQUIRE(store->WriteEntry(i, Bytes(1000, static_cast<unsigned char>(i))));
        BOOST_CHECK(store->ReadAudits(uint256::ONE));
    }
    const auto state{Open()->Load()};
    BOOST_REQUIRE(state);
    BOOST_REQUIRE_EQUAL(state->entries.size(), 50U);
    for (uint32_t i{1}; i < 50; ++i) BOOST_REQUIRE(state->entries[i] == Bytes(1000, static_cast<unsigned char>(i)));
}

BOOST_AUTO_TEST_CASE(audits_by_block)
{
    auto store{Open()};
    const uint256 block{m_rng.rand256()};
    BOOST_REQUIRE(store->WriteAudit(block, {AuditResult::REPLAYED, std::nullopt, "ann"}));
    BOOST_REQUIRE(store->WriteAudit(block, {AuditResult::MISMATCH, 3, "bob"}));
    BOOST_REQUIRE(store->WriteAudit(m_rng.rand256(), {AuditResult::NOT_REPLAYABLE, std::nullopt, "ann"}));
    BOOST_REQUIRE(store->WriteAudit(block, {AuditResult::NOT_REPLAYABLE, std::nullopt, "ann"}));
    const auto audits{store->ReadAudits(block)};
    BOOST_REQUIRE(audits && audits->size() == 2);
    BOOST_CHECK(audits->at(0).auditor == "ann" && audits->at(0).result == AuditResult::NOT_REPLAYABLE && !audits->at(0).epoch);
    BOOST_CHECK(audits->at(1).auditor == "bob" && audits->at(1).result == AuditResult::MISMATCH && audits->at(1).epoch == 3U);
    BOOST_CHECK(store->ReadAudits(m_rng.rand256())->empty());
}

BOOST_AUTO_TEST_CASE(damaged_records_are_named)
{
    {
        auto store{Open()};
        BOOST_REQUIRE(store->WriteVerdict(SomeKey(m_rng), {{1, 2, "d", "e"}, 3}));
        BOOST_REQUIRE(store->WriteEntry(0, Bytes{1}));
    }
    BOOST_CHECK_EQUAL(LoadError(), "");
    // A hole in the entries.
    Overwrite({'e', 0, 0, 0, 2}, uint8_t{1});
    BOOST_CHECK_EQUAL(LoadError(), "podl-store-corrupt: record 6500000002 of table 'e'");
    Overwrite({'e', 0, 0, 0, 1}, uint8_t{1});
    BOOST_CHECK_EQUAL(LoadError(), "");
    // A truncated fault, one with bytes too many, one with a short key.
    const std::vector<unsigned char> fault_key{'f', 1, 2};
    Overwrite(fault_key, std::string{"reason"});
    BOOST_CHECK_EQUAL(LoadError(), "podl-store-corrupt: record 660102 of table 'f'");
    Open(/*wipe=*/true);
    Overwrite({'z'}, uint32_t{7});
    BOOST_CHECK_EQUAL(LoadError(), "podl-store-corrupt: record 7a of table 'z'");
    Open(/*wipe=*/true);
    Overwrite({'s'}, uint16_t{1});
    BOOST_CHECK_EQUAL(LoadError(), "podl-store-corrupt: record 73 of table 's'");
}

BOOST_AUTO_TEST_CASE(folder_that_is_a_file)
{
    fs::create_directories(m_dir);
    std::ofstream{(m_dir / "db").std_path()} << "no folder";
    const auto store{Store::Open(m_dir / "db", /*memory_only=*/false, /*wipe=*/false)};
    BOOST_REQUIRE(!store);
    BOOST_CHECK(store.error().starts_with("podl-store-open: "));
}

BOOST_AUTO_TEST_CASE(object_files)
{
    const ObjectId id{ObjectKind::WEIGHTS, m_rng.rand256()};
    const auto bytes{m_rng.randbytes(1000)};
    {
        ObjectFiles files{m_dir / "data"};
        BOOST_CHECK(!files.Has(id));
        BOOST_REQUIRE(files.WriteFile(id, bytes));
        files.Add(id, bytes.size());
        std::ofstream{(m_dir / "data" / "weights-00.1.tmp").std_path()} << "half";
    }
    ObjectFiles files{m_dir / "data"};
    BOOST_REQUIRE_EQUAL(files.All().size(), 1U);
    BOOST_CHECK(files.Size(id) == 1000U);
    BOOST_CHECK(!fs::exists(m_dir / "data" / "weights-00.1.tmp"));
    BOOST_CHECK(files.ReadFile(id, 0, 5000) == bytes);
    BOOST_CHECK(files.ReadFile(id, 990, 5) == Bytes(bytes.begin() + 990, bytes.begin() + 995));
    BOOST_CHECK(files.ReadFile(id, 1000, 1) == Bytes{});
    BOOST_CHECK(!files.ReadFile(id, 1001, 1));
    BOOST_CHECK(!files.ReadFile({ObjectKind::MODEL, id.hash}, 0, 1));
    files.Remove(id);
    BOOST_CHECK(!files.Has(id) && !files.ReadFile(id, 0, 1));
    files.Remove(id); // nothing left to remove is no error
}

BOOST_AUTO_TEST_CASE(params_are_remembered)
{
    const uint256 chain{m_rng.rand256()};
    BOOST_CHECK(!HasParams(m_dir));
    BOOST_CHECK(!CheckParams(m_dir, chain, 10));
    BOOST_CHECK(HasParams(m_dir));
    BOOST_CHECK(!CheckParams(m_dir, chain, 10));
    for (const auto& problem : {CheckParams(m_dir, chain, 11), CheckParams(m_dir, m_rng.rand256(), 10)}) {
        BOOST_REQUIRE(problem);
        BOOST_CHECK(problem->starts_with("The data directory belongs to another PoDL chain (podlheight=10 chain_id="));
        BOOST_CHECK(problem->find('\n') == std::string::npos);
    }
}

BOOST_AUTO_TEST_SUITE_END()
