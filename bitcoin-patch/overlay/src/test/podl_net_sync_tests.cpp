// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net_schedule_sync.h>
#include <podl/net_small_fetcher.h>

#include <test/util/setup_common.h>

#include <boost/test/unit_test.hpp>

#include <set>
#include <vector>

using namespace podl;
using Outcome = SmallFetcher::Outcome;

namespace {

struct SyncSetup : BasicTestingSetup {
    SteadyClock::time_point m_now{1000h};
    std::set<ObjectRef> m_held;
    SmallFetcher m_small;
    ScheduleSync m_sync;

    ObjectRef Object(ObjectType type) { return {type, m_rng.rand256()}; }

    std::vector<FetchRequest> NextSmall()
    {
        return m_small.Next(m_now, [&](const ObjectRef& object) { return m_held.contains(object); });
    }

    /** Peers that are asked for the schedule now. */
    std::vector<NodeId> NextQuestions()
    {
        std::vector<NodeId> peers;
        for (const auto& question : m_sync.Next(m_now)) peers.push_back(question.peer);
        return peers;
    }

    /** A page with some new entries, some known ones, and where the last known one stands. */
    void Read(NodeId peer, bool more, size_t fresh, size_t known, bool from_start = false, const uint256& last = {}, size_t last_index = 0)
    {
        BOOST_CHECK(m_sync.Arrived(peer));
        m_sync.Received(peer, {more, from_start, /*stopped=*/false, fresh, known, last, last_index}, m_now);
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_net_sync_tests, SyncSetup)

BOOST_AUTO_TEST_CASE(small_one_peer_at_a_time)
{
    const ObjectRef object{Object(ObjectType::ENTRY)};
    m_small.Announced(1, object);
    m_small.Announced(2, object);
    m_small.Announced(2, object);
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{1, object}}));
    BOOST_CHECK(NextSmall().empty());

    // A bad copy says nothing about the other peer's.
    BOOST_CHECK(m_small.Received(1, object));
    m_small.Judged(1, object, Outcome::BAD);
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{2, object}}));
    BOOST_CHECK(m_small.Received(2, object));
    m_small.Judged(2, object, Outcome::DONE);
    BOOST_CHECK_EQUAL(m_small.Size(), 0U);
    BOOST_CHECK(!m_small.Received(2, object));
    BOOST_CHECK(!m_small.Received(1, Object(ObjectType::REVEAL)));
}

BOOST_AUTO_TEST_CASE(small_silence_and_not_found)
{
    const ObjectRef object{Object(ObjectType::REVEAL)};
    m_small.Announced(1, object);
    m_small.Announced(2, object);
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{1, object}}));
    m_now += SmallFetcher::TIMEOUT;
    BOOST_CHECK(NextSmall().empty());
    m_now += 1s;
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{2, object}}));
    m_small.NotFound(2, object);
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{1, object}})); // nobody else is left
    m_small.NotFound(1, object);
    BOOST_CHECK(NextSmall().empty());
    BOOST_CHECK_EQUAL(m_small.Size(), 0U);

    // A peer that was silent is asked last, until it answers.
    const ObjectRef other{Object(ObjectType::REVEAL)};
    m_small.Announced(1, other);
    m_small.Announced(3, other);
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{1, other}})); // its "not found" was an answer
    m_now += SmallFetcher::TIMEOUT + 1s;
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{3, other}}));
    const ObjectRef third{Object(ObjectType::REVEAL)};
    m_small.Announced(1, third);
    m_small.Announced(3, third);
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{3, third}}));
    // Late, but good.
    BOOST_CHECK(m_small.Received(1, other));
    m_small.Judged(1, other, Outcome::DONE);
    BOOST_CHECK_EQUAL(m_small.Size(), 1U);
}

BOOST_AUTO_TEST_CASE(small_withheld)
{
    // Two that were faster than the others withhold one object, but answer for everything else.
    const ObjectRef object{Object(ObjectType::REVEAL)};
    for (NodeId peer{1}; peer <= 3; ++peer) m_small.Announced(peer, object);
    for (NodeId peer{1}; peer <= 3; ++peer) {
        BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{peer, object}}));
        m_now += SmallFetcher::TIMEOUT + 1s;
        const ObjectRef other{Object(ObjectType::REVEAL)};
        for (const NodeId withholding : {1, 2}) {
            m_small.Announced(withholding, other);
            m_small.NotFound(withholding, other);
        }
    }
}

