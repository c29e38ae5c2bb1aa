// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <arith_uint256.h>
#include <chain.h>
#include <podl/merkle.h>
#include <chainparams.h>
#include <podl/disclosure.h>
#include <pow.h>
#include <test/podl_world.h>
#include <util/time.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

/** Notes what listeners are told. */
struct Notes : Listener {
    std::vector<std::string> m_notes;
    void EntryAccepted(const uint256&) override { m_notes.push_back("entry"); }
    void CommitmentAccepted(const uint256&) override { m_notes.push_back("commitment"); }
    void RevealAccepted(const uint256&, const uint256&) override { m_notes.push_back("reveal"); }
    void CandidateChanged(const uint256&) override { m_notes.push_back("candidate"); }
    void VerdictAccepted(const VerdictKey&) override { m_notes.push_back("verdict"); }
    void ObjectStored(ObjectKind kind, const uint256&) override { m_notes.push_back(KindName(kind)); }

    std::vector<std::string> Take() { return std::exchange(m_notes, {}); }
};

struct ManagerSetup : World {
    Notes m_notes;

    ManagerSetup()
    {
        OpenManager();
        m_manager->AddListener(&m_notes);
    }

    Entry Release(const std::vector<uint256>& list) { return MakeRelease(FIRST_HEIGHT, 0, m_base, list); }
    Submission Verdict(const Mined& mined, const Entry& release, uint32_t count)
    {
        return m_manager->SubmitVerdict(KeyOf(mined, release), {count, SAMPLES - count, "cpu", "test"});
    }
    void AddShard(const Entry& release)
    {
        const auto& opened{*release.AsRelease()};
        BOOST_CHECK_EQUAL(m_manager->AddObject(ObjectKind::SHARD, opened.test_root, m_shards.at(opened.shard_index)).reason, "");
    }
    std::vector<std::string> Waiting() const
    {
        std::vector<std::string> waiting;
        for (const auto& item : m_manager->Info().waiting) waiting.push_back(item.what);
        return waiting;
    }
    HeaderStatus Ask(const uint256& hash, int height)
    {
        CBlockIndex prev;
        prev.nHeight = height - 1;
        return m_manager->CheckHeader(hash, prev);
    }
};

struct StampSetup : World {
    StampSetup() : World{/*last_label=*/0, /*stamp_bits=*/8} { OpenManager(); }

    /** Submit a commitment that proves its work, with or without the task's stamp. */
    Submission Commit(const uint256& prev, bool stamped)
    {
        auto header{Mine(FIRST_HEIGHT, prev).disclosure.header};
        const auto& consensus{Params().GetConsensus()};
        while (!CheckProofOfWork(header.GetHash(), header.nBits, consensus) || MeetsStamp(header.GetHash(), m_task.stamp_bits) != stamped) ++header.nNonce;
        return m_manager->SubmitCommitment(HeaderBytes(header));
    }
};

using Names = std::vector<std::string>;

void CheckSubmission(const Submission& result, SubmitStatus status, const std::string& reason)
{
    BOOST_CHECK_EQUAL(result.reason, reason);
    BOOST_CHECK(result.status == status);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_manager_tests, ManagerSetup)

