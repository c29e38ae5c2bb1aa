// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/schedule.h>

#include <crypto/sha256.h>
#include <key.h>
#include <test/podl_vectors.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

//! Evidence with fewer finals behind its slot freezes a schedule (protocol section 5).
constexpr size_t FREEZE_DEPTH{6};

std::string ClassName(FailureClass cls)
{
    switch (cls) {
    case FailureClass::PERM: return "perm";
    case FailureClass::DATA: return "data";
    case FailureClass::LATER: return "later";
    case FailureClass::EVIDENCE: return "evidence";
    } // no default case, so the compiler can warn about missing cases
    return {};
}

/** Answer to a submission, as the vectors write it. */
struct Answer {
    std::string status{"accepted"};
    Reject reject{};

    static Answer To(const Reject& reject) { return {reject.cls == FailureClass::LATER ? "later" : "refused", reject}; }
};

/** A schedule with the least that a receiver adds: duplicates, alarms and when it freezes. */
struct Receiver {
    Schedule schedule;
    std::map<uint256, int> blocks;
    std::set<std::pair<size_t, uint256>> alarms;
    bool frozen{false};

    explicit Receiver(const UniValue& known)
    {
        for (const std::string& hash : known.getKeys()) blocks.emplace(H32(hash), known[hash].getInt<int>());
    }

    Result<void> Check(const Entry& entry, int64_t now) const
    {
        return schedule.Check(entry, now, [&](const uint256& hash) -> std::optional<int> {
            const auto block{blocks.find(hash)};
            if (block == blocks.end()) return std::nullopt;
            return block->second;
        }, frozen);
    }

    void RaiseAlarm(const Equivocation& found)
    {
        alarms.emplace(found.slot, found.other);
        frozen = frozen || found.finals_behind < FREEZE_DEPTH;
    }

    Answer Offer(const Entry& entry, int64_t now)
    {
        if (schedule.Find(entry.id)) return {.status = "duplicate"};
        const auto checked{Check(entry, now)};
        if (!checked) {
            if (checked.error().reason == "podl-entry-equivocation") RaiseAlarm(schedule.FindConflict(entry).value());
            return Answer::To(checked.error());
        }
        schedule.Append(entry);
        return {};
    }

    Answer Play(const UniValue& step)
    {
        if (step.exists("void")) {
            schedule.VoidLast();
            return {};
        }
        if (step.exists("reveal")) {
            const auto reveal{ParseReveal(HexBytes(step["reveal"]))};
            if (!reveal) return Answer::To(reveal.error());
            const auto checked{schedule.CheckReveal(*reveal)};
            return checked ? Answer{} : Answer::To(checked.error());
        }
        const auto entry{ParseEntry(HexBytes(step["entry"]))};
        return entry ? Offer(*entry, step["now"].getInt<int64_t>()) : Answer::To(entry.error());
    }
};

void CheckAnswer(const Answer& answer, const UniValue& step)
{
    const auto& [status, reject]{answer};
    BOOST_CHECK_EQUAL(status, step["status"].get_str());
    BOOST_CHECK_EQUAL(reject.reason, step["reason"].get_str());
    BOOST_CHECK_EQUAL(reject.reason.empty() ? "" : ClassName(reject.cls), step["class"].get_str());
    // Other details are words for people.
    if (reject.reason == "podl-final-invalid") BOOST_CHECK_EQUAL(reject.detail, step["detail"].get_str());
}

void CheckState(const Receiver& receiver, const UniValue& step)
{
    BOOST_CHECK_EQUAL(receiver.schedule.Size(), step["entries"].getInt<size_t>());
    BOOST_CHECK_EQUAL(receiver.schedule.LastId(), H32(step["last_id"]));
    BOOST_CHECK_EQUAL(receiver.schedule.NextHeight(), step["next_height"].getInt<uint32_t>());
    BOOST_CHECK_EQUAL(receiver.frozen, step["frozen"].get_bool());
    BOOST_CHECK_EQUAL(receiver.alarms.size(), step["alarms"].getInt<size_t>());
}

