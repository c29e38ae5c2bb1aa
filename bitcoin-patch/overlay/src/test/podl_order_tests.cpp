// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <crypto/common.h>
#include <podl/entry.h>
#include <test/podl_history.h>
#include <test/podl_order_node.h>
#include <test/podl_world.h>
#include <tinyformat.h>
#include <util/strencodings.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/**
 * Order independence: whatever the order in which a node learns of things, it ends in the same place.
 *
 * PODL_ORDER_HISTORIES says how many histories to play (a long run: 100000), PODL_ORDER_SEED which one is the first.
 */

using namespace podl;
using namespace podl::test;

namespace {

constexpr uint64_t HISTORIES{100};
constexpr size_t NODES{3};

uint64_t FromEnvironment(const char* name, uint64_t otherwise)
{
    const char* value{std::getenv(name)};
    return value ? ToIntegral<uint64_t>(value).value() : otherwise;
}

/** One output layer of 3 classes on 4 values: wrong samples differ in rank. */
const Bytes PROGRAM{1, 1, 4, 0, 1, 9, 0, 3, 0, 0, 0, 0, 0};
constexpr uint16_t CLASSES{3};
constexpr uint32_t PROGRAM_PARAMETERS{(4 + 1) * CLASSES};

std::string Where(size_t node, const std::string& what) { return strprintf("%s (node %u)", what, node); }

/** Docs/protocol.md on two entries for a slot: every node has one of them, knows both, and has connected nothing behind it since. */
std::optional<std::string> CheckFrozen(const History& history, const Outcome& found)
{
    const auto& limits{history.limits};
    if (!found.frozen || !found.at_freeze) return "not frozen";
    if (!std::includes(found.evidence.begin(), found.evidence.end(), limits.rivals.begin(), limits.rivals.end())) return "evidence is missing";
    if (found.entries.size() <= limits.slot || !limits.rivals.contains(found.entries[limits.slot])) return "slot holds another entry";
    for (size_t i{0}; i < history.messages.size(); ++i) {
        const auto& message{history.messages[i]};
        if (message.kind != Message::Kind::ENTRY || message.name.starts_with("forged")) continue;
        const auto entry{ParseEntry(message.bytes)};
        if (!entry || !limits.rivals.contains(entry->id)) continue;
        const bool accepted{entry->id == found.entries[limits.slot]};
        if (found.answers[i] != (accepted ? "1 " : "3 podl-entry-equivocation")) return strprintf("refusal of %s: %s", message.name, found.answers[i]);
    }
    for (const auto& [height, hash] : found.connected) {
        if (height < limits.frozen) continue;
        const auto before{found.at_freeze->find(height)};
        if (before == found.at_freeze->end() || before->second != hash) return strprintf("block %u was connected after the freeze", height);
    }
    return std::nullopt;
}

/** What a node must have reached whatever the others did. */
std::optional<std::string> CheckOne(const History& history, const Outcome& found)
{
    const auto& limits{history.limits};
    if (!found.problem.empty()) return found.problem;
    if (found.frozen && !limits.Broken()) return "frozen without a cause";
    for (const auto& [height, hash] : found.connected) {
        if (history.void_blocks.contains(hash)) return strprintf("void block %u is connected", height);
    }
    if (!history.complete || limits.contested) return std::nullopt;
    for (const auto& [height, hash] : history.blocks) {
        const auto at{found.connected.find(height)};
        if (height < limits.blocks && (at == found.connected.end() || at->second != hash)) return strprintf("block %u is not connected", height);
    }
    const auto prefix{std::min(history.log.size(), limits.entries)};
    if (found.entries.size() < prefix || !std::equal(history.log.begin(), history.log.begin() + prefix, found.entries.begin())) return "log is another";
    if (limits.Broken()) return CheckFrozen(history, found);
    if (!history.Certain()) return std::nullopt;
    if (found.is_void != history.ends_void) return found.is_void ? "void without a cause" : "not void";
    if (found.entries.size() != history.log.size() || found.connected.size() != history.blocks.size()) return "more than the history's log or blocks";
    return std::nullopt;
}

bool IsRefusal(const std::string& answer) { return answer.starts_with(strprintf("%d", static_cast<int>(SubmitStatus::REFUSED))); }

/** Two nodes that have connected nothing behind the slot have the same tip. */
std::optional<std::string> CompareFrozen(const History& history, const Outcome& a, const Outcome& b)
{
    const auto& limits{history.limits};
    if (!limits.Broken() || limits.contested || !a.at_freeze || !b.at_freeze) return std::nullopt;
    const auto is_below{[&](const auto& connected) { return connected.empty() || connected.rbegin()->first < limits.frozen; }};
    if (is_below(*a.at_freeze) && is_below(*b.at_freeze) && a.connected != b.connected) return "tips of frozen nodes";
    return std::nullopt;
}

/** Where two nodes differ and should not. */
std::optional<std::string> Compare(const History& history, const Outcome& a, const Outcome& b)
{
    const auto& limits{history.limits};
    for (const auto* one : {&a, &b}) {
        const auto& other{one == &a ? b : a};
        for (const auto& [height, hash] : one->connected) {
            const auto at{other.connected.find(height)};
            if (height < limits.blocks && (at == other.connected.end() || at->second != hash)) return strprintf("block %u", height);
        }
    }
    const size_t both{std::min({a.entries.size(), b.entries.size(), limits.entries})};
    if (!std::equal(a.entries.begin(), a.entries.begin() + both, b.entries.begin())) return "entries";
    if (limits.entries != Limits::NONE) return CompareFrozen(history, a, b);
    if (a.entries != b.entries) return "number of entries";
    for (size_t i{0}; i < std::max(a.state.size(), b.state.size()); ++i) {
        // Bytes that found no room have not been looked at.
        const bool unseen{!history.roomy && i < a.state.size() && a.state[i].first.starts_with("fault") && (a.state[i].second.empty() || b.state.at(i).second.empty())};
        if (unseen && a.state[i].first == b.state[i].first) continue;
        const auto show{[&](const Outcome& of) { return i < of.state.size() ? of.state[i].first + " = " + of.state[i].second : "nothing"; }};
        if (show(a) != show(b)) return show(a) + " against " + show(b);
    }
    for (size_t i{0}; i < a.answers.size(); ++i) {
        // Which of two verdicts is the first is the node's own affair, and bytes that nobody needs are held if there was room for them.
        if (history.messages[i].kind == Message::Kind::VERDICT) continue;
        if (history.messages[i].kind == Message::Kind::OBJECT && !(IsRefusal(a.answers[i]) && IsRefusal(b.answers[i]))) continue;
        if (a.answers[i] != b.answers[i]) return strprintf("answers to %s: %s against %s", history.messages[i].name, a.answers[i], b.answers[i]);
    }
    return std::nullopt;
}

/** A message that some node could take was held against its sender by another. */
std::optional<std::string> FindBlame(const History& history, const std::vector<Outcome>& outcomes)
{
    for (const auto& outcome : outcomes) {
        for (const auto& [index, reason] : outcome.blamed) {
            const bool taken{std::ranges::any_of(outcomes, [&](const Outcome& other) { return other.accepted.contains(index); })};
            if (taken) return strprintf("blame for %s: %s", history.messages[index].name, reason);
        }
    }
    return std::nullopt;
}

/** A history with the orders in which its nodes get it. */
struct Trial {
    History history;
    std::vector<Order> orders{};

