// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_history.h>

#include <test/podl_history_miners.h>
#include <tinyformat.h>

#include <algorithm>
#include <utility>

namespace podl::test {
namespace {

uint32_t TrueCount(const VerdictKey& key) { return TrueVerdict(key).count; }

/** The requester's and the evaluators' part. */
class Maker : MinersMaker
{
public:
    Maker(World& world, FastRandomContext& rng) : MinersMaker{world, rng} {}

    History Make()
    {
        m_world.m_log.resize(1);
        const auto heights{1 + m_rng.randrange<uint32_t>(3)};
        m_prev = m_world.m_base;
        m_history.roomy = m_world.m_task.disk_bytes >= ROOMY_DISK;
        for (m_height = FIRST_HEIGHT; m_height < FIRST_HEIGHT + heights; ++m_height) {
            if (!PlayHeight(/*last=*/m_height + 1 == FIRST_HEIGHT + heights)) break;
            if (Chance(m_height == FIRST_HEIGHT && heights == 3 ? 40 : 10) && !AddTask()) break;
        }
        // Without a proof what stands behind a void final counts.
        if (!m_history.complete || m_history.limits.contested) m_history.limits.Merge(m_unproven);
        for (const auto& entry : m_world.m_log) m_history.log.push_back(entry.id);
        m_history.two_tasks = m_world.TaskEntryFor(FIRST_HEIGHT + m_history.blocks.size()).id != m_world.m_first.id;
        return std::move(m_history);
    }

private:
    enum class End : uint8_t { FINAL, VOID, NOTHING };

    std::vector<size_t> m_listed;        //!< miners that the latest release lists
    std::vector<VerdictKey> m_contested; //!< keys with a wrong verdict
    bool m_idle{false};                  //!< what is played stands behind a void final
    Limits m_unproven;                   //!< limits if nobody finds out that it does

    void AddEntry(const Entry& entry, std::string name) { Add({.kind = Message::Kind::ENTRY, .name = (m_idle ? "idle " : "") + std::move(name), .bytes = entry.bytes}); }

    /** Nobody measures anything on a malformed shard. */
    bool HasSoundShards() const { return m_world.m_shards.front().back() < m_world.m_task.classes; }

    /** @returns whether the schedule goes on with the height above */
    bool PlayHeight(bool last)
    {
        m_miners.clear();
        AddMiners(1 + m_rng.randrange<size_t>(6), m_rng.randrange<size_t>(3));
        uint16_t attempt{0};
        for (int voids{0};; ++voids) {
            if (!PlayAttempts(attempt)) return false;
            if (last && Chance(40)) return false; // the round stays open
            const auto end{PlayFinal(attempt)};
            if (end != End::VOID) return end == End::FINAL;
            if (m_idle) return false;
            m_history.ends_void = true;
            if (Chance(40)) PlayIdle();
            if (voids == 2 || Chance(25)) return false;
            m_history.ends_void = false;
            ++m_history.withdrawals;
            if (Chance(50)) AddMiners(1 + m_rng.randrange<size_t>(2), m_rng.randrange<size_t>(2));
            ++attempt;
        }
    }

    bool PlayAttempts(uint16_t& attempt)
    {
        const int most{attempt == 0 ? 2 : attempt + 1};
        while (PlayAttempt(attempt)) {
            if (attempt == most || !Chance(30)) return true;
            ++attempt;
        }
        return false;
    }

    /** The requester goes on behind a final, and does not know that it is void. */
    void PlayIdle()
    {
        const auto miners{std::exchange(m_miners, {})};
        const auto log{m_world.m_log};
        const auto prev{m_prev};
        const auto used{m_used};
        const auto limits{m_history.limits};
        const auto& void_final{*log.back().AsFinal()};
        m_idle = true;
        m_prev = void_final.BlockHash();
        m_used.push_back(std::ranges::find(miners, m_prev, [](const Miner& miner) { return miner.mined.Hash(); })->mined);
        if (!Chance(20) || AddTask()) {
            ++m_height;
            PlayHeight(/*last=*/false);
            --m_height;
        }
        m_unproven.Merge(std::exchange(m_history.limits, limits));
        m_idle = false;
        ++m_history.idle;
        m_used = used;
        m_prev = prev;
        m_world.m_log = log;
        m_miners = miners;
    }

