// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/merkle.h>
#include <test/podl_world.h>

#include <boost/test/unit_test.hpp>

#include <vector>

/** A schedule of several tasks. */

using namespace podl;
using namespace podl::test;

namespace {

constexpr uint16_t WIDE{8};                    //!< values of a sample of the second task, twice those of the first
constexpr uint32_t WIDE_PARAMETERS{(8 + 1) * 2};
constexpr uint32_t WIDE_HEIGHT{FIRST_HEIGHT + 2};

struct TasksSetup : World {
    Mined m_last;  //!< of the latest final
    Entry m_wide;  //!< the second task
    std::vector<Bytes> m_wide_shards{2, Bytes(SAMPLES * (WIDE + 1), 1)};
    const uint256 m_wide_salt{m_rng.rand256()};

    /** The first height is decided, and the second task waits for WIDE_HEIGHT. */
    TasksSetup()
    {
        OpenManager();
        m_last = Mine(FIRST_HEIGHT, m_base);
        Accept(MakeRelease(FIRST_HEIGHT, 0, m_base, {m_last.Hash()}));
        Accept(MakeFinal(FIRST_HEIGHT, 0, m_last, 50));
        m_wide_shards[1][0] = 2;
        auto task{m_task};
        task.first_height = WIDE_HEIGHT;
        task.dims = {WIDE};
        task.programs = {{1, 1, WIDE, 0, 1, 9, 0, 2, 0, 0, 0, 0, 0}};
        task.n_shards = m_wide_shards.size();
        task.shard_list_root = TreeRoot(WideLeaves());
        m_wide = Seal(Time(), task);
        Accept(m_wide);
    }

    std::vector<uint256> WideLeaves() const
    {
        std::vector<uint256> leaves;
        for (const auto& shard : m_wide_shards) leaves.push_back(ShardCommitment(m_wide_salt, DataRoot(shard), SAMPLES));
        return leaves;
    }

    /** Decide the next height of the first task. */
    void Narrow(uint32_t height)
    {
        const auto mined{Mine(height, m_last.Hash())};
        Accept(MakeRelease(height, 0, m_last.Hash(), {mined.Hash()}));
        Accept(MakeFinal(height, 0, mined, 50));
        m_last = mined;
    }

    /** Decide the next height of the second task. */
    void Wide(uint32_t height)
    {
        auto mined{Mine(height, m_last.Hash())};
        auto& opening{mined.disclosure.opening};
        opening.task_id = m_wide.id;
        opening.n_params = WIDE_PARAMETERS;
        mined.disclosure.header.hashModel = opening.GetHash();
        const uint32_t index{height - WIDE_HEIGHT};
        const Release release{
            .height = height, .attempt = 0, .prev_block = m_last.Hash(), .shard_index = index,
            .test_root = DataRoot(m_wide_shards.at(index)), .n = SAMPLES, .salt = m_wide_salt,
            .path = MerkleProof(WideLeaves(), index), .list = {mined.Hash()},
        };
        Accept(Seal(Time() + m_task.max_phase, release));
        Accept(MakeFinal(height, 0, mined, 50));
        m_last = mined;
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_task_tests, TasksSetup)

BOOST_AUTO_TEST_CASE(shards_of_an_earlier_task)
{
    Narrow(FIRST_HEIGHT + 1);
    Wide(WIDE_HEIGHT);
    auto third{m_task};
    third.first_height = WIDE_HEIGHT + 2;
    Accept(Seal(Time(), third));
    Wide(WIDE_HEIGHT + 1);
    // A node that reads the whole schedule first is in the third task, and still needs the larger shards of the second.
    for (const auto& shard : m_wide_shards) {
        BOOST_CHECK_EQUAL(m_manager->AddObject(ObjectKind::SHARD, DataRoot(shard), shard).reason, "");
    }
}

BOOST_AUTO_TEST_CASE(contradicting_tasks)
{
    const auto first{m_last};
    Narrow(FIRST_HEIGHT + 1);
    const auto second{m_last};
    auto other{*m_wide.AsTask()};
    other.max_replays += 1;
    BOOST_CHECK_EQUAL(Submit(Seal(m_wide.time, other, m_wide.prev)).reason, "podl-entry-equivocation");
    BOOST_CHECK(m_manager->Info().frozen);
    for (const auto& mined : {first, second}) AddData(mined);
    for (size_t i{1}; i < m_log.size(); ++i) {
        const auto* release{m_log[i].AsRelease()};
        if (!release) continue;
        const auto key{KeyOf(release->height == FIRST_HEIGHT ? first : second, m_log[i])};
        BOOST_CHECK_EQUAL(m_manager->SubmitVerdict(key, {50, SAMPLES - 50, "", ""}).reason, "");
    }
    m_manager->Start();
    m_manager->SyncQueue();
    // What was decided before the contested slot stands, what came behind it does not connect.
    BOOST_CHECK(m_chain->StateOf(first.Hash()) == ChainLink::BlockState::CONNECTED);
    BOOST_CHECK(m_chain->StateOf(second.Hash()) == ChainLink::BlockState::DATA);
}

BOOST_AUTO_TEST_SUITE_END()