    Trial(World& world, uint64_t seed)
    {
        uint256 key;
        WriteLE64(key.begin(), seed);
        world.m_rng.Reseed(key);
        FastRandomContext rng{world.m_rng.rand256()};
        history = MakeHistory(world, rng);
        for (size_t node{0}; node < NODES; ++node) orders.push_back(MakeOrder(history, rng, /*mishaps=*/node > 0));
    }
};

struct Counts {
    std::map<std::string, uint64_t> seen{}; //!< answers by kind and reason
    uint64_t messages{0}, steps{0}, broken{0}, contested{0}, blocks{0}, withdrawals{0}, idle{0}, ends_void{0}, two_tasks{0}, certain{0};

    void Add(const Trial& trial, const std::vector<Outcome>& outcomes)
    {
        messages += trial.history.messages.size();
        const auto& history{trial.history};
        broken += history.limits.Broken();
        contested += history.limits.contested;
        withdrawals += history.withdrawals;
        idle += history.idle;
        ends_void += history.ends_void;
        two_tasks += history.two_tasks;
        certain += history.Certain();
        for (const auto& order : trial.orders) steps += order.size();
        for (const auto& outcome : outcomes) {
            blocks += outcome.connected.size();
            for (size_t i{0}; i < outcome.answers.size(); ++i) ++seen[strprintf("%d: %s", static_cast<int>(trial.history.messages[i].kind), outcome.answers[i])];
        }
    }
};

/** Whether the node is opened again, so that it needs its database. */
bool ComesBack(const Order& order)
{
    return std::ranges::any_of(order, [](const Step& step) { return step.op == Step::Op::RESTART || step.op == Step::Op::KILL; });
}

std::optional<std::string> Play(World& world, const Trial& trial, Counts* counts = nullptr)
{
    std::vector<Outcome> outcomes;
    for (size_t node{0}; node < trial.orders.size(); ++node) {
        outcomes.push_back(OrderNode{world, trial.history, ComesBack(trial.orders[node])}.Run(trial.orders[node]));
    }
    if (counts) counts->Add(trial, outcomes);
    for (size_t node{0}; node < outcomes.size(); ++node) {
        if (const auto problem{CheckOne(trial.history, outcomes[node])}) return Where(node, *problem);
        if (const auto problem{Compare(trial.history, outcomes.front(), outcomes[node])}) return Where(node, *problem);
    }
    return FindBlame(trial.history, outcomes);
}

/** Leave out messages and mishaps as long as the same check fails, which its first word names. */
void Shrink(World& world, Trial& trial, const std::string& problem)
{
    const auto fails{[&, word = problem.substr(0, problem.find(' '))](const Trial& less) { return Play(world, less).value_or("").starts_with(word); }};
    const bool was_complete{std::exchange(trial.history.complete, false)};
    const bool stays{fails(trial)}; // otherwise it is about something that does not come about, and every message matters
    for (size_t i{0}; stays && i < trial.history.messages.size(); ++i) {
        auto less{trial};
        for (auto& order : less.orders) std::erase_if(order, [&](const Step& step) { return step.op == Step::Op::MESSAGE && step.value == i; });
        if (fails(less)) trial = std::move(less);
    }
    if (!stays) trial.history.complete = was_complete;
    for (size_t node{0}; node < NODES; ++node) {
        for (size_t i{trial.orders[node].size()}; i-- > 0;) {
            auto less{trial};
            less.orders[node].erase(less.orders[node].begin() + i);
            if (trial.orders[node][i].op != Step::Op::MESSAGE && fails(less)) trial = std::move(less);
        }
    }
}

std::string Show(const Trial& trial)
{
    std::string text;
    for (const auto& order : trial.orders) {
        text += "\n  order:";
        for (const auto& step : order) {
            text += step.op == Step::Op::MESSAGE ? "\n    " + trial.history.messages[step.value].name : strprintf("\n    mishap %d", static_cast<int>(step.op));
        }
    }
    return text;
}

/** Play histories until one fails. */
Counts PlayAll(World& world, uint64_t histories)
{
    const auto first{FromEnvironment("PODL_ORDER_SEED", 1)};
    Counts counts;
    for (uint64_t seed{first}; seed < first + histories; ++seed) {
        Trial trial{world, seed};
        const auto problem{Play(world, trial, &counts)};
        if (seed % 1000 == 0) std::cout << seed << " histories" << std::endl;
        if (!problem) continue;
        std::cout << "PODL_ORDER_SEED=" << seed << ": " << *problem << "; shrinking" << std::endl;
        Shrink(world, trial, *problem);
        BOOST_ERROR(strprintf("PODL_ORDER_SEED=%u: %s; shrunk: %s%s", seed, *problem, Play(world, trial).value_or("nothing"), Show(trial)));
        break;
    }
    return counts;
}

/** A world whose task has another quota. */
struct OrderSetup : World {
    explicit OrderSetup(uint32_t disk_bytes = ROOMY_DISK, unsigned char last_label = 0) : World{last_label, /*stamp_bits=*/3}
    {
        m_log.clear();
        m_task.disk_bytes = disk_bytes;
        UseProgram(PROGRAM, CLASSES, PROGRAM_PARAMETERS);
        AddShards(last_label);
        m_first = Seal(m_first.time, m_task);
    }

