// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_alarm_setup.h>
#include <test/podl_full_disk.h>
#include <util/strencodings.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/** The operator's way out of a frozen schedule. */

using namespace podl;
using namespace podl::test;

namespace {

struct ChoiceSetup : AlarmSetup {
    Mined m_second; //!< also listed
    Entry m_final;  //!< names m_mined, accepted
    Entry m_other;  //!< for the same slot, names m_second

    ChoiceSetup()
    {
        m_second = Mine(FIRST_HEIGHT, m_base, 2);
        m_release = MakeRelease(FIRST_HEIGHT, 1, m_base, {m_mined.Hash(), m_second.Hash()});
        Accept(m_release);
        m_other = MakeFinal(FIRST_HEIGHT, 1, m_second, 40);
        m_log.pop_back();
        m_final = MakeFinal(FIRST_HEIGHT, 1, m_mined, 50);
        Accept(m_final);
    }

    void Freeze()
    {
        BOOST_CHECK_EQUAL(Submit(m_other).reason, "podl-entry-equivocation");
        BOOST_REQUIRE(m_manager->Info().frozen);
    }

    void Judge(const Mined& mined, uint32_t count)
    {
        AddData(mined);
        BOOST_CHECK_EQUAL(m_manager->SubmitVerdict(KeyOf(mined, m_release), {count, SAMPLES - count, "", ""}).reason, "");
    }

    void Work()
    {
        m_manager->Start();
        m_manager->SyncQueue();
    }

    bool IsConnected(const Mined& mined) { return m_chain->StateOf(mined.Hash()) == ChainLink::BlockState::CONNECTED; }

    void CheckChosen(const Entry& chosen, const Entry& other)
    {
        for (const bool restarted : {false, true}) {
            if (restarted) OpenManager();
            BOOST_CHECK(!m_manager->Info().frozen && m_manager->Info().digest == chosen.id);
            const auto result{Submit(other)};
            BOOST_CHECK(result.status == SubmitStatus::REFUSED && result.reason == "podl-entry-not-chosen");
            BOOST_CHECK_EQUAL(Submit(Seal(other.time, Shards{}, other.id)).reason, "podl-entry-not-chosen");
            BOOST_CHECK(Alarms() == Names({"podl-entry-equivocation"}));
        }
    }
};

/** A round with two losers, one measured and one found bad, whose bytes are gone; then the node is started anew. */
struct LoserSetup : AlarmSetup {
    Mined m_loser{Mine(FIRST_HEIGHT, m_base, 2)};
    Mined m_bad{Mine(FIRST_HEIGHT, m_base, 3)};

    LoserSetup()
    {
        PayAnother(m_bad);
        m_release = MakeRelease(FIRST_HEIGHT, 1, m_base, {m_mined.Hash(), m_loser.Hash(), m_bad.Hash()});
        Accept(m_release);
        for (const auto* mined : {&m_mined, &m_loser, &m_bad}) BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(*mined, m_release.id, 40)).status == SubmitStatus::ACCEPTED);
        BOOST_REQUIRE_EQUAL(m_manager->AddObject(ObjectKind::BODY, m_bad.Hash(), m_bad.body).reason, "podl-payout");
        for (const auto* mined : {&m_mined, &m_loser}) {
            AddData(*mined);
            BOOST_REQUIRE_EQUAL(m_manager->SubmitVerdict(KeyOf(*mined, m_release), {40, SAMPLES - 40, "", ""}).reason, "");
        }
    }

    /** The final of the winner is accepted, and another one is chosen instead. */
    void Choose(const Mined& mined)
    {
        const auto other{MakeFinal(FIRST_HEIGHT, 1, mined, 40)};
        m_log.pop_back();
        Accept(MakeFinal(FIRST_HEIGHT, 1, m_mined, 40));
        BOOST_CHECK(!m_manager->ObjectSize(ObjectKind::WEIGHTS, mined.disclosure.opening.weights_root));
        OpenManager();
        BOOST_CHECK_EQUAL(Submit(other).reason, "podl-entry-equivocation");
        BOOST_CHECK_EQUAL(m_manager->ChooseEntry(other.id).reason, "");
        m_manager->Start();
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_choice_tests, ChoiceSetup)