BOOST_AUTO_TEST_CASE(commitments)
{
    const auto commit{[&](const Mined& mined) { return m_manager->SubmitCommitment(HeaderBytes(mined.disclosure.header)); }};
    std::vector<Mined> miners;
    for (uint16_t i{0}; i < 5; ++i) miners.push_back(Mine(FIRST_HEIGHT, m_base, i));
    std::ranges::sort(miners, {}, [](const Mined& mined) { return UintToArith256(mined.Hash()); });
    CheckSubmission(commit(miners[0]), SubmitStatus::ACCEPTED, "");
    CheckSubmission(commit(miners[0]), SubmitStatus::DUPLICATE, "");
    CheckSubmission(commit(Mine(FIRST_HEIGHT, m_rng.rand256())), SubmitStatus::LATER, "podl-commit-prev");
    auto bits{miners[1]};
    bits.disclosure.header.nBits = 0;
    CheckSubmission(commit(bits), SubmitStatus::REFUSED, "podl-commit-stamp");
    for (size_t i{1}; i < 4; ++i) CheckSubmission(commit(miners[i]), SubmitStatus::ACCEPTED, "");
    CheckSubmission(commit(miners[4]), SubmitStatus::LATER, "podl-commit-full");
    CheckSubmission(m_manager->SubmitCommitment(Bytes(111)), SubmitStatus::REFUSED, "podl-commit-size");

    const auto view{m_manager->Commitments()};
    BOOST_CHECK(view.height == FIRST_HEIGHT && view.prev == m_base);
    BOOST_REQUIRE_EQUAL(view.commitments.size(), 4U);
    for (size_t i{0}; i < 4; ++i) BOOST_CHECK(view.commitments[i].hash == miners[i].Hash());
    BOOST_CHECK(m_manager->GetCommitmentBytes(miners[2].Hash()) == HeaderBytes(miners[2].disclosure.header));
    BOOST_CHECK(m_notes.Take() == Names(4, "commitment"));

    // Another tip at the height below makes them worthless; they come back with it.
    const uint256 other{m_rng.rand256()};
    m_chain->AddConnected(other, FIRST_HEIGHT - 1);
    BOOST_CHECK(m_manager->Commitments().commitments.empty());
    BOOST_CHECK(m_manager->Template(other).can_commit && !m_manager->Template(m_base).can_commit);
    OpenManager();
    BOOST_CHECK_EQUAL(m_manager->Commitments().commitments.size(), 4U);
}

BOOST_FIXTURE_TEST_CASE(commitments_without_a_stamp, StampSetup)
{
    CheckSubmission(Commit(m_base, /*stamped=*/true), SubmitStatus::ACCEPTED, "");
    CheckSubmission(Commit(m_base, /*stamped=*/false), SubmitStatus::REFUSED, "podl-commit-stamp");
    // Another block's commitments may be under a task that asks for less: their sender is not to blame.
    CheckSubmission(Commit(m_rng.rand256(), /*stamped=*/false), SubmitStatus::LATER, "podl-commit-prev");
}

BOOST_AUTO_TEST_CASE(commitment_times)
{
    auto mined{Mine(FIRST_HEIGHT, m_base)};
    const auto commit{[&](int64_t time) {
        mined.disclosure.header.nTime = time;
        while (true) {
            const auto result{m_manager->SubmitCommitment(HeaderBytes(mined.disclosure.header))};
            if (result.reason != "podl-commit-stamp") return result;
            ++mined.disclosure.header.nNonce;
        }
    }};
    CheckSubmission(commit(m_first.time - 1), SubmitStatus::LATER, "podl-commit-time");
    CheckSubmission(commit(GetTime() + MAX_FUTURE_TIME + 1), SubmitStatus::LATER, "podl-commit-time");
    CheckSubmission(commit(GetTime() + MAX_FUTURE_TIME), SubmitStatus::ACCEPTED, "");
}

