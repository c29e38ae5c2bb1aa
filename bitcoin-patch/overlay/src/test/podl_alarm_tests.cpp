// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/merkle.h>
#include <test/podl_alarm_setup.h>
#include <test/podl_full_disk.h>
#include <util/strencodings.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/** What stops a schedule, and what does not survive a start. */

using namespace podl;
using namespace podl::test;

namespace {

/** A second attempt with a candidate that is measured as better than the one to be named. */
struct PassedOverSetup : AlarmSetup {
    Mined m_better{Mine(FIRST_HEIGHT, m_base, 6)};

    PassedOverSetup()
    {
        const auto second{MakeRelease(FIRST_HEIGHT, 1, m_base, {m_better.Hash(), m_mined.Hash()})};
        Accept(second);
        for (const auto& [mined, count] : {std::pair{m_better, 60U}, std::pair{m_mined, 50U}}) {
            BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(mined, second.id, count)).status == SubmitStatus::ACCEPTED);
            AddData(mined);
            BOOST_CHECK_EQUAL(m_manager->SubmitVerdict(KeyOf(mined, second), {count, SAMPLES - count, "", ""}).reason, "");
        }
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_alarm_tests, AlarmSetup)

BOOST_AUTO_TEST_CASE(equivocation_freezes)
{
    const auto final{MakeFinal(FIRST_HEIGHT, 0, m_mined, 50)};
    Accept(final);
    auto other{*final.AsFinal()};
    other.replayed = false;
    // Without the requester's signature it is no evidence.
    auto forged{Seal(final.time, other, m_release.id)};
    forged.sig[0] ^= 1;
    SealEntry(forged);
    BOOST_CHECK_EQUAL(Submit(forged).reason, "podl-entry-badsig");
    BOOST_CHECK(!m_manager->Info().frozen);

    const auto contradiction{Seal(final.time, other, m_release.id)};
    const auto result{Submit(contradiction)};
    BOOST_CHECK(result.status == SubmitStatus::REFUSED && result.cls == FailureClass::EVIDENCE);
    BOOST_CHECK_EQUAL(result.reason, "podl-entry-equivocation");
    BOOST_CHECK_EQUAL(Submit(contradiction).reason, "podl-entry-equivocation");
    const auto next{MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {m_mined.Hash()})};
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        const auto info{m_manager->Info()};
        BOOST_CHECK(info.frozen && info.finals == 1);
        BOOST_REQUIRE_EQUAL(info.alarms.size(), 1U);
        BOOST_CHECK(info.alarms[0].ids == Names({HexStr(final.id), HexStr(contradiction.id)}));
        BOOST_CHECK_EQUAL(Submit(next).reason, "podl-schedule-frozen");
    }
    // The accepted final stays, but its block does not connect.
    BOOST_CHECK(Admits(m_mined, FIRST_HEIGHT));
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::DATA);
}

BOOST_AUTO_TEST_CASE(deep_evidence_only_warns)
{
    auto prev{m_mined};
    Accept(MakeFinal(FIRST_HEIGHT, 0, prev, 50));
    for (uint32_t height{FIRST_HEIGHT + 1}; height < FIRST_HEIGHT + 7; ++height) {
        const auto mined{Mine(height, prev.Hash())};
        Accept(MakeRelease(height, 0, prev.Hash(), {mined.Hash()}));
        Accept(MakeFinal(height, 0, mined, 50));
        prev = mined;
    }
    auto other{*m_log[2].AsFinal()};
    other.replayed = false;
    BOOST_CHECK_EQUAL(Submit(Seal(m_log[2].time, other, m_release.id)).reason, "podl-entry-equivocation");
    BOOST_CHECK(!m_manager->Info().frozen);
    BOOST_CHECK(Alarms() == Names({"podl-entry-equivocation"}));
    auto later{*m_log[4].AsFinal()};
    later.replayed = false;
    BOOST_CHECK_EQUAL(Submit(Seal(m_log[4].time, later, m_log[3].id)).reason, "podl-entry-equivocation");
    BOOST_CHECK(m_manager->Info().frozen);
    // Heights below the frozen one still connect.
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::CONNECTED);
}