BOOST_AUTO_TEST_CASE(nothing_to_choose)
{
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(m_final.id).reason, "podl-choice-none");
    Freeze();
    const auto result{m_manager->ChooseEntry(m_release.id)};
    BOOST_CHECK(result.status == SubmitStatus::REFUSED && result.reason == "podl-choice-unknown");
    BOOST_CHECK(result.detail.find(HexStr(m_final.id)) != std::string::npos && result.detail.find(HexStr(m_other.id)) != std::string::npos);
    BOOST_CHECK(m_manager->Info().frozen);
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(m_final.id).reason, "");
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(m_final.id).reason, "podl-choice-none");
}

BOOST_AUTO_TEST_CASE(the_accepted_entry)
{
    Freeze();
    Judge(m_mined, 50);
    Work();
    BOOST_CHECK(!IsConnected(m_mined));
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(m_final.id).reason, "");
    m_manager->SyncQueue();
    BOOST_CHECK(IsConnected(m_mined));
    CheckChosen(m_final, m_other);
    Accept(MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {Mine(FIRST_HEIGHT + 1, m_mined.Hash()).Hash()}));
    // A third entry for the slot is new evidence.
    BOOST_CHECK_EQUAL(Submit(Seal(m_other.time + 1, *m_other.AsFinal(), m_release.id)).reason, "podl-entry-equivocation");
    BOOST_CHECK(m_manager->Info().frozen);
}

BOOST_AUTO_TEST_CASE(the_other_entry)
{
    Judge(m_mined, 50);
    Work();
    BOOST_REQUIRE(IsConnected(m_mined));
    Freeze();
    BOOST_CHECK(IsConnected(m_mined)); // what was accepted stays until somebody chooses
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(m_other.id).reason, "");
    m_manager->SyncQueue();
    BOOST_CHECK(!IsConnected(m_mined) && m_chain->GetTip()->hash == m_base);
    BOOST_CHECK(Admits(m_second, FIRST_HEIGHT) && !Admits(m_mined, FIRST_HEIGHT));
    Judge(m_second, 40);
    m_manager->SyncQueue();
    BOOST_CHECK(IsConnected(m_second) && m_chain->GetTip()->hash == m_second.Hash());
    CheckChosen(m_other, m_final);
}

BOOST_AUTO_TEST_CASE(evidence_of_a_lower_slot)
{
    const auto behind{MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {Mine(FIRST_HEIGHT + 1, m_mined.Hash()).Hash()})};
    Accept(behind);
    BOOST_CHECK_EQUAL(Submit(Seal(behind.time + 1, *behind.AsRelease(), m_final.id)).reason, "podl-entry-equivocation");
    Freeze();
    Judge(m_mined, 50);
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        Work();
        BOOST_CHECK(!IsConnected(m_mined)); // as on a node that had this evidence first
    }
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(behind.id).reason, "podl-choice-unknown");
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(m_other.id).reason, "");
    BOOST_CHECK(m_manager->Info().digest == m_other.id && !m_manager->Info().frozen);
}

BOOST_AUTO_TEST_CASE(what_was_accepted_behind_the_slot_goes)
{
    Judge(m_mined, 50);
    const auto next{Mine(FIRST_HEIGHT + 1, m_mined.Hash())};
    const auto above{MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {next.Hash()})};
    Accept(above);
    Accept(MakeFinal(FIRST_HEIGHT + 1, 0, next, 50));
    AddData(next);
    BOOST_CHECK_EQUAL(m_manager->SubmitVerdict(KeyOf(next, above), {50, SAMPLES - 50, "", ""}).reason, "");
    Work();
    BOOST_REQUIRE(IsConnected(m_mined) && IsConnected(next));
    // The slot is that of the release, below both finals.
    auto body{*m_release.AsRelease()};
    body.list = {m_second.Hash()};
    const auto contradiction{Seal(m_release.time, body, m_log[1].id)};
    BOOST_CHECK_EQUAL(Submit(contradiction).reason, "podl-entry-equivocation");
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(contradiction.id).reason, "");
    BOOST_CHECK_EQUAL(m_manager->Info().entries, 3U);
    BOOST_CHECK_EQUAL(m_manager->Info().height, FIRST_HEIGHT);
    m_manager->SyncQueue();
    BOOST_CHECK(!IsConnected(m_mined) && !IsConnected(next) && m_chain->GetTip()->hash == m_base);
    CheckChosen(contradiction, m_release);
    BOOST_CHECK_EQUAL(m_manager->Info().entries, 3U);
}