BOOST_AUTO_TEST_CASE(a_whole_round)
{
    const auto winner{Mine(FIRST_HEIGHT, m_base, 1)}, loser{Mine(FIRST_HEIGHT, m_base, 2)}, stranger{Mine(FIRST_HEIGHT, m_base, 3)};
    const auto& roots{winner.disclosure.opening};
    // Nothing is taken before a release lists the header.
    CheckSubmission(m_manager->AddObject(ObjectKind::WEIGHTS, roots.weights_root, winner.weights), SubmitStatus::LATER, "podl-data-unwanted");
    const auto release{Release({loser.Hash(), winner.Hash()})};
    CheckSubmission(m_manager->SubmitReveal(MakeReveal(winner, release.id, 50)), SubmitStatus::LATER, "podl-reveal-release");
    Accept(release);
    CheckSubmission(Submit(release), SubmitStatus::DUPLICATE, "");
    CheckSubmission(m_manager->AddObject(ObjectKind::WEIGHTS, roots.weights_root, winner.weights), SubmitStatus::LATER, "podl-data-unwanted");
    CheckSubmission(m_manager->SubmitReveal(MakeReveal(stranger, release.id, 50)), SubmitStatus::LATER, "podl-not-committed");
    CheckSubmission(m_manager->SubmitReveal(MakeReveal(winner, release.id, 50)), SubmitStatus::ACCEPTED, "");
    CheckSubmission(m_manager->SubmitReveal(MakeReveal(winner, release.id, 50)), SubmitStatus::DUPLICATE, "");
    CheckSubmission(m_manager->SubmitReveal(MakeReveal(loser, release.id, 60)), SubmitStatus::ACCEPTED, "");
    BOOST_CHECK_EQUAL(StateOf(winner), "waiting-body");

    auto wrong{winner.weights};
    wrong[0] ^= 1;
    CheckSubmission(m_manager->AddObject(ObjectKind::WEIGHTS, roots.weights_root, wrong), SubmitStatus::REFUSED, "podl-data-root");
    wrong.push_back(0);
    CheckSubmission(m_manager->AddObject(ObjectKind::WEIGHTS, roots.weights_root, wrong), SubmitStatus::REFUSED, "podl-data-size");
    CheckSubmission(m_manager->AddObject(ObjectKind::BODY, winner.Hash(), loser.body), SubmitStatus::REFUSED, "podl-body-mismatch");
    m_notes.Take();
    AddData(winner);
    BOOST_CHECK(m_notes.Take() == Names({"body", "candidate", "weights", "candidate", "model", "candidate"}));
    AddData(loser);
    BOOST_CHECK_EQUAL(StateOf(winner), "waiting-shard");
    BOOST_CHECK(m_manager->Candidates().jobs.empty());
    AddShard(release);
    const auto jobs{m_manager->Candidates().jobs};
    BOOST_REQUIRE_EQUAL(jobs.size(), 2U);
    BOOST_CHECK(jobs[0].weights_root == loser.disclosure.opening.weights_root && jobs[0].claim == 60 && !jobs[0].is_final && jobs[0].n == SAMPLES);

    CheckSubmission(m_manager->SubmitVerdict({1, m_program, m_rng.rand256(), jobs[0].test_root}, {}), SubmitStatus::REFUSED, "podl-verdict-key");
    CheckSubmission(Verdict(loser, release, SAMPLES + 1), SubmitStatus::REFUSED, "podl-verdict-range");
    CheckSubmission(Verdict(loser, release, 20), SubmitStatus::ACCEPTED, "");
    CheckSubmission(Verdict(winner, release, 50), SubmitStatus::ACCEPTED, "");
    CheckSubmission(Verdict(winner, release, 50), SubmitStatus::DUPLICATE, "");
    BOOST_CHECK_EQUAL(StateOf(loser), "false-claim");
    BOOST_CHECK_EQUAL(StateOf(winner), "valid");
    BOOST_CHECK(m_manager->Info().reveal_phase && m_manager->Info().candidates == 2);

    const auto final{MakeFinal(FIRST_HEIGHT, 0, winner, 50)};
    BOOST_CHECK(Ask(winner.Hash(), FIRST_HEIGHT) == HeaderStatus::NOT_YET);
    Accept(final);
    BOOST_CHECK(Ask(winner.Hash(), FIRST_HEIGHT) == HeaderStatus::ADMIT);
    BOOST_CHECK(Ask(loser.Hash(), FIRST_HEIGHT) == HeaderStatus::NOT_FINAL);
    BOOST_CHECK(!m_manager->ObjectSize(ObjectKind::WEIGHTS, loser.disclosure.opening.weights_root));
    BOOST_CHECK(m_manager->ObjectSize(ObjectKind::WEIGHTS, roots.weights_root) == uint64_t{PARAMETERS});
    BOOST_CHECK(m_manager->KindOfRoot(roots.model_root) == ObjectKind::MODEL);
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(winner.Hash()) == ChainLink::BlockState::CONNECTED);
    const auto info{m_manager->Info()};
    BOOST_CHECK(info.height == FIRST_HEIGHT + 1 && !info.reveal_phase && info.prev == winner.Hash() && info.finals == 1 && info.evaluated == 1);
    BOOST_CHECK_EQUAL(info.accuracy_work, (uint64_t{SAMPLES} << 24) / (SAMPLES - 50 + 1));
    BOOST_CHECK(info.alarms.empty() && info.waiting.empty());
    // A crash could still take the block from Core: the body is kept until Core's files are written.
    const auto file{m_path_root / "podl" / "data" / fs::PathFromString("body-" + HexStr(winner.Hash()))};
    BOOST_CHECK(fs::exists(file));
    m_chain->m_flushed = FIRST_HEIGHT;
    m_manager->SyncQueue();
    BOOST_CHECK(!fs::exists(file));
    BOOST_CHECK(m_manager->ReadObject(ObjectKind::BODY, winner.Hash(), 0, 1 << 20) == winner.body);
}