    /** A later task right behind the final. @returns whether the log goes on */
    bool AddTask()
    {
        const bool is_later{std::ranges::count_if(m_world.m_log, [](const Entry& entry) { return entry.AsTask(); }) > 1};
        if (is_later || !m_world.m_log.back().AsFinal()) return true;
        const auto before{m_world.m_log.back()};
        Task task{m_world.m_task};
        task.first_height = m_height + 2 + Chance(20);
        task.stamp_bits -= Chance(50); // two are left: every header on regtest has the first one
        task.list_size -= Chance(50);
        task.pool_size = std::max<uint16_t>(task.list_size, task.pool_size - Chance(50));
        const auto entry{m_world.MakeLaterTask(task)};
        const auto name{strprintf("task for height %u", task.first_height)};
        AddEntry(entry, name);
        return Chance(4) ? AddRival(entry, before, m_height + 1, name) : true;
    }

    /** Release, shard, reveals and verdicts. @returns false if the schedule ends with it */
    bool PlayAttempt(uint16_t attempt)
    {
        const auto list_size{m_world.TaskFor(m_height).list_size};
        std::vector<size_t> order(m_miners.size());
        for (size_t i{0}; i < order.size(); ++i) order[i] = i;
        std::shuffle(order.begin(), order.end(), m_rng);
        order.resize(std::min<size_t>(order.size(), 1 + m_rng.randrange(list_size)));
        m_listed = order;
        std::vector<uint256> list;
        for (const auto i : m_listed) list.push_back(m_miners[i].mined.Hash());
        if (list.size() < list_size && Chance(15)) list.insert(list.begin(), m_rng.rand256());
        const auto before{m_world.m_log.back()};
        const auto release{m_world.MakeRelease(m_height, attempt, m_prev, list)};
        const auto name{strprintf("release %u/%u", m_height, attempt)};
        AddEntry(release, name);
        AddNonsense(release, name);
        const auto& body{*release.AsRelease()};
        AddObject(ObjectKind::SHARD, body.test_root, m_world.ShardOf(body), name);
        for (const auto i : m_listed) AddReveals(m_miners[i], release);
        if (Chance(10)) AddReveals(m_miners[m_rng.randrange(m_miners.size())], release);
        for (const auto i : m_listed) AddVerdicts(m_miners[i], release);
        if (Chance(4)) return AddRival(release, before, m_height, name);
        return true;
    }

    /** Reveals with several claims, true and false, and broken ones. */
    void AddReveals(const Miner& miner, const Entry& release)
    {
        const auto count{TrueCount(m_world.KeyOf(miner.mined, release))};
        std::vector<uint32_t> claims;
        if (Chance(85)) claims.push_back(count);
        if (Chance(25)) claims.push_back(count + 1 + m_rng.randrange(3U));
        if (Chance(15)) claims.push_back(count - 1 - m_rng.randrange(3U));
        if (Chance(5)) claims.push_back(SAMPLES + 1);
        for (const auto claim : claims) {
            Message message{.kind = Message::Kind::REVEAL, .name = strprintf("claim %u (true: %u) of %s", claim, count, miner.name)};
            message.bytes = m_world.MakeReveal(miner.mined, release.id, claim);
            if (Chance(8)) {
                Message broken{message};
                broken.name = "broken " + message.name;
                broken.bytes[m_rng.randrange(broken.bytes.size())] ^= 1 << m_rng.randrange(8U);
                Add(std::move(broken));
            }
            Add(std::move(message));
        }
    }

    /** Verdicts that come by themselves; most come because the node asks for them. */
    void AddVerdicts(const Miner& miner, const Entry& release)
    {
        // An evaluator may have got another shard than the node, but then the node gets to see that.
        if (!miner.HasSoundWeights() || !Chance(25) || !(HasSoundShards() || m_history.complete)) return;
        const auto key{m_world.KeyOf(miner.mined, release)};
        const auto verdict{TrueVerdict(key)};
        Add({.kind = Message::Kind::VERDICT, .name = "verdict on " + miner.name, .key = key, .verdict = verdict});
        if (!Chance(10)) return;
        m_contested.push_back(key);
        auto wrong{verdict};
        wrong.evaluator = "liar";
        if (Chance(50)) {
            wrong.count += 2;
        } else {
            ++wrong.rank_sum;
        }
        Add({.kind = Message::Kind::VERDICT, .name = "wrong verdict on " + miner.name, .key = key, .verdict = wrong});
    }

    /** Entries that are none, without the requester's hand. */
    void AddNonsense(const Entry& entry, const std::string& name)
    {
        if (!Chance(10)) return;
        Message message{.kind = Message::Kind::ENTRY, .name = "forged " + name, .bytes = entry.bytes};
        message.bytes[m_rng.randrange(message.bytes.size())] ^= 1 << m_rng.randrange(8U);
        Add(std::move(message));
    }

