// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/evaluator.h>
#include <podl/evaluator_jobs.h>
#include <test/podl_world.h>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <future>
#include <span>
#include <string>
#include <vector>

using namespace podl;
using namespace podl::test;
using namespace std::chrono_literals;

/** A node that measures by itself. */
namespace {

/** Waits for the first verdict. */
struct VerdictWaiter : Listener {
    std::promise<void> m_came;
    void VerdictAccepted(const VerdictKey&) override { m_came.set_value(); }
    void Wait() { BOOST_REQUIRE(m_came.get_future().wait_for(60s) == std::future_status::ready); }
};

struct JudgingSetup : World {
    Mined m_mined;
    VerdictKey m_key;
    Measured m_true; //!< what the mined weights reach

    /** Open a new node of this mode, with a folder of its own; it learns of a final whose claim is off by so much, and of all its data. */
    void FollowFinal(EvaluatorMode mode, int off = 0)
    {
        m_log.resize(1);
        m_folder = ModeName(mode);
        m_evaluator = mode;
        OpenManager();
        m_mined = Mine(FIRST_HEIGHT, m_base);
        const auto release{MakeRelease(FIRST_HEIGHT, 0, m_base, {m_mined.Hash()})};
        m_key = KeyOf(m_mined, release);
        Accept(release);
        const auto& shard{m_shards.front()};
        m_true = Measure(shard);
        Accept(MakeFinal(FIRST_HEIGHT, 0, m_mined, m_true.count + off));
        BOOST_CHECK_EQUAL(m_manager->AddObject(ObjectKind::SHARD, m_key.test_root, shard).reason, "");
        AddData(m_mined);
    }

    Measured Measure(std::span<const unsigned char> shard) const
    {
        const auto program{Program::Parse(m_task.programs.front(), m_task.dims, m_task.classes)};
        BOOST_REQUIRE(program);
        const auto found{Evaluate(*program, m_mined.weights, {shard.first(shard.size() - SAMPLES), shard.last(SAMPLES)}, {.kernel = &Kernels().front()})};
        BOOST_REQUIRE(found);
        return *found;
    }

    /** Let the node's threads run until they have a verdict and have acted on it. @returns whether the block is connected */
    bool RunUntilVerdict()
    {
        VerdictWaiter waiter;
        m_manager->AddListener(&waiter);
        m_manager->Start();
        waiter.Wait();
        m_manager->SyncQueue();
        const bool connected{m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::CONNECTED};
        m_manager->Stop();
        m_manager->RemoveListener(&waiter);
        return connected;
    }

