// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_alarm_setup.h>

#include <string>
#include <utility>
#include <vector>

/** What comes behind a void final: the next attempt at its height, on every node, however its news arrive. */

using namespace podl;
using namespace podl::test;

namespace {

struct VoidSetup : AlarmSetup {
    Entry m_final;

    VoidSetup()
    {
        m_final = MakeFinal(FIRST_HEIGHT, 0, m_mined, 50);
        Accept(m_final);
    }

    /** Measure the count of the latest release's shard. */
    Submission Measure(const Mined& mined, const Entry& release, uint32_t count)
    {
        return m_manager->SubmitVerdict(KeyOf(mined, release), {count, SAMPLES - count, "cpu", "test"});
    }

    /** The next attempt lists the same header, and its final names it with the true claim. */
    std::pair<Entry, Entry> MakeNextAttempt()
    {
        const auto release{MakeRelease(FIRST_HEIGHT, 1, m_base, {m_mined.Hash()}, Time() + 1)};
        return {release, MakeFinal(FIRST_HEIGHT, 1, m_mined, 48)};
    }

    /** The block of the first height connects once its claim is confirmed. */
    void CheckConnects(const Entry& release)
    {
        AddData(m_mined);
        BOOST_CHECK_EQUAL(Measure(m_mined, release, 48).reason, "");
        m_manager->Start();
        m_manager->SyncQueue();
        BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::CONNECTED);
        BOOST_CHECK(!m_manager->Info().is_void);
        BOOST_CHECK_EQUAL(m_manager->Info().finals, 1U);
    }
};

/** A final of the first height whose block pays another than its opening says. */
struct BadBodySetup : AlarmSetup {
    Entry m_second;

    BadBodySetup()
    {
        m_mined = Mine(FIRST_HEIGHT, m_base, 5);
        PayAnother(m_mined);
        m_second = MakeRelease(FIRST_HEIGHT, 1, m_base, {m_mined.Hash()});
        Accept(m_second);
        Accept(MakeFinal(FIRST_HEIGHT, 1, m_mined, 50));
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_void_tests, VoidSetup)

BOOST_AUTO_TEST_CASE(the_same_header_with_the_true_claim)
{
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    const auto early{MakeRelease(FIRST_HEIGHT, 1, m_base, {m_mined.Hash()}, Time())};
    BOOST_CHECK_EQUAL(Submit(early).reason, "podl-release-time");
    m_log.pop_back();
    const auto [release, final]{MakeNextAttempt()};
    Accept(release);
    BOOST_CHECK(!m_manager->Info().is_void && m_manager->Info().reveal_phase);
    BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(m_mined, release.id, 48)).status == SubmitStatus::ACCEPTED);
    Accept(final);
    BOOST_CHECK(Admits(m_mined, FIRST_HEIGHT));
    OpenManager();
    BOOST_CHECK_EQUAL(m_manager->Info().entries, m_log.size());
    BOOST_CHECK(Admits(m_mined, FIRST_HEIGHT));
    CheckConnects(release);
    BOOST_CHECK(Alarms() == Names({"podl-claim-mismatch"}));
}

BOOST_AUTO_TEST_CASE(commitments_are_taken_again)
{
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    const auto info{m_manager->Info()};
    BOOST_CHECK(!info.reveal_phase && info.prev == m_base);
    BOOST_CHECK(m_manager->Template(m_base).can_commit && !m_manager->Template(m_base).reveal_phase);
    BOOST_CHECK(m_manager->Candidates().candidates.empty());
    const auto mined{Mine(FIRST_HEIGHT, m_base, 3)};
    BOOST_CHECK_EQUAL(m_manager->SubmitCommitment(HeaderBytes(mined.disclosure.header)).reason, "");
    BOOST_CHECK_EQUAL(m_manager->Info().commitments, 1U);
    BOOST_CHECK_EQUAL(m_manager->SubmitReveal(MakeReveal(m_mined, m_release.id, 49)).reason, "podl-late-reveal");
}