/** What the queries say about one height with a final. */
void CheckHeight(const Schedule& schedule, uint32_t height)
{
    const Entry* entry{schedule.FinalFor(height)};
    BOOST_REQUIRE(entry && entry->AsFinal());
    const Final& final{*entry->AsFinal()};
    BOOST_CHECK_EQUAL(final.height, height);
    BOOST_CHECK(schedule.FinalByHash(final.BlockHash()) == entry);
    BOOST_CHECK(schedule.CommitPrev(height + 1) == final.BlockHash());
    BOOST_CHECK(schedule.OpeningReleaseId(height) == final.disclosure.opening.release_id);
    BOOST_CHECK(schedule.FindTask(final.disclosure.opening.task_id) == schedule.TaskFor(height));
    BOOST_CHECK_EQUAL(schedule.FirstRelease(height)->AsRelease()->attempt, 0);
    BOOST_CHECK_EQUAL(schedule.LatestRelease(height)->AsRelease()->attempt, final.attempt);
    BOOST_CHECK(schedule.Models().IsUsed(final.disclosure.opening.model_root));
    BOOST_CHECK(schedule.Models().IsUsed(final.disclosure.opening.weights_root));
}

void CheckQueries(const Schedule& schedule)
{
    size_t finals{0};
    for (size_t i{schedule.Size()}; i-- > 0;) {
        BOOST_CHECK(schedule.Find(schedule.At(i).id) == i);
        BOOST_CHECK_EQUAL(schedule.FinalsBehind(i), finals);
        const Final* final{schedule.At(i).AsFinal()};
        finals += final && schedule.FinalByHash(final->BlockHash()) == &schedule.At(i); // a void one does not count
    }
    BOOST_CHECK_EQUAL(schedule.FinalCount(), finals);
    BOOST_CHECK_EQUAL(schedule.NextHeight(), schedule.FirstHeight() + finals);
    for (uint32_t height{schedule.FirstHeight()}; height < schedule.NextHeight(); ++height) CheckHeight(schedule, height);
    BOOST_CHECK(!schedule.FinalFor(schedule.NextHeight()));
    BOOST_CHECK_EQUAL(schedule.InReveal(), schedule.RoundFor(schedule.NextHeight()).has_value());
}

UniValue Sequence(const std::string& name)
{
    for (const UniValue& sequence : Cases(LoadVectors("schedule.json"), "sequences")) {
        if (sequence["name"].get_str() == name) return sequence;
    }
    BOOST_FAIL("no sequence " << name);
    return {};
}

/** The first entry of the vectors' chain. */
Entry FirstEntry()
{
    const auto entry{ParseEntry(HexBytes(Sequence("links between entries")["steps"][0]["entry"]))};
    BOOST_REQUIRE(entry);
    return *entry;
}

/** Sign an altered entry with the vectors' requester key, which is the hash of its name. */
void SignAgain(Entry& entry)
{
    SealEntry(entry);
    const std::string name{"PoDL vector: key requester"};
    uint256 secret;
    CSHA256().Write(reinterpret_cast<const unsigned char*>(name.data()), name.size()).Finalize(secret.begin());
    CKey key;
    key.Set(secret.begin(), secret.end(), /*fCompressedIn=*/true);
    BOOST_REQUIRE(key.SignSchnorr(entry.id, entry.sig, /*merkle_root=*/nullptr, /*aux=*/{}));
    SealEntry(entry);
}

//! Enough to notice a query that walks the log.
constexpr uint32_t MANY_HEIGHTS{20000};

/** An entry behind another one, with no regard to the rules. */
Entry Behind(const uint256& prev, const Schedule& schedule, std::variant<Task, Release, Final, Shards> body)
{
    Entry entry;
    entry.chain_id = schedule.ChainId();
    entry.prev = prev;
    entry.body = std::move(body);
    SealEntry(entry);
    return entry;
}

/** Append the release and final of one height without asking whether they are allowed. */
void AppendRound(Schedule& schedule, uint32_t height)
{
    Release release;
    release.height = height;
    schedule.Append(Behind(schedule.LastId(), schedule, release));

    Final final;
    final.height = height;
    final.disclosure.header.nVersion = 0x40000000;
    final.disclosure.header.nTime = height;
    final.disclosure.opening.task_id = schedule.ChainId();
    final.disclosure.opening.release_id = *schedule.OpeningReleaseId(height);
    final.disclosure.opening.weights_root = schedule.LastId();
    final.disclosure.opening.model_root = final.BlockHash();
    final.disclosure.payout = {1};
    schedule.Append(Behind(schedule.LastId(), schedule, final));
}

} // namespace

BOOST_AUTO_TEST_SUITE(podl_schedule_tests)