BOOST_AUTO_TEST_CASE(false_claim_in_a_final)
{
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    BOOST_CHECK(Admits(m_mined, FIRST_HEIGHT));
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    CheckVoid("podl-claim-mismatch");
}

BOOST_AUTO_TEST_CASE(verdict_known_before_the_final)
{
    BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(m_mined, m_release.id, 50)).status == SubmitStatus::ACCEPTED);
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    CheckVoid("podl-claim-mismatch");
}

BOOST_AUTO_TEST_CASE(model_out_of_range)
{
    m_mined.model.back() = 0x7f;
    auto& [header, opening, recipe, payout]{m_mined.disclosure};
    opening.model_root = DataRoot(m_mined.model);
    header.hashModel = opening.GetHash();
    const auto release{MakeRelease(FIRST_HEIGHT, 1, m_base, {m_mined.Hash()})};
    Accept(release);
    Accept(MakeFinal(FIRST_HEIGHT, 1, m_mined, 50));
    const auto wanted{[&] { return std::ranges::count(m_manager->Wanted(), ObjectKind::MODEL, &Want::kind); }};
    BOOST_CHECK_EQUAL(wanted(), 1);
    BOOST_CHECK_EQUAL(m_manager->AddObject(ObjectKind::MODEL, opening.model_root, m_mined.model).reason, "podl-model-range");
    BOOST_CHECK(Alarms() == Names({"podl-model-range"}));
    BOOST_CHECK_EQUAL(wanted(), 0);
}

BOOST_AUTO_TEST_CASE(signed_nonsense)
{
    const auto stranger{Mine(FIRST_HEIGHT, m_base)};
    const auto result{Submit(MakeFinal(FIRST_HEIGHT, 0, stranger, 50))};
    BOOST_CHECK(result.cls == FailureClass::EVIDENCE && result.status == SubmitStatus::REFUSED);
    BOOST_CHECK_EQUAL(result.reason + " " + result.detail, "podl-final-invalid podl-not-committed");
    BOOST_CHECK(Alarms() == Names({"podl-final-invalid"}));
    BOOST_CHECK(!m_manager->Info().frozen);
}

BOOST_AUTO_TEST_CASE(conflicting_verdicts_hold_the_block)
{
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    const auto second{Verdict(51)};
    BOOST_CHECK(second.reason == "podl-verdict-conflict" && second.cls == FailureClass::EVIDENCE);
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        BOOST_CHECK(Alarms() == Names({"podl-verdict-conflict"}));
        BOOST_CHECK(!m_manager->Info().frozen && m_manager->Info().evaluated == 0);
    }
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::DATA);
}

BOOST_AUTO_TEST_CASE(conflicting_verdicts_prove_nothing)
{
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(51).reason, "");
    BOOST_CHECK(m_manager->Info().is_void);
    BOOST_CHECK_EQUAL(Verdict(50).reason, "podl-verdict-conflict");
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        BOOST_CHECK(Alarms() == Names({"podl-claim-mismatch", "podl-verdict-conflict"}));
        BOOST_CHECK(!m_manager->Info().is_void && m_manager->Info().evaluated == 0);
        BOOST_CHECK(Admits(m_mined, FIRST_HEIGHT));
    }
}