BOOST_AUTO_TEST_CASE(an_entry_that_breaks_a_rule)
{
    auto body{*m_other.AsFinal()};
    body.claim.claim = 41; // not what the miner has signed
    m_other = Seal(m_other.time, body, m_release.id);
    Freeze();
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        const auto result{m_manager->ChooseEntry(m_other.id)};
        BOOST_CHECK_EQUAL(result.reason + " " + result.detail, "podl-final-invalid podl-reveal-sig");
        BOOST_CHECK(m_manager->Info().frozen && m_manager->Info().digest == m_final.id);
        BOOST_CHECK(Admits(m_mined, FIRST_HEIGHT));
    }
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(m_final.id).reason, "");
    CheckChosen(m_final, m_other);
}

BOOST_AUTO_TEST_CASE(a_full_disk)
{
    Judge(m_mined, 50);
    Work();
    Freeze();
    for (const auto& id : {m_final.id, m_other.id}) {
        const test::FullDisk full{1};
        BOOST_CHECK_EQUAL(m_manager->ChooseEntry(id).reason, "podl-store-error");
    }
    BOOST_CHECK(m_manager->Info().frozen && m_manager->Info().digest == m_final.id && IsConnected(m_mined));
    m_manager->SyncQueue();
    BOOST_CHECK(IsConnected(m_mined));
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(m_other.id).reason, "");
    CheckChosen(m_other, m_final);
}

BOOST_AUTO_TEST_CASE(a_crash_before_the_block_is_disconnected)
{
    Judge(m_mined, 50);
    auto body{*m_release.AsRelease()};
    body.list = {m_second.Hash()};
    const auto contradiction{Seal(m_release.time, body, m_log[1].id)};
    BOOST_CHECK_EQUAL(Submit(contradiction).reason, "podl-entry-equivocation");
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(contradiction.id).reason, ""); // the worker does not run
    BOOST_CHECK_EQUAL(TryOpen(), "");
    auto chain{std::make_unique<FakeChain>(*m_manager)};
    m_chain = chain.get();
    chain->AddConnected(m_base, FIRST_HEIGHT - 1);
    chain->m_blocks[m_mined.Hash()] = {FIRST_HEIGHT, ChainLink::BlockState::CONNECTED, ParseBody(m_mined.body)};
    chain->m_tip = ChainLink::Tip{FIRST_HEIGHT, m_mined.Hash()}; // the schedule has no final of this height any more
    BOOST_REQUIRE(!m_manager->Attach(std::move(chain)));
    Work();
    BOOST_CHECK(!IsConnected(m_mined) && m_chain->GetTip()->hash == m_base);
}

BOOST_FIXTURE_TEST_CASE(the_verdict_on_a_loser_still_counts, LoserSetup)
{
    Choose(m_loser);
    BOOST_REQUIRE_EQUAL(m_manager->AddObject(ObjectKind::BODY, m_loser.Hash(), m_loser.body).reason, "");
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(m_loser.Hash()) == ChainLink::BlockState::CONNECTED); // nobody has its weights any more
}

BOOST_FIXTURE_TEST_CASE(the_fault_of_a_loser_still_counts, LoserSetup)
{
    Choose(m_bad);
    BOOST_CHECK(m_manager->Info().is_void); // nobody has its body any more
    BOOST_CHECK(Alarms() == Names({"podl-entry-equivocation", "podl-payout"}));
}

BOOST_AUTO_TEST_SUITE_END()