    std::string Rpc(uint32_t count, const std::string& evaluator = "sidecar")
    {
        return m_manager->SubmitVerdict(m_key, {count, SAMPLES - count, "gpu", evaluator}).reason;
    }
    std::string Own(uint32_t count)
    {
        return m_manager->SubmitOwnVerdict(m_key, {count, SAMPLES - count, InternalDevice(), INTERNAL_EVALUATOR}).reason;
    }
    size_t Evaluated() const { return m_manager->Info().evaluated; }
    size_t RpcJobs() const { return m_manager->Candidates().jobs.size(); }
    size_t OwnJobs() const { return m_manager->OwnJobs().size(); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_judging_tests, JudgingSetup)

BOOST_AUTO_TEST_CASE(a_node_needs_nobody_to_follow_a_true_claim)
{
    for (const auto mode : {EvaluatorMode::INTERNAL, EvaluatorMode::AUTO}) {
        FollowFinal(mode);
        BOOST_CHECK(RunUntilVerdict());
        const auto info{m_manager->Info()};
        BOOST_CHECK(info.evaluator == mode);
        BOOST_CHECK(info.evaluated == 1 && info.alarms.empty() && !info.frozen);
        BOOST_REQUIRE_EQUAL(info.evaluators.size(), 1U);
        BOOST_CHECK(info.evaluators[0].name == "internal" && info.evaluators[0].device == InternalDevice() && info.evaluators[0].verdicts == 1);
        // The verdict is kept.
        OpenManager();
        BOOST_CHECK_EQUAL(Evaluated(), 1U);
    }
}

BOOST_AUTO_TEST_CASE(a_node_needs_nobody_to_find_a_false_claim)
{
    FollowFinal(EvaluatorMode::INTERNAL, /*off=*/1);
    BOOST_CHECK(!RunUntilVerdict());
    const auto info{m_manager->Info()};
    BOOST_CHECK(info.evaluated == 0 && info.is_void);
    BOOST_REQUIRE_EQUAL(info.alarms.size(), 1U);
    BOOST_CHECK_EQUAL(info.alarms[0].reason, "podl-claim-mismatch");
}

BOOST_AUTO_TEST_CASE(only_the_own_verdict_counts)
{
    FollowFinal(EvaluatorMode::INTERNAL);
    BOOST_CHECK_EQUAL(Rpc(m_true.count), "");
    BOOST_CHECK(Evaluated() == 0 && RpcJobs() == 0 && OwnJobs() == 1);
    BOOST_CHECK_EQUAL(Own(m_true.count), "");
    BOOST_CHECK(Evaluated() == 1 && OwnJobs() == 0);
}

BOOST_AUTO_TEST_CASE(two_that_agree)
{
    FollowFinal(EvaluatorMode::BOTH);
    BOOST_CHECK(RpcJobs() == 1 && OwnJobs() == 1);
    BOOST_CHECK_EQUAL(Own(m_true.count), "");
    BOOST_CHECK(Evaluated() == 0 && RpcJobs() == 1 && OwnJobs() == 0);
    // What is kept of one is not enough after a restart either.
    OpenManager();
    BOOST_CHECK(Evaluated() == 0 && RpcJobs() == 1 && OwnJobs() == 0);
    BOOST_CHECK_EQUAL(Rpc(m_true.count), "");
    BOOST_CHECK(Evaluated() == 1 && RpcJobs() == 0 && OwnJobs() == 0);
    OpenManager();
    BOOST_CHECK_EQUAL(Evaluated(), 1U);
    // Now and then another mode: both verdicts are there.
    for (const auto mode : {EvaluatorMode::SIDECAR, EvaluatorMode::INTERNAL, EvaluatorMode::AUTO}) {
        m_evaluator = mode;
        OpenManager();
        BOOST_CHECK_EQUAL(Evaluated(), 1U);
    }
}

BOOST_AUTO_TEST_CASE(two_that_find_a_false_claim)
{
    FollowFinal(EvaluatorMode::BOTH, /*off=*/1);
    BOOST_CHECK_EQUAL(Rpc(m_true.count), "");
    BOOST_CHECK(!m_manager->Info().frozen);
    BOOST_CHECK_EQUAL(Own(m_true.count), "");
    BOOST_CHECK(m_manager->Info().is_void);
    BOOST_CHECK_EQUAL(m_manager->Info().alarms.at(0).reason, "podl-claim-mismatch");
}

BOOST_AUTO_TEST_CASE(two_that_differ)
{
    for (const auto mode : {EvaluatorMode::BOTH, EvaluatorMode::INTERNAL, EvaluatorMode::AUTO}) {
        FollowFinal(mode);
        BOOST_CHECK_EQUAL(Own(m_true.count), "");
        BOOST_CHECK_EQUAL(Rpc(m_true.count - 1), "podl-verdict-conflict");
        BOOST_CHECK(Evaluated() == 0 && RpcJobs() == 0 && OwnJobs() == 0);
        BOOST_CHECK_EQUAL(m_manager->Info().alarms.at(0).reason, "podl-verdict-conflict");
        // The first one comes again: the alarm stays.
        BOOST_CHECK_EQUAL(Own(m_true.count), "");
        BOOST_CHECK_EQUAL(Evaluated(), 0U);
    }
}

BOOST_AUTO_TEST_CASE(nobody_else_bears_the_name)
{
    FollowFinal(EvaluatorMode::INTERNAL);
    BOOST_CHECK_EQUAL(Rpc(m_true.count, INTERNAL_EVALUATOR), "podl-verdict-range");
    BOOST_CHECK_EQUAL(Evaluated(), 0U);
}

BOOST_AUTO_TEST_CASE(who_counts_as_attached)
{
    FollowFinal(EvaluatorMode::AUTO);
    BOOST_CHECK(!m_manager->HasSidecar());
    Rpc(m_true.count);
    BOOST_CHECK(m_manager->HasSidecar());
}

BOOST_AUTO_TEST_CASE(an_attached_evaluator_has_the_first_go)
{
    const JobView first{.program = {1}, .claim = 1}, second{.program = {2}, .claim = 2};
    const auto start{SteadyClock::now()};
    const auto claim{[&](JobBook& book, bool attached, std::chrono::milliseconds later) {
        const auto job{book.Next({first, second}, attached, start + later)};
        return job ? int(job->claim) : 0;
    }};
    JobBook book;
    BOOST_CHECK_EQUAL(claim(book, /*attached=*/false, 0ms), 1);
    BOOST_CHECK_EQUAL(claim(book, /*attached=*/true, 0ms), 0);
    BOOST_CHECK_EQUAL(claim(book, /*attached=*/true, SIDECAR_GRACE - 1ms), 0);
    BOOST_CHECK_EQUAL(claim(book, /*attached=*/true, SIDECAR_GRACE), 1);
    book.PutOff(podl::KeyOf(first), start + SIDECAR_GRACE);
    BOOST_CHECK_EQUAL(claim(book, /*attached=*/true, SIDECAR_GRACE), 2);
    BOOST_CHECK_EQUAL(claim(book, /*attached=*/false, SIDECAR_GRACE + JOB_RETRY - 1ms), 2);
    BOOST_CHECK_EQUAL(claim(book, /*attached=*/false, SIDECAR_GRACE + JOB_RETRY), 1);
    // A job that went away and came back is a new one.
    BOOST_CHECK(!book.Next({}, /*attached=*/true, start));
    BOOST_CHECK_EQUAL(claim(book, /*attached=*/true, SIDECAR_GRACE), 0);
}

BOOST_AUTO_TEST_SUITE_END()