    void PlayAndReport()
    {
        const auto counts{PlayAll(*this, FromEnvironment("PODL_ORDER_HISTORIES", HISTORIES))};
        BOOST_TEST_MESSAGE(strprintf("%u messages, %u steps, %u blocks connected; %u histories with one end, %u with two entries for a slot, %u with two verdicts on a final",
                                     counts.messages, counts.steps, counts.blocks, counts.certain, counts.broken, counts.contested));
        BOOST_TEST_MESSAGE(strprintf("%u void finals with a next attempt, %u with something else behind them, %u at the end; %u later tasks in force",
                                     counts.withdrawals, counts.idle, counts.ends_void, counts.two_tasks));
        for (const auto& [answer, count] : counts.seen) BOOST_TEST_MESSAGE(strprintf("%7u %s", count, answer));
    }
};

struct FullDiskSetup : OrderSetup {
    FullDiskSetup() : OrderSetup{/*disk_bytes=*/500} {}
};

struct BadShardSetup : OrderSetup {
    BadShardSetup() : OrderSetup{ROOMY_DISK, /*last_label=*/CLASSES} {}
};

} // namespace

BOOST_AUTO_TEST_SUITE(podl_order_tests)

BOOST_FIXTURE_TEST_CASE(order_does_not_matter, OrderSetup)
{
    PlayAndReport();
}

BOOST_FIXTURE_TEST_CASE(order_does_not_matter_on_a_full_disk, FullDiskSetup)
{
    PlayAndReport();
}

BOOST_FIXTURE_TEST_CASE(malformed_shards_stop_every_node, BadShardSetup)
{
    PlayAll(*this, FromEnvironment("PODL_ORDER_HISTORIES", HISTORIES) / 5);
}

BOOST_AUTO_TEST_SUITE_END()