BOOST_AUTO_TEST_CASE(pieces)
{
    const auto mined{Mine(FIRST_HEIGHT, m_base)};
    const auto release{Release({mined.Hash()})};
    Accept(release);
    BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(mined, release.id, 50)).status == SubmitStatus::ACCEPTED);
    const auto& root{mined.disclosure.opening.model_root};
    const auto piece{[&](uint64_t size, uint64_t offset, uint64_t length) {
        const auto bytes{std::span{mined.model}.subspan(offset, length)};
        return m_manager->SubmitPiece(ObjectKind::MODEL, root, size, offset, bytes);
    }};
    CheckSubmission(piece(401, 0, 10), SubmitStatus::REFUSED, "podl-data-size");
    // Its beginning may have made room for others, which is not the sender's fault.
    CheckSubmission(piece(40, 10, 10), SubmitStatus::LATER, "podl-data-missing");
    BOOST_CHECK_EQUAL(piece(40, 0, 30).received, 30U);
    BOOST_CHECK_EQUAL(piece(40, 5, 10).received, 30U);
    const auto last{piece(40, 30, 10)};
    BOOST_CHECK(last.status == SubmitStatus::ACCEPTED && last.received == 40 && last.complete);
    BOOST_CHECK(piece(40, 0, 10).status == SubmitStatus::DUPLICATE);
    BOOST_CHECK(m_manager->ReadObject(ObjectKind::MODEL, root, 8, 4) == Bytes(mined.model.begin() + 8, mined.model.begin() + 12));
}