BOOST_AUTO_TEST_CASE(commitments_on_its_block_go)
{
    const auto next{Mine(FIRST_HEIGHT + 1, m_mined.Hash())};
    const auto bytes{World::HeaderBytes(next.disclosure.header)};
    BOOST_CHECK_EQUAL(m_manager->SubmitCommitment(bytes).reason, "");
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        BOOST_CHECK_EQUAL(m_manager->Info().commitments, 0U);
        BOOST_CHECK_EQUAL(m_manager->SubmitCommitment(bytes).reason, "podl-commit-prev"); // not held either
    }
    // Those for its own height stay over a restart.
    BOOST_CHECK_EQUAL(m_manager->SubmitCommitment(World::HeaderBytes(Mine(FIRST_HEIGHT, m_base, 3).disclosure.header)).reason, "");
    OpenManager();
    BOOST_CHECK_EQUAL(m_manager->Info().commitments, 1U);
}

BOOST_AUTO_TEST_CASE(a_release_that_was_signed_behind_it)
{
    // The requester has gone on before anyone had measured.
    const auto next{Mine(FIRST_HEIGHT + 1, m_mined.Hash())};
    const auto behind{MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {next.Hash()})};
    Accept(behind);
    Accept(MakeFinal(FIRST_HEIGHT + 1, 0, next, 50));
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    m_log.resize(3);
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        BOOST_CHECK_EQUAL(m_manager->Info().entries, 3U);
        BOOST_CHECK(m_manager->Info().is_void && !Admits(next, FIRST_HEIGHT + 1));
        BOOST_CHECK_EQUAL(Submit(behind).reason, "podl-final-void");
    }
    const auto [release, final]{MakeNextAttempt()};
    Accept(release);
    Accept(final);
    BOOST_CHECK_EQUAL(Submit(behind).reason, "podl-final-void");
    OpenManager();
    BOOST_CHECK_EQUAL(m_manager->Info().entries, 5U);
    BOOST_CHECK(Alarms() == Names({"podl-claim-mismatch"})); // no evidence of equivocation
    CheckConnects(release);
}

BOOST_AUTO_TEST_CASE(the_next_attempt_before_the_proof)
{
    // Another node has accepted what is behind the final before it hears of the next attempt.
    for (const bool went_on : {false, true}) {
        if (went_on) {
            m_folder = "podl2";
            OpenManager();
            m_log.resize(3);
            for (size_t i{1}; i < 3; ++i) Accept(m_log[i]);
            const auto next{Mine(FIRST_HEIGHT + 1, m_mined.Hash())};
            Accept(MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {next.Hash()}));
            m_log.resize(3);
        }
        const auto [release, final]{MakeNextAttempt()};
        const auto result{Submit(release)};
        BOOST_CHECK(result.status == SubmitStatus::LATER && result.reason == "podl-void-unproven");
        BOOST_CHECK_EQUAL(Submit(final).reason, "podl-entry-prev");
        BOOST_CHECK(Alarms().empty() && !m_manager->Info().frozen);
        BOOST_CHECK_EQUAL(Verdict(49).reason, "");
        m_manager->Start();
        m_manager->SyncQueue();
        BOOST_CHECK_EQUAL(m_manager->Info().entries, 5U);
        CheckConnects(release);
    }
}

BOOST_AUTO_TEST_CASE(a_valid_final_is_not_withdrawn)
{
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_REQUIRE(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::CONNECTED);
    const auto release{MakeNextAttempt().first};
    for (const bool went_on : {false, true}) {
        m_log.resize(3);
        if (went_on) Accept(MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {Mine(FIRST_HEIGHT + 1, m_mined.Hash()).Hash()}));
        const auto result{Submit(release)};
        BOOST_CHECK(result.status == SubmitStatus::REFUSED && result.cls == FailureClass::EVIDENCE);
        BOOST_CHECK_EQUAL(result.reason, "podl-final-not-void");
        BOOST_CHECK(Alarms() == Names({"podl-final-not-void"}));
        BOOST_CHECK(!m_manager->Info().frozen && !m_manager->Info().is_void);
    }
}

BOOST_AUTO_TEST_CASE(two_next_attempts_are_an_equivocation)
{
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    const auto release{MakeNextAttempt().first};
    Accept(release);
    const auto other{Seal(release.time + 1, *release.AsRelease(), m_final.id)};
    BOOST_CHECK_EQUAL(Submit(other).reason, "podl-entry-equivocation");
    BOOST_CHECK(m_manager->Info().frozen);
    BOOST_CHECK_EQUAL(m_manager->ChooseEntry(other.id).reason, "");
    BOOST_CHECK(m_manager->Info().digest == other.id && m_manager->Info().reveal_phase);
    OpenManager();
    BOOST_CHECK(m_manager->Info().digest == other.id && !m_manager->Info().frozen);
}