BOOST_AUTO_TEST_CASE(small_later)
{
    const ObjectRef object{Object(ObjectType::COMMITMENT)};
    m_small.Announced(1, object);
    for (int i{0}; i <= SmallFetcher::MAX_RETRIES; ++i) {
        BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{1, object}}));
        BOOST_CHECK(m_small.Received(1, object));
        m_small.Judged(1, object, Outcome::LATER);
        m_now += 1h;
        BOOST_CHECK(NextSmall().empty());
        m_small.Retry();
    }
    BOOST_CHECK(NextSmall().empty());
    BOOST_CHECK_EQUAL(m_small.Size(), 0U);
}

BOOST_AUTO_TEST_CASE(small_later_unasked)
{
    const ObjectRef object{Object(ObjectType::REVEAL)};
    m_small.Announced(1, object);
    const auto push{[&] {
        for (int i{0}; i < 2 * SmallFetcher::MAX_RETRIES; ++i) {
            BOOST_CHECK(m_small.Received(2, object));
            m_small.Judged(2, object, Outcome::LATER);
        }
    }};
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{1, object}}));
    push(); // while the announcer is asked
    BOOST_CHECK(m_small.Received(1, object));
    m_small.Judged(1, object, Outcome::LATER);
    push(); // while the schedule is waited for
    m_small.Retry();
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{1, object}}));
}

BOOST_AUTO_TEST_CASE(small_held_already)
{
    const ObjectRef object{Object(ObjectType::COMMITMENT)};
    m_small.Announced(1, object);
    m_held.insert(object);
    BOOST_CHECK(NextSmall().empty());
    BOOST_CHECK_EQUAL(m_small.Size(), 0U);
}

BOOST_AUTO_TEST_CASE(small_limits_and_disconnect)
{
    std::vector<ObjectRef> objects;
    for (size_t i{0}; i < SmallFetcher::MAX_ANNOUNCED + 7; ++i) {
        objects.push_back(Object(ObjectType::COMMITMENT));
        m_small.Announced(1, objects.back());
    }
    BOOST_CHECK_EQUAL(m_small.Size(), SmallFetcher::MAX_ANNOUNCED);
    const auto requests{NextSmall()};
    BOOST_REQUIRE_EQUAL(requests.size(), SmallFetcher::MAX_IN_FLIGHT);
    for (size_t i{0}; i < requests.size(); ++i) BOOST_CHECK(requests[i].object == objects[i]); // in their order
    // An answer makes room for one more.
    m_small.NotFound(1, objects[3]);
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{1, objects[SmallFetcher::MAX_IN_FLIGHT]}}));

    m_small.Announced(2, objects[0]);
    m_small.Disconnected(1);
    BOOST_CHECK_EQUAL(m_small.Size(), 1U);
    BOOST_CHECK(NextSmall() == (std::vector<FetchRequest>{{2, objects[0]}}));
    m_small.Disconnected(2);
    BOOST_CHECK_EQUAL(m_small.Size(), 0U);
    BOOST_CHECK(NextSmall().empty());
}

BOOST_AUTO_TEST_CASE(schedule_pages)
{
    m_sync.Connected(1);
    m_sync.Connected(2);
    BOOST_CHECK(NextQuestions() == (std::vector<NodeId>{1, 2})); // both sides ask on connecting
    BOOST_CHECK(NextQuestions().empty());
    BOOST_CHECK(!m_sync.Arrived(3));
    Read(1, true, 10, 0);
    BOOST_CHECK(!m_sync.Arrived(1)); // one answer per question
    BOOST_CHECK(NextQuestions() == (std::vector<NodeId>{1}));
    BOOST_CHECK(m_sync.IsBusy());

    // While a page is read the schedule moves, whichever page it is.
    m_sync.Connected(4);
    BOOST_CHECK(NextQuestions() == (std::vector<NodeId>{4}));
    m_sync.Disconnected(1);
    BOOST_CHECK(!m_sync.IsBusy());
    BOOST_CHECK(m_sync.Arrived(4));
    BOOST_CHECK(m_sync.IsBusy());
    m_sync.Disconnected(4);
    m_sync.Connected(1);
    BOOST_CHECK(NextQuestions() == (std::vector<NodeId>{1}));
    Read(1, true, 10, 0);
    BOOST_CHECK(NextQuestions() == (std::vector<NodeId>{1}));

    // The same page of the other peer is old by now: it is not asked further while the first one goes on.
    Read(2, true, 0, 10);
    m_now += ScheduleSync::OVERTAKEN_INTERVAL;
    BOOST_CHECK(NextQuestions().empty());
    // The first one falls silent: the second one's turn.
    m_now += ScheduleSync::TIMEOUT;
    BOOST_CHECK(NextQuestions() == (std::vector<NodeId>{2}));
    BOOST_CHECK(!m_sync.Arrived(1));
    Read(2, false, 3, 0);
    BOOST_CHECK(!m_sync.IsBusy());
    m_now += ScheduleSync::POLL_INTERVAL;
    BOOST_CHECK(NextQuestions() == (std::vector<NodeId>{1, 2}));
    m_sync.Disconnected(1);
    BOOST_CHECK(!m_sync.Arrived(1));
}

