// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_ALARM_SETUP_H
#define BITCOIN_TEST_PODL_ALARM_SETUP_H

#include <chain.h>
#include <podl/object_check.h>
#include <primitives/block.h>
#include <primitives/transaction.h>
#include <test/podl_world.h>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace podl::test {

using Names = std::vector<std::string>;

/** A world in the reveal phase of its first height, with one listed header. */
struct AlarmSetup : World {
    Mined m_mined;
    Entry m_release;

    explicit AlarmSetup(unsigned char last_label = 0) : World{last_label}
    {
        OpenManager();
        m_mined = Mine(FIRST_HEIGHT, m_base);
        m_release = MakeRelease(FIRST_HEIGHT, 0, m_base, {m_mined.Hash()});
        Accept(m_release);
    }

    Submission Verdict(uint32_t count) { return m_manager->SubmitVerdict(KeyOf(m_mined, m_release), {count, SAMPLES - count, "cpu", "test"}); }

    std::vector<std::string> Alarms() const
    {
        std::vector<std::string> reasons;
        for (const auto& alarm : m_manager->Info().alarms) reasons.push_back(alarm.reason);
        return reasons;
    }

    bool Admits(const Mined& mined, int height)
    {
        CBlockIndex prev;
        prev.nHeight = height - 1;
        return m_manager->CheckHeader(mined.Hash(), prev) == HeaderStatus::ADMIT;
    }

    /** A block of the same opening whose coinbase pays someone else. */
    static void PayAnother(Mined& mined)
    {
        CBlock block{*ParseBody(mined.body)};
        CMutableTransaction coinbase{*block.vtx[0]};
        coinbase.vout[0].scriptPubKey = CScript{} << OP_7;
        block.vtx[0] = MakeTransactionRef(coinbase);
        block.hashMerkleRoot = block.vtx[0]->GetHash().ToUint256();
        block.hashModel = mined.disclosure.opening.GetHash();
        mined.disclosure.header = block;
        mined.body = ToBytes(TX_WITH_WITNESS(block));
    }

    /** The final of the first height is void for this reason: now and after a restart, and only the next attempt may follow. */
    void CheckVoid(const std::string& reason)
    {
        const auto next{MakeRelease(FIRST_HEIGHT + 1, 0, m_mined.Hash(), {Mine(FIRST_HEIGHT + 1, m_mined.Hash()).Hash()})};
        for (const bool restarted : {false, true}) {
            if (restarted) OpenManager();
            BOOST_REQUIRE(!Alarms().empty());
            BOOST_CHECK_EQUAL(Alarms().back(), reason);
            BOOST_CHECK(m_manager->Info().is_void && !m_manager->Info().frozen && !Admits(m_mined, FIRST_HEIGHT));
            BOOST_CHECK_EQUAL(m_manager->Info().height, FIRST_HEIGHT);
            BOOST_CHECK_EQUAL(m_manager->Info().accuracy_work, 0U);
            BOOST_CHECK_EQUAL(Submit(next).reason, "podl-final-void");
        }
        m_log.pop_back(); // it is none of the schedule
        m_manager->Start();
        m_manager->SyncQueue();
        BOOST_CHECK(m_chain->StateOf(m_mined.Hash()) == ChainLink::BlockState::UNKNOWN);
    }
};

struct BadShardSetup : AlarmSetup {
    BadShardSetup() : AlarmSetup{2} {}
};

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_ALARM_SETUP_H