BOOST_AUTO_TEST_CASE(evidence_behind_it_falls_with_it)
{
    const auto next{Mine(FIRST_HEIGHT + 1, m_mined.Hash())};
    const auto behind{MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {next.Hash()})};
    Accept(behind);
    BOOST_CHECK_EQUAL(Submit(Seal(behind.time + 1, *behind.AsRelease(), m_final.id)).reason, "podl-entry-equivocation");
    BOOST_CHECK(m_manager->Info().frozen);
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    m_log.resize(3);
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        BOOST_CHECK(!m_manager->Info().frozen && m_manager->Info().is_void);
    }
    Accept(MakeNextAttempt().first);
}

BOOST_AUTO_TEST_CASE(a_taken_back_proof)
{
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    BOOST_CHECK_EQUAL(Verdict(50).reason, "podl-verdict-conflict");
    BOOST_CHECK(!m_manager->Info().is_void && Admits(m_mined, FIRST_HEIGHT));
    const auto [release, final]{MakeNextAttempt()};
    BOOST_CHECK_EQUAL(Submit(release).reason, "podl-void-unproven");
    m_log.resize(3);
    Accept(MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {Mine(FIRST_HEIGHT + 1, m_mined.Hash()).Hash()}));
}

BOOST_AUTO_TEST_CASE(proofs_are_kept_and_served)
{
    // Another node has judged by the weights; whoever comes later finds them here although the next attempt's winner is another.
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(49).reason, "");
    const auto other{Mine(FIRST_HEIGHT, m_base, 7)};
    const auto release{MakeRelease(FIRST_HEIGHT, 1, m_base, {other.Hash()}, Time() + 1)};
    Accept(release);
    Accept(MakeFinal(FIRST_HEIGHT, 1, other, 48));
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        BOOST_CHECK(m_manager->KindOfRoot(m_mined.disclosure.opening.weights_root) == ObjectKind::WEIGHTS);
        BOOST_CHECK(m_manager->ObjectSize(ObjectKind::BODY, m_mined.Hash()));
    }
}

BOOST_FIXTURE_TEST_CASE(a_block_that_was_connected_before_the_proof, BadShardSetup)
{
    // An evaluator has reported a count on a shard that this node meets only later, and that is malformed.
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    AddData(m_mined);
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_REQUIRE(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::CONNECTED);
    BOOST_CHECK_EQUAL(m_manager->AddObject(ObjectKind::SHARD, m_release.AsRelease()->test_root, m_shards[0]).reason, "podl-shard-label");
    m_manager->SyncQueue();
    BOOST_CHECK(m_manager->Info().is_void);
    BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::DATA && m_chain->GetTip()->hash == m_base);
    Accept(MakeRelease(FIRST_HEIGHT, 1, m_base, {m_mined.Hash()}, Time() + 1));
}

BOOST_FIXTURE_TEST_CASE(refused_bytes_are_served_as_proof, BadBodySetup)
{
    BOOST_CHECK_EQUAL(m_manager->AddObject(ObjectKind::BODY, m_mined.Hash(), m_mined.body).reason, "podl-payout");
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        BOOST_CHECK(m_manager->Info().is_void);
        const auto bytes{m_manager->ReadObject(ObjectKind::BODY, m_mined.Hash(), 0, m_mined.body.size())};
        BOOST_REQUIRE(bytes);
        BOOST_CHECK(*bytes == m_mined.body);
    }
    const auto other{Mine(FIRST_HEIGHT, m_base, 6)};
    const auto third{MakeRelease(FIRST_HEIGHT, 2, m_base, {other.Hash(), m_mined.Hash()}, Time() + 1)};
    Accept(third);
    // The same header again is void again at once, without the bytes.
    Accept(MakeFinal(FIRST_HEIGHT, 2, m_mined, 50));
    BOOST_CHECK(m_manager->Info().is_void);
    Accept(MakeRelease(FIRST_HEIGHT, 3, m_base, {other.Hash()}, Time() + 1));
    Accept(MakeFinal(FIRST_HEIGHT, 3, other, 50));
    BOOST_CHECK(Admits(other, FIRST_HEIGHT));
    OpenManager();
    BOOST_CHECK(Admits(other, FIRST_HEIGHT) && !Admits(m_mined, FIRST_HEIGHT));
}

BOOST_AUTO_TEST_SUITE_END()