BOOST_AUTO_TEST_CASE(a_node_that_comes_later)
{
    const auto mined{Mine(FIRST_HEIGHT, m_base)};
    const auto release{Release({mined.Hash()})};
    const auto final{MakeFinal(FIRST_HEIGHT, 0, mined, 50)};
    m_manager->Start();
    // Out of order: the final waits for its release.
    CheckSubmission(Submit(final), SubmitStatus::LATER, "podl-entry-prev");
    BOOST_CHECK(Waiting() == Names({"entry"}));
    Accept(release);
    BOOST_CHECK_EQUAL(m_manager->Info().finals, 1U);
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(mined.Hash()) == ChainLink::BlockState::HEADER);
    const auto wants{m_manager->Wanted()};
    BOOST_REQUIRE_EQUAL(wants.size(), 4U);
    BOOST_CHECK(wants[0].type == 4 && wants[0].id == mined.Hash());
    BOOST_CHECK(wants[1].kind == ObjectKind::WEIGHTS && wants[1].size == PARAMETERS);
    BOOST_CHECK(wants[2].kind == ObjectKind::SHARD && wants[2].size == m_shards[0].size());
    BOOST_CHECK(wants[3].kind == ObjectKind::MODEL && wants[3].size == 4 * PARAMETERS);
    BOOST_CHECK(wants[1].max_size == 100 && wants[3].max_size == 400); // the task's max_weights
    AddData(mined);
    AddShard(release);
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(mined.Hash()) == ChainLink::BlockState::DATA);
    BOOST_CHECK(Waiting() == Names({"evaluator"}));
    const auto jobs{m_manager->Candidates().jobs};
    BOOST_REQUIRE_EQUAL(jobs.size(), 1U);
    BOOST_CHECK(jobs[0].is_final && jobs[0].height == FIRST_HEIGHT && jobs[0].claim == 50);
    CheckSubmission(Verdict(mined, release, 50), SubmitStatus::ACCEPTED, "");
    m_manager->SyncQueue();
    BOOST_CHECK(m_chain->StateOf(mined.Hash()) == ChainLink::BlockState::CONNECTED);
    BOOST_CHECK(Waiting().empty() && m_manager->Wanted().empty());
}

BOOST_AUTO_TEST_CASE(weights_of_another_length)
{
    // The right bytes prove an opening wrong that names their length wrong.
    auto mined{Mine(FIRST_HEIGHT, m_base)};
    mined.weights.push_back(1);
    auto& [header, opening, recipe, payout]{mined.disclosure};
    opening.weights_root = DataRoot(mined.weights);
    header.hashModel = opening.GetHash();
    const auto release{Release({mined.Hash()})};
    Accept(release);
    BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(mined, release.id, 50)).status == SubmitStatus::ACCEPTED);
    CheckSubmission(m_manager->AddObject(ObjectKind::WEIGHTS, opening.weights_root, mined.weights), SubmitStatus::REFUSED, "podl-model-size");
    BOOST_CHECK_EQUAL(StateOf(mined), "invalid podl-model-size");
}

BOOST_AUTO_TEST_CASE(a_new_attempt)
{
    const auto mined{Mine(FIRST_HEIGHT, m_base)};
    const auto first{Release({mined.Hash()})};
    Accept(first);
    BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(mined, first.id, 50)).status == SubmitStatus::ACCEPTED);
    AddData(mined);
    const auto second{MakeRelease(FIRST_HEIGHT, 1, m_base, {mined.Hash()})};
    Accept(second);
    BOOST_CHECK(m_manager->Info().attempt == 1 && m_manager->Candidates().candidates.empty() && m_manager->RevealIds().empty());
    CheckSubmission(m_manager->SubmitReveal(MakeReveal(mined, first.id, 60)), SubmitStatus::LATER, "podl-late-reveal");
    CheckSubmission(m_manager->SubmitReveal(MakeReveal(mined, second.id, 50)), SubmitStatus::ACCEPTED, "");
    BOOST_CHECK_EQUAL(StateOf(mined), "waiting-shard"); // body and weights were kept
    OpenManager();
    BOOST_CHECK_EQUAL(StateOf(mined), "waiting-shard");
    BOOST_CHECK_EQUAL(m_manager->Candidates().candidates[0].signatures[0].size(), SIGNATURE_SIZE);
}

