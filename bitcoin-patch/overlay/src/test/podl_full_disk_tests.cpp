// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_alarm_setup.h>
#include <test/podl_full_disk.h>

/** What could not be written: nothing is lost, and nothing is shown that is not so. */

using namespace podl;
using namespace podl::test;

BOOST_FIXTURE_TEST_SUITE(podl_full_disk_tests, AlarmSetup)

BOOST_AUTO_TEST_CASE(full_disk)
{
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    AddData(m_mined);
    const auto last{m_log.back()};
    const auto twin{Seal(last.time + 1, last.body, last.prev)};
    BOOST_CHECK_EQUAL(Verdict(50).reason, "");
    {
        const test::FullDisk full{1};
        const auto evidence{Submit(twin)};
        BOOST_CHECK(evidence.status == SubmitStatus::LATER && evidence.reason == "podl-store-error");
        BOOST_CHECK(!m_manager->Info().frozen);
        BOOST_CHECK_EQUAL(Verdict(51).reason, "podl-store-error");
        BOOST_CHECK(Alarms().empty());
    }
    BOOST_CHECK_EQUAL(Submit(twin).reason, "podl-entry-equivocation");
    BOOST_CHECK_EQUAL(Verdict(51).reason, "podl-verdict-conflict");
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        BOOST_CHECK(Alarms() == Names({"podl-entry-equivocation", "podl-verdict-conflict"}));
        BOOST_CHECK(m_manager->Info().frozen);
    }
}

BOOST_AUTO_TEST_CASE(recorded_without_its_alarm)
{
    // As after a crash between the two writes: there is room for the record, but not for the alarm behind it.
    const auto without_alarm{[&](const auto& submit) {
        uintmax_t size{0};
        for (const auto& file : fs::directory_iterator{m_path_root / "podl" / "db"}) size = std::max(size, fs::file_size(file.path()));
        const auto reason{[&] { const test::FullDisk full{size + 200}; return submit().reason; }()};
        OpenManager();
        return reason;
    }};
    Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, 50));
    BOOST_CHECK_EQUAL(without_alarm([&] { return Verdict(49); }), "");
    Names expected{"podl-claim-mismatch"};
    BOOST_CHECK(Alarms() == expected);
    BOOST_CHECK_EQUAL(without_alarm([&] { return Verdict(50); }), "podl-verdict-conflict");
    expected.push_back("podl-verdict-conflict");
    BOOST_CHECK(Alarms() == expected);
    const auto last{m_log.back()};
    const auto twin{Seal(last.time + 1, last.body, last.prev)};
    BOOST_CHECK_EQUAL(without_alarm([&] { return Submit(twin); }), "podl-entry-equivocation");
    expected.push_back("podl-entry-equivocation");
    BOOST_CHECK(Alarms() == expected);
    OpenManager();
    BOOST_CHECK(Alarms() == expected);
}

BOOST_AUTO_TEST_CASE(alarm_that_could_not_be_written)
{
    const auto nonsense{[&](uint32_t claim) { return Seal(Time(), MakeFinal(FIRST_HEIGHT, 0, m_mined, claim).body, m_release.id); }};
    const auto first{nonsense(SAMPLES + 1)}, second{nonsense(SAMPLES + 2)};
    {
        const test::FullDisk full{1};
        BOOST_CHECK_EQUAL(Submit(first).reason, "podl-final-invalid");
    }
    BOOST_CHECK_EQUAL(Submit(second).reason, "podl-final-invalid");
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        BOOST_CHECK(Alarms() == Names({"podl-final-invalid", "podl-final-invalid"}));
    }
}

BOOST_AUTO_TEST_CASE(claims_that_are_not_kept_are_not_written)
{
    const auto claim{[&](uint32_t count) { return m_manager->SubmitReveal(MakeReveal(m_mined, m_release.id, count)); }};
    BOOST_REQUIRE(claim(50).status == SubmitStatus::ACCEPTED && claim(60).status == SubmitStatus::ACCEPTED);
    const test::FullDisk full{1};
    BOOST_CHECK_EQUAL(claim(40).reason, "podl-late-reveal");
    BOOST_CHECK_EQUAL(claim(61).reason, "podl-store-error");
}

BOOST_AUTO_TEST_CASE(entry_that_could_not_be_written)
{
    const auto final{MakeFinal(FIRST_HEIGHT, 0, m_mined, 50)};
    {
        const test::FullDisk full{1};
        BOOST_CHECK_EQUAL(Submit(final).reason, "podl-store-error");
    }
    m_manager->Start();
    m_manager->SyncQueue();
    OpenManager();
    BOOST_CHECK_EQUAL(m_manager->Info().finals, 1U);
}

BOOST_AUTO_TEST_SUITE_END()
