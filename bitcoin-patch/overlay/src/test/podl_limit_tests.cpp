// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_alarm_setup.h>
#include <util/strencodings.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

/** How much a node keeps of what the requester alone can make without end. */

using namespace podl;
using namespace podl::test;

namespace {

constexpr size_t ALARMS{256};
constexpr size_t KEPT{16}; //!< entries without predecessor

struct LimitSetup : AlarmSetup {
    /** Entries that the node waits for. */
    std::vector<WaitingView> Missing() const
    {
        auto waiting{m_manager->Info().waiting};
        std::erase_if(waiting, [](const WaitingView& view) { return view.what != "entry"; });
        return waiting;
    }

    bool Misses(const Entry& entry) const { return std::ranges::any_of(Missing(), [&](const WaitingView& view) { return view.id == HexStr(entry.id); }); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_limit_tests, LimitSetup)

BOOST_AUTO_TEST_CASE(alarms_are_bounded)
{
    const auto final{MakeFinal(FIRST_HEIGHT, 0, m_mined, 50)};
    auto nonsense{*final.AsFinal()};
    nonsense.claim.claim = SAMPLES + 1;
    std::vector<Entry> signed_nonsense;
    for (uint32_t i{0}; i < ALARMS + 3; ++i) {
        signed_nonsense.push_back(Seal(final.time + i, nonsense, m_release.id));
        const auto answer{Submit(signed_nonsense.back())};
        BOOST_REQUIRE_EQUAL(answer.reason + " " + answer.detail, "podl-final-invalid podl-claim-range");
        BOOST_REQUIRE_EQUAL(m_manager->Info().alarms.size(), std::min<size_t>(i + 1, ALARMS));
    }
    for (const bool restarted : {false, true}) {
        if (restarted) OpenManager();
        const auto alarms{m_manager->Info().alarms};
        BOOST_REQUIRE_EQUAL(alarms.size(), ALARMS);
        // The first ones stay, in order: they tell most.
        for (size_t i{0}; i < ALARMS; ++i) BOOST_CHECK(alarms[i].ids == Names({HexStr(signed_nonsense[i].id)}));
    }
    // Nothing else stands still, and evidence freezes without a place for its alarm.
    Accept(final);
    BOOST_CHECK_EQUAL(Submit(signed_nonsense.back()).reason, "podl-entry-equivocation");
    BOOST_CHECK(m_manager->Info().frozen);
    OpenManager();
    BOOST_CHECK(m_manager->Info().frozen && m_manager->Info().alarms.size() == ALARMS);
}

BOOST_AUTO_TEST_CASE(entries_without_predecessor_are_bounded)
{
    std::vector<Entry> attempts;
    for (uint16_t attempt{1}; attempt <= KEPT + 2; ++attempt) attempts.push_back(MakeRelease(FIRST_HEIGHT, attempt, m_base, {m_mined.Hash()}));
    // The first of them does not come: nothing behind it can be judged.
    for (size_t i{1}; i < attempts.size(); ++i) {
        BOOST_CHECK_EQUAL(Submit(attempts[i]).reason, "podl-entry-prev");
        BOOST_CHECK_EQUAL(Submit(attempts[i]).reason, "podl-entry-prev"); // takes no second place
        BOOST_CHECK_EQUAL(Missing().size(), std::min(i, KEPT));
    }
    BOOST_CHECK(!Misses(attempts[0]) && Misses(attempts[1]) && Misses(attempts[KEPT])); // the oldest made room
    // Nobody but the requester can fill the places.
    auto forged{attempts.back()};
    forged.sig[0] ^= 1;
    forged.prev = m_rng.rand256();
    SealEntry(forged);
    BOOST_CHECK_EQUAL(Submit(forged).reason, "podl-entry-badsig");
    BOOST_CHECK(Misses(attempts[1]));

    Accept(attempts[0]);
    BOOST_CHECK_EQUAL(m_manager->Info().entries, 3U); // the next one was thrown away
    Accept(attempts[1]);
    BOOST_CHECK_EQUAL(m_manager->Info().entries, 2 + attempts.size()); // all that were kept follow
    BOOST_CHECK(Missing().empty());
    BOOST_CHECK(m_manager->LastEntryId() == attempts.back().id);
}

BOOST_AUTO_TEST_SUITE_END()