BOOST_AUTO_TEST_CASE(coinbase_that_pays_another)
{
    // The committed header belongs to a block that pays someone else than the opening says.
    auto mined{Mine(FIRST_HEIGHT, m_base, 5)};
    PayAnother(mined);
    const auto second{MakeRelease(FIRST_HEIGHT, 1, m_base, {mined.Hash(), m_mined.Hash()})};
    Accept(second);
    BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(mined, second.id, 50)).status == SubmitStatus::ACCEPTED);
    const auto result{m_manager->AddObject(ObjectKind::BODY, mined.Hash(), mined.body)};
    BOOST_CHECK(result.reason == "podl-payout" && result.cls == FailureClass::PERM);
    BOOST_CHECK_EQUAL(StateOf(mined), "invalid podl-payout");
    BOOST_CHECK(Alarms().empty()); // a miner's fault alone is none
    Accept(MakeFinal(FIRST_HEIGHT, 1, mined, 50));
    m_mined = mined;
    CheckVoid("podl-payout");
}

BOOST_AUTO_TEST_CASE(coinbase_of_a_model_named_like_a_block)
{
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    // The root that the opening names is the hash of the block below: no one can have that model, and no verdict needs it.
    auto thief{Mine(FIRST_HEIGHT + 1, m_mined.Hash())};
    thief.disclosure.opening.model_root = m_mined.Hash();
    PayAnother(thief);
    const auto release{MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {thief.Hash()})};
    Accept(release);
    Accept(MakeFinal(FIRST_HEIGHT + 1, 0, thief, 50));
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    BOOST_CHECK_EQUAL(m_manager->SubmitVerdict(KeyOf(thief, release), {50, SAMPLES - 50, "", ""}).reason, "");
    m_chain->m_blocks[thief.Hash()] = {FIRST_HEIGHT + 1, ChainLink::BlockState::DATA, ParseBody(thief.body)};
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::CONNECTED);
    BOOST_CHECK(m_chain->StateOf(thief.Hash()) == ChainLink::BlockState::DATA);
    BOOST_CHECK(Alarms() == Names({"podl-payout"}));
}

BOOST_AUTO_TEST_CASE(refused_by_validation)
{
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    m_chain->m_refusals[m_mined.Hash()] = "bad-cb-amount";
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::FAILED);
    CheckVoid("bad-cb-amount");
}

BOOST_AUTO_TEST_CASE(invalidated_by_the_operator)
{
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    m_chain->m_blocks[m_mined.Hash()] = {FIRST_HEIGHT, ChainLink::BlockState::FAILED, nullptr};
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK(Alarms().empty() && !m_manager->Info().frozen);
}

BOOST_FIXTURE_TEST_CASE(better_candidate_was_passed_over, PassedOverSetup)
{
    Accept(MakeFinal(FIRST_HEIGHT, 1, m_mined, 50));
    BOOST_CHECK(Alarms() == Names({"podl-final-suboptimal"}));
    const auto alarm{m_manager->Info().alarms.at(0)};
    BOOST_CHECK(alarm.ids == Names({HexStr(m_log.back().id), m_mined.Hash().GetHex(), m_better.Hash().GetHex()}));
    BOOST_CHECK(alarm.detail.find("60 correct (rank sum 4) is better than the named one with 50") != std::string::npos);
    BOOST_CHECK(!m_manager->Info().frozen);
}

BOOST_FIXTURE_TEST_CASE(better_candidate_was_skipped_with_a_reason, PassedOverSetup)
{
    const auto silent{MakeFinal(FIRST_HEIGHT, 1, m_mined, 50)};
    m_log.pop_back();
    auto final{*silent.AsFinal()};
    final.skipped.push_back({.list_index = 0, .reason = 1});
    Accept(Seal(silent.time, final));
    BOOST_CHECK(Alarms().empty());
}