BOOST_AUTO_TEST_CASE(schedule_peer_behind)
{
    m_sync.Connected(1);
    BOOST_CHECK_EQUAL(NextQuestions().size(), 1U);
    Read(1, true, 0, 50, /*from_start=*/true, {}, 49);
    m_now += 1h;
    BOOST_CHECK(NextQuestions().empty()); // it has nothing for us
    m_sync.Heard(1);
    BOOST_CHECK_EQUAL(NextQuestions().size(), 1U);
}

BOOST_AUTO_TEST_CASE(schedule_orphan)
{
    const uint256 last{m_rng.rand256()};
    m_sync.Connected(1);
    BOOST_CHECK_EQUAL(NextQuestions().size(), 1U);
    Read(1, false, 0, 0);
    m_sync.Orphan(1, m_now);
    m_sync.Orphan(1, m_now);
    BOOST_CHECK_EQUAL(NextQuestions().size(), 1U);
    // It does not know our last entry: read its schedule from the start, page by page, as long as that leads on.
    Read(1, true, 0, 5, /*from_start=*/true, last, 4);
    const auto questions{m_sync.Next(m_now)};
    BOOST_CHECK(questions.size() == 1 && questions[0].after == last);
    Read(1, true, 0, 5, /*from_start=*/false, last, 4);
    BOOST_CHECK(NextQuestions().empty());
    // Orphans cause one question in a while.
    m_sync.Orphan(1, m_now);
    BOOST_CHECK(NextQuestions().empty());
    m_now += ScheduleSync::ORPHAN_INTERVAL;
    m_sync.Orphan(1, m_now);
    BOOST_CHECK_EQUAL(NextQuestions().size(), 1U);
    m_sync.Orphan(9, m_now); // not connected
}

BOOST_AUTO_TEST_CASE(schedule_stopped)
{
    m_sync.Connected(1);
    BOOST_CHECK_EQUAL(NextQuestions().size(), 1U);
    BOOST_CHECK(m_sync.Arrived(1));
    m_now += 10min; // reading takes as long as it takes
    BOOST_CHECK(NextQuestions().empty());
    m_sync.Received(1, {/*more=*/true, /*from_start=*/false, /*stopped=*/true, /*fresh=*/2, /*known=*/0, {}, 0}, m_now);
    BOOST_CHECK(NextQuestions().empty());
    m_now += ScheduleSync::STOPPED_INTERVAL - 1s;
    BOOST_CHECK(NextQuestions().empty());
    m_now += 1s;
    BOOST_CHECK_EQUAL(NextQuestions().size(), 1U);
    // What stopped it may be in order as soon as our own schedule has advanced; then no sooner again.
    BOOST_CHECK(m_sync.Arrived(1));
    m_sync.Received(1, {/*more=*/true, /*from_start=*/false, /*stopped=*/true, /*fresh=*/0, /*known=*/0, {}, 0}, m_now);
    BOOST_CHECK(NextQuestions().empty());
    m_sync.Advanced();
    BOOST_CHECK_EQUAL(NextQuestions().size(), 1U);
    BOOST_CHECK(m_sync.Arrived(1));
    m_sync.Received(1, {/*more=*/false, /*from_start=*/false, /*stopped=*/false, /*fresh=*/1, /*known=*/0, {}, 0}, m_now);
    m_sync.Advanced();
    BOOST_CHECK(NextQuestions().empty());
}

BOOST_AUTO_TEST_SUITE_END()