BOOST_AUTO_TEST_CASE(spared_candidates_are_fetched_last)
{
    const auto best{Mine(FIRST_HEIGHT, m_base, 1)}, spare{Mine(FIRST_HEIGHT, m_base, 2)};
    const auto release{Release({spare.Hash(), best.Hash()})};
    Accept(release);
    BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(spare, release.id, 40)).status == SubmitStatus::ACCEPTED);
    BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(best, release.id, 50)).status == SubmitStatus::ACCEPTED);
    AddShard(release);
    const auto wanted{[&] {
        std::vector<uint256> ids;
        for (const auto& want : m_manager->Wanted()) ids.push_back(want.id);
        return ids;
    }};
    const auto& [roots, others]{std::tie(best.disclosure.opening, spare.disclosure.opening)};
    BOOST_CHECK(wanted() == std::vector({best.Hash(), roots.weights_root, spare.Hash(), others.weights_root}));
    BOOST_REQUIRE(m_manager->AddObject(ObjectKind::BODY, best.Hash(), best.body).status == SubmitStatus::ACCEPTED);
    BOOST_REQUIRE(m_manager->AddObject(ObjectKind::WEIGHTS, roots.weights_root, best.weights).status == SubmitStatus::ACCEPTED);
    BOOST_REQUIRE(Verdict(best, release, 50).status == SubmitStatus::ACCEPTED);
    BOOST_CHECK_EQUAL(StateOf(spare), "not-needed");
    // The winner's model comes first; the other candidate is for the requester, if the winner does not replay.
    BOOST_CHECK(wanted() == std::vector({roots.model_root, spare.Hash(), others.weights_root}));
    BOOST_CHECK(Waiting() == Names({"model"}));
    BOOST_REQUIRE(m_manager->AddObject(ObjectKind::MODEL, roots.model_root, best.model).status == SubmitStatus::ACCEPTED);
    AddData(spare);
    BOOST_CHECK_EQUAL(StateOf(spare), "not-needed");
    BOOST_CHECK(wanted().empty() && Waiting().empty());
}

BOOST_AUTO_TEST_CASE(first_release_needs_its_block)
{
    const auto mined{Mine(FIRST_HEIGHT, m_base)};
    const auto unknown{m_rng.rand256()};
    const auto release{MakeRelease(FIRST_HEIGHT, 0, unknown, {mined.Hash()})};
    CheckSubmission(Submit(release), SubmitStatus::LATER, "podl-release-prev");
    m_chain->m_blocks[unknown] = {FIRST_HEIGHT - 1, ChainLink::BlockState::HEADER, nullptr};
    m_manager->Start();
    m_manager->SyncQueue(); // the worker tries again by itself
    BOOST_CHECK_EQUAL(m_manager->Info().entries, 2U);
}

BOOST_AUTO_TEST_CASE(entries_ahead_of_the_clock)
{
    const auto mined{Mine(FIRST_HEIGHT, m_base)};
    const auto release{Release({mined.Hash()})};
    SetMockTime(Time() - MAX_FUTURE_TIME - 1);
    CheckSubmission(Submit(release), SubmitStatus::LATER, "podl-entry-future");
    SetMockTime(Time() - MAX_FUTURE_TIME);
    m_manager->Start();
    m_manager->SyncQueue();
    BOOST_CHECK_EQUAL(m_manager->Info().entries, 2U);
}

BOOST_AUTO_TEST_CASE(candidates_data_within_the_quota)
{
    std::vector<Mined> mined;
    std::vector<uint256> list;
    for (uint16_t i{0}; i < 3; ++i) {
        mined.push_back(Mine(FIRST_HEIGHT, m_base, i));
        list.push_back(mined.back().Hash());
    }
    const auto release{Release(list)};
    Accept(release);
    for (const auto& miner : mined) BOOST_REQUIRE(m_manager->SubmitReveal(MakeReveal(miner, release.id, 50)).status == SubmitStatus::ACCEPTED);
    AddData(mined[0]);
    AddData(mined[1]);
    CheckSubmission(m_manager->AddObject(ObjectKind::BODY, mined[2].Hash(), mined[2].body), SubmitStatus::LATER, "podl-data-full");
    // A false claim makes room.
    AddShard(release);
    CheckSubmission(Verdict(mined[1], release, 20), SubmitStatus::ACCEPTED, "");
    AddData(mined[2]);
    BOOST_CHECK_EQUAL(StateOf(mined[2]), "waiting-verdict");
    BOOST_CHECK_EQUAL(StateOf(mined[0]), "waiting-verdict");
}

BOOST_AUTO_TEST_SUITE_END()