    /** A second entry for the slot of the log's last one, with another list or another time. @returns whether the log goes on */
    bool AddRival(const Entry& entry, const Entry& before, uint32_t height, const std::string& name)
    {
        auto body{entry.body};
        if (auto* release{std::get_if<Release>(&body)}; release && Chance(50)) release->list.front() = m_rng.rand256();
        const auto rival{m_world.Seal(entry.time + 1, body, before.id)};
        AddEntry(rival, "rival " + name);
        m_history.limits.Break(height, m_world.m_log.size() - 1, {entry.id, rival.id});
        return Chance(60);
    }

    /** The final, and what belongs to it. */
    End PlayFinal(uint16_t attempt)
    {
        std::erase_if(m_listed, [&](size_t i) { return !m_miners[i].MayBeNamed(); });
        if (m_listed.empty()) return End::NOTHING;
        const auto pick{[&]() -> const Miner& { return m_miners[m_listed[m_rng.randrange(m_listed.size())]]; }};
        const auto* miner{&pick()};
        if (miner->MakesVoid() && Chance(50)) miner = &pick();
        const auto before{m_world.m_log.back()};
        const auto key{m_world.KeyOf(miner->mined, before)};
        const bool false_claim{Chance(6)};
        const auto final{m_world.MakeFinal(m_height, attempt, miner->mined, TrueCount(key) + false_claim)};
        const auto name{strprintf("final %u/%u, naming %s", m_height, attempt, miner->name)};
        if (Chance(4)) {
            AddBrokenFinal(final, before, name);
            return End::NOTHING;
        }
        AddEntry(final, name);
        AddNonsense(final, name);
        // Not on a malformed shard: who has asked Core about the block by a count that somebody reported knows more of it.
        if (Chance(4) && HasSoundShards()) m_history.refusals[miner->mined.Hash()] = "bad-txns";
        const auto end{Judge(*miner, key, false_claim)};
        return Chance(4) && !AddRival(final, before, m_height, name) ? End::NOTHING : end;
    }

    /** What becomes of the final that is the log's last entry. */
    End Judge(const Miner& miner, const VerdictKey& key, bool false_claim)
    {
        const auto hash{miner.mined.Hash()};
        const bool refused{m_history.refusals.contains(hash)};
        const bool bad_bytes{miner.MakesVoid() || !HasSoundShards()};
        const bool contested{std::ranges::find(m_contested, key) != m_contested.end()};
        auto& limits{m_history.limits};
        if (contested && !bad_bytes) limits.Contest(m_height);
        if (!bad_bytes && !false_claim && !refused) {
            m_used.push_back(miner.mined);
            if (m_idle) return End::FINAL;
            m_prev = m_history.blocks[m_height] = hash;
            m_history.void_blocks.erase(hash);
            return End::FINAL;
        }
        m_history.void_blocks.insert(hash);
        if (miner.HasSoundWeights() && !m_idle) m_withdrawn.push_back(miner.mined);
        // With two verdicts, or on a block with two, it depends on the order whether somebody proves it.
        if (!bad_bytes && (contested || (!false_claim && m_height > limits.blocks))) limits.Split(m_world.m_log.size());
        return End::VOID;
    }

    /** A final that no order makes valid takes the real one's place in the log; the schedule ends there. */
    void AddBrokenFinal(const Entry& final, const Entry& before, const std::string& name)
    {
        auto body{*final.AsFinal()};
        body.claim.claim ^= 1;
        const auto broken{m_world.Seal(final.time, body, before.id)};
        AddEntry(broken, "broken " + name);
        if (Chance(50)) {
            m_world.m_log.pop_back();
            return;
        }
        // A rival as well: each of the two is signed for the slot.
        AddEntry(final, name);
        m_history.void_blocks.erase(final.AsFinal()->BlockHash()); // an earlier claim was false, this one need not be
        m_history.limits.Break(m_height, m_world.m_log.size() - 1, {final.id, broken.id});
    }
};

} // namespace

Verdict TrueVerdict(const VerdictKey& key)
{
    const uint32_t count{30U + (key.weights_root.begin()[0] + key.test_root.begin()[0]) % 4};
    const uint64_t rank_sum{SAMPLES - count + (key.weights_root.begin()[1] + key.test_root.begin()[1]) % 3};
    return {count, rank_sum, "cpu", "honest"};
}

History MakeHistory(World& world, FastRandomContext& rng)
{
    return Maker{world, rng}.Make();
}

} // namespace podl::test