BOOST_AUTO_TEST_CASE(sequences)
{
    ScopedPodlHeaders flag;
    for (const UniValue& sequence : Cases(LoadVectors("schedule.json"), "sequences")) {
        Receiver receiver{sequence["blocks"]};
        for (const UniValue& step : Cases(sequence, "steps")) {
            BOOST_TEST_CONTEXT(sequence["name"].get_str() << ": " << step["case"].get_str())
            {
                CheckAnswer(receiver.Play(step), step);
                CheckState(receiver, step);
            }
        }
        BOOST_TEST_CONTEXT(sequence["name"].get_str()) CheckQueries(receiver.schedule);
    }
}

BOOST_AUTO_TEST_CASE(behind_a_final_no_other_block_is_worth_waiting_for)
{
    ScopedPodlHeaders flag;
    const ECC_Context ecc;
    const UniValue sequence{Sequence("previous block at the first height")};
    Receiver receiver{sequence["blocks"]};
    const UniValue& steps{sequence["steps"]};
    for (size_t i{0}; i + 1 < steps.size(); ++i) receiver.Play(steps[i]);
    auto release{ParseEntry(HexBytes(steps[steps.size() - 1]["entry"]))};
    BOOST_REQUIRE(release && release->AsRelease());
    BOOST_CHECK(receiver.Check(*release, release->time));
    std::get<Release>(release->body).prev_block = uint256::ONE;
    SignAgain(*release);
    const auto checked{receiver.Check(*release, release->time)};
    BOOST_REQUIRE(!checked);
    BOOST_CHECK_EQUAL(checked.error().reason, "podl-release-prev");
    BOOST_CHECK(checked.error().cls == FailureClass::DATA);
}

BOOST_AUTO_TEST_CASE(an_empty_schedule)
{
    const Schedule schedule;
    BOOST_CHECK(schedule.Empty());
    BOOST_CHECK(schedule.LastId().IsNull() && schedule.ChainId().IsNull());
    BOOST_CHECK(!schedule.TaskFor(1) && !schedule.LatestRelease(1) && !schedule.FinalFor(1));
    BOOST_CHECK(!schedule.OpeningReleaseId(1) && !schedule.CommitPrev(1) && !schedule.RoundFor(1) && !schedule.InReveal());
}

BOOST_AUTO_TEST_CASE(heights_outside_the_log)
{
    ScopedPodlHeaders flag;
    Schedule schedule;
    schedule.Append(FirstEntry());
    const uint32_t first{schedule.FirstHeight()};
    BOOST_CHECK(schedule.OpeningReleaseId(first) == schedule.ChainId());
    BOOST_CHECK(!schedule.CommitPrev(first));
    for (const uint32_t height : {0U, first - 1}) {
        BOOST_CHECK(!schedule.TaskFor(height) && !schedule.FirstRelease(height) && !schedule.OpeningReleaseId(height));
    }
    for (const uint32_t height : {first + 1, 0xffffffffU}) {
        BOOST_CHECK(schedule.TaskFor(height));
        BOOST_CHECK(!schedule.FirstRelease(height) && !schedule.OpeningReleaseId(height) && !schedule.CommitPrev(height));
    }
}

BOOST_AUTO_TEST_CASE(a_long_log)
{
    ScopedPodlHeaders flag;
    Schedule schedule;
    schedule.Append(FirstEntry());
    const uint32_t first{schedule.FirstHeight()};
    const Entry* early{&schedule.At(0)};
    for (uint32_t i{0}; i < MANY_HEIGHTS; ++i) AppendRound(schedule, first + i);
    BOOST_CHECK(early == &schedule.At(0));
    BOOST_CHECK_EQUAL(schedule.Size(), 1 + 2 * MANY_HEIGHTS);
    BOOST_CHECK_EQUAL(schedule.NextHeight(), first + MANY_HEIGHTS);
    BOOST_CHECK_EQUAL(schedule.FinalsBehind(0), MANY_HEIGHTS);
    for (uint32_t i{0}; i < MANY_HEIGHTS; i += 997) CheckHeight(schedule, first + i);
    CheckHeight(schedule, first + MANY_HEIGHTS - 1);

    const auto conflict{schedule.FindConflict(Behind(schedule.ChainId(), schedule, Shards{}))};
    BOOST_REQUIRE(conflict);
    BOOST_CHECK_EQUAL(conflict->slot, 1U);
    BOOST_CHECK_EQUAL(conflict->finals_behind, MANY_HEIGHTS);
    BOOST_CHECK(!schedule.FindConflict(schedule.At(1)));
    BOOST_CHECK(!schedule.FindConflict(Behind(schedule.LastId(), schedule, Shards{})));
}

BOOST_AUTO_TEST_SUITE_END()