BOOST_FIXTURE_TEST_CASE(malformed_shard, BadShardSetup)
{
    {
        const test::FullDisk full{1};
        const auto unwritten{m_manager->AddObject(ObjectKind::SHARD, m_release.AsRelease()->test_root, m_shards[0])};
        BOOST_CHECK(unwritten.status == SubmitStatus::LATER && unwritten.reason == "podl-store-error" && Alarms().empty());
    }
    const auto result{m_manager->AddObject(ObjectKind::SHARD, m_release.AsRelease()->test_root, m_shards[0])};
    BOOST_CHECK(result.reason == "podl-shard-label" && result.cls == FailureClass::PERM);
    BOOST_CHECK(Alarms() == Names({"podl-shard-label"}));
    BOOST_CHECK(m_manager->Wanted().empty()); // the same bytes would come again and again
    BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(m_mined, m_release.id, 50)).status == SubmitStatus::ACCEPTED);
    BOOST_CHECK_EQUAL(std::ranges::count(m_manager->Wanted(), ObjectKind::SHARD, &Want::kind), 1); // a new namer might use them
    BOOST_CHECK(!m_manager->Info().frozen); // the next attempt opens another shard
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    CheckVoid("podl-shard-label");
}

BOOST_AUTO_TEST_CASE(starts_that_are_refused)
{
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    BOOST_CHECK_EQUAL(TryOpen(false, FIRST_HEIGHT + 1), "-podltask: the task's first height is 10, -podlheight is 11");
    const auto task{m_first};
    m_first.bytes.back() ^= 1;
    BOOST_CHECK(TryOpen().starts_with("-podltask: podl-entry-badsig"));
    m_first = task;

    // The chain has a block of a height whose final is gone.
    BOOST_CHECK_EQUAL(TryOpen(/*resync=*/true), "");
    const auto attach{[&] {
        auto chain{std::make_unique<FakeChain>(*m_manager)};
        chain->AddConnected(m_mined.Hash(), FIRST_HEIGHT);
        return m_manager->Attach(std::move(chain));
    }};
    BOOST_CHECK(!attach());
    BOOST_CHECK_EQUAL(TryOpen(), "");
    BOOST_CHECK(!attach()); // still fetching
    for (size_t i{1}; i < m_log.size(); ++i) m_manager->SubmitEntry(m_log[i].bytes);
    BOOST_CHECK_EQUAL(m_manager->Info().finals, 0U); // the release's block is below this chain's tip: unknown here
    m_manager.reset();
    for (const auto& file : fs::directory_iterator{m_path_root / "podl" / "db"}) fs::remove(file.path());
    BOOST_CHECK_EQUAL(TryOpen(), "");
    const auto problem{attach()};
    BOOST_REQUIRE(problem);
    BOOST_CHECK(problem->find("-podlresync") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(ordinary_blocks_where_podl_blocks_belong)
{
    // Nothing is lost that peers could give back.
    for (const bool resync : {false, true}) {
        BOOST_CHECK_EQUAL(TryOpen(resync), "");
        auto chain{std::make_unique<FakeChain>(*m_manager)};
        chain->m_tip = {FIRST_HEIGHT - 1, m_rng.rand256(), /*legacy=*/true};
        auto above{std::make_unique<FakeChain>(*m_manager)};
        above->m_tip = {FIRST_HEIGHT, m_rng.rand256(), /*legacy=*/true};
        const auto problem{m_manager->Attach(std::move(above))};
        BOOST_REQUIRE(problem);
        BOOST_CHECK(problem->find("use another data directory") != std::string::npos);
        BOOST_CHECK(!m_manager->Attach(std::move(chain)));
    }
}

BOOST_AUTO_TEST_CASE(damaged_store)
{
    m_manager.reset();
    const auto db{m_path_root / "podl" / "db"};
    for (const auto& file : fs::directory_iterator{db}) {
        if (file.path().extension() == ".log" || file.path().extension() == ".ldb") fs::resize_file(file.path(), fs::file_size(file.path()) / 2);
    }
    const auto problem{TryOpen()};
    // LevelDB drops a torn tail by itself; what is left must then be a shorter schedule.
    BOOST_CHECK(problem.empty() ? m_manager->Info().entries < 2 : problem.find("podl-store-") != std::string::npos);
    BOOST_CHECK_EQUAL(TryOpen(/*resync=*/true), "");
    BOOST_CHECK_EQUAL(m_manager->Info().entries, 1U);
}

BOOST_AUTO_TEST_SUITE_END()
