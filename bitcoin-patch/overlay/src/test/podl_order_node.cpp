// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_order_node.h>

#include <chain.h>
#include <chainparams.h>
#include <crypto/sha256.h>
#include <sync.h>
#include <test/util/common.h>
#include <tinyformat.h>
#include <util/strencodings.h>
#include <util/time.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <tuple>
#include <utility>

namespace podl::test {
namespace {

//! When all is told again: behind every time of a history.
constexpr int64_t LATE{100'000};
//! Rounds of telling everything; orphans and evaluations make for a few.
constexpr int MAX_ROUNDS{40};

/** In memory where the system has such a folder: a history writes dozens of files, each of them to the disk. */
fs::path FolderFor(const World& world)
{
    const fs::path memory{"/dev/shm"};
    return fs::is_directory(memory) ? memory / fs::PathFromString("podl_order_" + fs::PathToString(world.m_path_root.filename())) : world.m_path_root / "order";
}

/** Long runs make more folders than a disk may hold. */
void RemoveFolder(const fs::path& dir)
{
    if (!fs::exists(dir)) return;
    std::vector<fs::path> paths{dir};
    for (const auto& entry : fs::recursive_directory_iterator{dir}) paths.emplace_back(entry.path());
    for (auto path{paths.rbegin()}; path != paths.rend(); ++path) fs::remove(*path);
}

Step Mishap(FastRandomContext& rng)
{
    constexpr std::array OPS{Step::Op::CLOCK, Step::Op::MEASURE, Step::Op::MEASURE, Step::Op::EVALUATOR_DIES, Step::Op::EVALUATOR_LIVES,
                             Step::Op::VALIDATION_STALLS, Step::Op::VALIDATION_GOES_ON, Step::Op::FLUSH, Step::Op::RESTART, Step::Op::KILL};
    return {OPS[rng.randrange(OPS.size())], rng.randrange<size_t>(300)};
}

} // namespace

Order MakeOrder(const History& history, FastRandomContext& rng, bool mishaps)
{
    Order order;
    for (size_t i{0}; i < history.messages.size(); ++i) {
        order.push_back({Step::Op::MESSAGE, i});
        if (rng.randrange(10) == 0) order.push_back({Step::Op::MESSAGE, i});
    }
    // Half of the time nearly as sent: what follows from each other then meets other states.
    std::shuffle(order.begin(), order.end(), rng);
    if (rng.randbool()) {
        const auto spread{1 + rng.randrange<size_t>(20)};
        std::map<size_t, size_t> moved;
        for (const auto& step : order) moved.emplace(step.value, step.value + rng.randrange(spread));
        std::ranges::stable_sort(order, {}, [&](const Step& step) { return moved.at(step.value); });
    }
    if (!mishaps) return order;
    for (size_t count{1 + rng.randrange<size_t>(8)}; count > 0; --count) {
        order.insert(order.begin() + rng.randrange(order.size() + 1), Mishap(rng));
    }
    return order;
}

OrderNode::OrderNode(World& world, const History& history, bool on_disk)
    : m_world{world}, m_history{history}, m_on_disk{on_disk}, m_dir{FolderFor(world)}, m_now{static_cast<int64_t>(world.m_first.time) + 200}
{
    RemoveFolder(m_dir);
    m_disk.blocks[m_world.m_base] = {FIRST_HEIGHT - 1, ChainLink::BlockState::CONNECTED, nullptr};
    m_disk.tip = ChainLink::Tip{FIRST_HEIGHT - 1, m_world.m_base};
    m_disk.height = FIRST_HEIGHT - 1;
    m_outcome.answers.resize(history.messages.size());
    SetMockTime(m_now);
    Open();
}

OrderNode::~OrderNode()
{
    m_manager.reset();
    RemoveFolder(m_dir);
}

void OrderNode::Open()
{
    auto opened{Manager::Open({.dir = m_dir, .podl_height = FIRST_HEIGHT, .task = m_world.m_first.bytes, .consensus = &Params().GetConsensus(), .memory_only = !m_on_disk})};
    BOOST_REQUIRE_EQUAL(opened ? "" : opened.error(), "");
    m_manager = std::move(*opened);
    auto chain{std::make_unique<FakeChain>(*m_manager)};
    m_chain = chain.get();
    m_chain->m_blocks = m_disk.blocks;
    m_chain->m_tip = m_disk.tip;
    m_chain->m_flushed = m_disk.height;
    m_chain->m_refusals = m_history.refusals;
    BOOST_REQUIRE_EQUAL(m_manager->Attach(std::move(chain)).value_or(""), "");
    m_manager->Work();
}

void OrderNode::Flush()
{
    m_disk = {m_chain->m_blocks, m_chain->m_tip, m_chain->m_tip->height};
    m_chain->m_flushed = m_disk.height;
}

void OrderNode::Reopen()
{
    m_manager.reset();
    Open();
}

bool OrderNode::Tell(size_t index)
{
    const auto& message{m_history.messages[index]};
    uint256 id;
    const auto result{Submit(message, &id)};
    const bool is_evidence{result.reason == "podl-entry-equivocation" && m_history.limits.rivals.contains(id)};
    if (is_evidence && !m_outcome.at_freeze) m_outcome.at_freeze = Connected();
    m_manager->Work();
    if (result.status == SubmitStatus::ACCEPTED) m_outcome.accepted.insert(index);
    const bool blamed{result.status == SubmitStatus::REFUSED && result.cls != FailureClass::EVIDENCE};
    // Verdicts come from the node's own evaluators.
    if (blamed && message.kind != Message::Kind::VERDICT) m_outcome.blamed.emplace(index, result.reason);
    const auto answer{strprintf("%d %s", static_cast<int>(result.status), result.reason)};
    return std::exchange(m_outcome.answers[index], answer) != answer || result.status == SubmitStatus::ACCEPTED;
}

Submission OrderNode::Submit(const Message& message, uint256* id)
{
    switch (message.kind) {
    case Message::Kind::ENTRY: return m_manager->SubmitEntry(message.bytes, id);
    case Message::Kind::COMMITMENT: return m_manager->SubmitCommitment(message.bytes);
    case Message::Kind::REVEAL: return m_manager->SubmitReveal(message.bytes);
    case Message::Kind::OBJECT: return m_manager->AddObject(message.object, message.hash, message.bytes);
    case Message::Kind::VERDICT: return m_manager->SubmitVerdict(message.key, message.verdict);
    } // no default case, so the compiler can warn about missing cases
    assert(false);
}

bool OrderNode::Measure()
{
    bool measured{false};
    for (auto jobs{m_manager->Candidates().jobs}; m_evaluator && !jobs.empty(); jobs = m_manager->Candidates().jobs) {
        const auto& job{jobs.front()};
        VerdictKey key{job.arithmetic, {}, job.weights_root, job.test_root};
        CSHA256().Write(job.program.data(), job.program.size()).Finalize(key.program.begin());
        BOOST_REQUIRE(m_manager->SubmitVerdict(key, TrueVerdict(key)).status == SubmitStatus::ACCEPTED);
        m_manager->Work();
        measured = true;
    }
    return measured;
}

void OrderNode::Do(const Step& step)
{
    switch (step.op) {
    case Step::Op::MESSAGE: Tell(step.value); return;
    case Step::Op::CLOCK: SetMockTime(m_now += static_cast<int64_t>(step.value)); break;
    case Step::Op::MEASURE: Measure(); return;
    case Step::Op::EVALUATOR_DIES: m_evaluator = false; return;
    case Step::Op::EVALUATOR_LIVES: m_evaluator = true; return;
    case Step::Op::VALIDATION_STALLS: m_chain->m_stalled = true; return;
    case Step::Op::VALIDATION_GOES_ON: m_chain->m_stalled = false; break;
    case Step::Op::FLUSH: Flush(); break;
    case Step::Op::RESTART:
        if (!m_on_disk) return;
        Flush();
        Reopen();
        return;
    case Step::Op::KILL:
        if (m_on_disk) Reopen();
        return;
    } // no default case, so the compiler can warn about missing cases
    m_manager->Work();
}

void OrderNode::Settle(const Order& order)
{
    std::vector<size_t> known;
    for (const auto& step : order) {
        if (step.op == Step::Op::MESSAGE && std::ranges::find(known, step.value) == known.end()) known.push_back(step.value);
    }
    m_now = static_cast<int64_t>(m_world.m_first.time) + LATE;
    SetMockTime(m_now);
    m_evaluator = true;
    m_chain->m_stalled = false;
    m_manager->Work();
    for (int round{0}; round < MAX_ROUNDS; ++round) {
        bool changed{false};
        for (const auto index : known) changed |= Tell(index);
        changed |= Measure();
        if (!changed) return;
    }
    m_outcome.problem = "comes to no end";
}

std::string OrderNode::Winner() const
{
    const CandidateView* best{nullptr};
    const auto view{m_manager->Candidates()};
    const auto rank{[](const CandidateView& c) { return std::tuple{~*c.count, *c.rank_sum, c.position}; }};
    for (const auto& candidate : view.candidates) {
        if (candidate.state == "valid" && (!best || rank(candidate) < rank(*best))) best = &candidate;
    }
    return best ? best->hash.GetHex() : "none";
}

void OrderNode::LookAtRound()
{
    const auto candidates{m_manager->Candidates()};
    auto& state{m_outcome.state};
    state.emplace_back("winner", Winner());
    if (!candidates.jobs.empty()) m_outcome.problem = "a job is left";
    for (const auto& candidate : candidates.candidates) {
        std::string claims;
        for (const auto claim : candidate.claims) claims += strprintf(" %u", claim);
        state.emplace_back("claims of " + candidate.hash.GetHex(), claims);
        state.emplace_back("fault of " + candidate.hash.GetHex(), candidate.reason);
    }
    std::set<uint256> pool;
    for (const auto& commitment : m_manager->Commitments().commitments) pool.insert(commitment.hash);
    for (const auto& hash : pool) state.emplace_back("commitment", hash.GetHex());
}

std::map<uint32_t, uint256> OrderNode::Connected() const
{
    std::map<uint32_t, uint256> connected;
    for (const auto& [hash, block] : m_chain->m_blocks) {
        if (block.state == ChainLink::BlockState::CONNECTED && block.height >= FIRST_HEIGHT) connected[block.height] = hash;
    }
    return connected;
}

void OrderNode::Look()
{
    const auto info{m_manager->Info()};
    m_outcome.frozen = info.frozen;
    m_outcome.is_void = info.is_void;
    for (const auto& alarm : info.alarms) {
        if (alarm.reason != "podl-entry-equivocation") continue;
        for (const auto& id : alarm.ids) m_outcome.evidence.emplace(ParseHex<unsigned char>(id));
    }
    auto& state{m_outcome.state};
    state.emplace_back("digest", HexStr(info.digest));
    state.emplace_back("height", strprintf("%d", info.height));
    state.emplace_back("attempt", info.reveal_phase ? strprintf("%u", info.attempt) : "none");
    state.emplace_back("prev", info.prev ? info.prev->GetHex() : "none");
    for (const auto& entry : m_manager->Entries(0, info.entries).entries) m_outcome.entries.push_back(entry.id);
    m_outcome.connected = Connected();
    LookAtRound();
}

Outcome OrderNode::Run(const Order& order)
{
    for (const auto& step : order) Do(step);
    Settle(order);
    Look();
    return std::move(m_outcome);
}

} // namespace podl::test
