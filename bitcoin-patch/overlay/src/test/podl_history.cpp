// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_history.h>

#include <chainparams.h>
#include <podl/codec.h>
#include <podl/merkle.h>
#include <podl/object_check.h>
#include <pow.h>
#include <primitives/transaction.h>
#include <script/script.h>
#include <streams.h>
#include <tinyformat.h>

#include <algorithm>
#include <array>
#include <utility>

namespace podl::test {
namespace {

/** What is wrong with a miner's header or bytes. */
enum class Flaw : uint8_t { NONE, SAME_MODEL, USED_MODEL, STAMP, RELEASE, DATED_AHEAD, PAYOUT, RANGE, LENGTH };

struct Miner {
    Mined mined;
    Flaw flaw{Flaw::NONE};
    std::string name;

    /** A final that names it is void. */
    bool MakesVoid() const { return flaw == Flaw::STAMP || flaw == Flaw::PAYOUT || flaw == Flaw::RANGE || flaw == Flaw::LENGTH; }
    /** A final may name it, a reveal of it is taken. */
    bool MayBeNamed() const { return flaw != Flaw::USED_MODEL && flaw != Flaw::RELEASE && flaw != Flaw::DATED_AHEAD; }
    bool HasSoundWeights() const { return flaw != Flaw::RANGE && flaw != Flaw::LENGTH; }
};

class Maker
{
public:
    Maker(World& world, FastRandomContext& rng) : m_world{world}, m_rng{rng} {}

    History Make()
    {
        m_world.m_log.resize(1);
        const auto heights{1 + m_rng.randrange<uint32_t>(3)};
        m_prev = m_world.m_base;
        m_history.roomy = m_world.m_task.disk_bytes >= ROOMY_DISK;
        for (m_height = FIRST_HEIGHT; m_height < FIRST_HEIGHT + heights; ++m_height) {
            if (!PlayHeight(/*last=*/m_height + 1 == FIRST_HEIGHT + heights)) break;
        }
        return std::move(m_history);
    }

private:
    World& m_world;
    FastRandomContext& m_rng;
    History m_history;
    uint32_t m_height{0};
    uint256 m_prev;               //!< block that the height builds on
    std::vector<Miner> m_miners;  //!< of this height
    std::vector<size_t> m_listed; //!< those that the latest release lists
    std::vector<Mined> m_used;    //!< named by finals
    std::vector<VerdictKey> m_contested; //!< keys with a wrong verdict

    bool Chance(unsigned percent) { return m_rng.randrange(100U) < percent; }

    void Add(Message message) { m_history.messages.push_back(std::move(message)); }

    void AddEntry(const Entry& entry, std::string name) { Add({.kind = Message::Kind::ENTRY, .name = std::move(name), .bytes = entry.bytes}); }

    /** The object, now and then with a corrupt copy. */
    void AddObject(ObjectKind kind, const uint256& hash, const Bytes& bytes, const std::string& owner)
    {
        const auto name{strprintf("%s of %s", KindName(kind), owner)};
        if (Chance(15)) {
            Bytes corrupt{bytes};
            corrupt[m_rng.randrange(corrupt.size())] ^= 1;
            Add({.kind = Message::Kind::OBJECT, .name = "corrupt " + name, .bytes = corrupt, .object = kind, .hash = hash});
        }
        if (Chance(3)) {
            m_history.complete = false;
            return;
        }
        Add({.kind = Message::Kind::OBJECT, .name = name, .bytes = bytes, .object = kind, .hash = hash});
    }

    /** Nobody measures anything on a malformed shard. */
    bool HasSoundShards() const { return m_world.m_shards.front().back() < m_world.m_task.classes; }

    // Miners

    bool PlayHeight(bool last)
    {
        m_miners.clear();
        for (size_t count{1 + m_rng.randrange<size_t>(6)}; count > 0; --count) AddMiner();
        for (size_t strays{m_rng.randrange<size_t>(3)}; strays > 0; --strays) AddStray();
        for (uint16_t attempt{0};; ++attempt) {
            if (!PlayAttempt(attempt)) return false;
            if (attempt == 2 || !Chance(30)) break;
        }
        if (last && Chance(40)) return false; // the round stays open
        return PlayFinal();
    }

    void AddMiner()
    {
        const auto number{static_cast<uint16_t>(m_miners.size())};
        Miner miner{m_world.Mine(m_height, m_prev, number), PickFlaw(), strprintf("miner %u of height %u", number, m_height)};
        Spoil(miner);
        const auto& [mined, flaw, name]{miner};
        const auto& opening{mined.disclosure.opening};
        Add({.kind = Message::Kind::COMMITMENT, .name = "commitment of " + name, .bytes = World::HeaderBytes(mined.disclosure.header)});
        AddObject(ObjectKind::BODY, mined.Hash(), mined.body, name);
        AddObject(ObjectKind::WEIGHTS, opening.weights_root, mined.weights, name);
        AddObject(ObjectKind::MODEL, opening.model_root, mined.model, name);
        m_miners.push_back(std::move(miner));
    }

    Flaw PickFlaw()
    {
        if (!m_miners.empty() && Chance(15)) return Flaw::SAME_MODEL;
        if (!m_used.empty() && Chance(10)) return Flaw::USED_MODEL;
        if (Chance(75)) return Flaw::NONE;
        constexpr std::array FLAWS{Flaw::STAMP, Flaw::RELEASE, Flaw::DATED_AHEAD, Flaw::PAYOUT, Flaw::RANGE, Flaw::LENGTH};
        return FLAWS[m_rng.randrange(FLAWS.size())];
    }

    /** Work the flaw into opening, bytes and header, and mine the header anew. */
    void Spoil(Miner& miner)
    {
        auto& mined{miner.mined};
        auto& opening{mined.disclosure.opening};
        if (miner.flaw == Flaw::SAME_MODEL) TakeModel(mined, m_miners[m_rng.randrange(m_miners.size())].mined);
        if (miner.flaw == Flaw::USED_MODEL) TakeModel(mined, m_used[m_rng.randrange(m_used.size())]);
        if (miner.flaw == Flaw::RANGE) mined.weights.front() = 0x80;
        if (miner.flaw == Flaw::LENGTH) mined.weights.resize(PARAMETERS + 2);
        if (miner.flaw == Flaw::RELEASE) opening.release_id = m_rng.rand256();
        opening.weights_root = DataRoot(mined.weights);
        CBlock block{*ParseBody(mined.body)};
        if (miner.flaw == Flaw::PAYOUT) PayAnother(block);
        if (miner.flaw == Flaw::DATED_AHEAD) block.nTime += 50'000;
        block.hashModel = opening.GetHash();
        const auto stamp_bits{m_world.m_task.stamp_bits};
        const auto is_fit{[&](const uint256& hash) {
            return CheckProofOfWork(hash, block.nBits, Params().GetConsensus()) && MeetsStamp(hash, stamp_bits) == (miner.flaw != Flaw::STAMP);
        }};
        while (!is_fit(block.GetHash())) ++block.nNonce;
        mined.disclosure.header = block;
        mined.body = ToBytes(TX_WITH_WITNESS(block));
        // A copy of a model is as sound as the original.
        if (miner.flaw == Flaw::SAME_MODEL && mined.weights.size() != PARAMETERS) miner.flaw = Flaw::LENGTH;
        if (miner.flaw == Flaw::SAME_MODEL && mined.weights.front() == 0x80) miner.flaw = Flaw::RANGE;
        if (miner.flaw == Flaw::SAME_MODEL && IsUsed(opening)) miner.flaw = Flaw::USED_MODEL;
    }

    static void TakeModel(Mined& mined, const Mined& from)
    {
        mined.weights = from.weights;
        mined.model = from.model;
        mined.disclosure.opening.model_root = from.disclosure.opening.model_root;
    }

    bool IsUsed(const Opening& opening) const
    {
        return std::ranges::any_of(m_used, [&](const Mined& used) {
            const auto& other{used.disclosure.opening};
            return other.weights_root == opening.weights_root || other.model_root == opening.model_root;
        });
    }

    static void PayAnother(CBlock& block)
    {
        CMutableTransaction coinbase{*block.vtx[0]};
        coinbase.vout[0].scriptPubKey = CScript{} << OP_7;
        block.vtx[0] = MakeTransactionRef(coinbase);
        block.hashMerkleRoot = block.vtx[0]->GetHash().ToUint256();
    }

    /** Something that looks like a commitment. */
    void AddStray()
    {
        auto header{m_world.Mine(m_height, Chance(50) ? m_prev : m_rng.rand256()).disclosure.header};
        if (Chance(30)) header.hashModel.SetNull();
        if (Chance(20)) header.nVersion = 4;
        if (Chance(20)) header.nBits = 0x1d00ffff;
        Add({.kind = Message::Kind::COMMITMENT, .name = strprintf("stray commitment of height %u", m_height), .bytes = World::HeaderBytes(header)});
    }

    // The requester

    /** Release, shard, reveals and verdicts. @returns false if the schedule ends with it */
    bool PlayAttempt(uint16_t attempt)
    {
        std::vector<size_t> order(m_miners.size());
        for (size_t i{0}; i < order.size(); ++i) order[i] = i;
        std::shuffle(order.begin(), order.end(), m_rng);
        order.resize(std::min<size_t>(order.size(), 1 + m_rng.randrange(m_world.m_task.list_size)));
        m_listed = order;
        std::vector<uint256> list;
        for (const auto i : m_listed) list.push_back(m_miners[i].mined.Hash());
        if (list.size() < m_world.m_task.list_size && Chance(15)) list.insert(list.begin(), m_rng.rand256());
        const auto before{m_world.m_log.back()};
        const auto release{m_world.MakeRelease(m_height, attempt, m_prev, list)};
        const auto name{strprintf("release %u/%u", m_height, attempt)};
        AddEntry(release, name);
        AddNonsense(release, name);
        const auto& body{*release.AsRelease()};
        AddObject(ObjectKind::SHARD, body.test_root, m_world.m_shards.at(body.shard_index), name);
        for (const auto i : m_listed) AddReveals(m_miners[i], release);
        if (Chance(10)) AddReveals(m_miners[m_rng.randrange(m_miners.size())], release);
        for (const auto i : m_listed) AddVerdicts(m_miners[i], release);
        if (Chance(4)) return AddRival(release, before, name);
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
        if (!miner.HasSoundWeights() || !HasSoundShards() || !Chance(25)) return;
        const auto key{m_world.KeyOf(miner.mined, release)};
        const auto count{TrueCount(key)};
        Add({.kind = Message::Kind::VERDICT, .name = "verdict on " + miner.name, .key = key, .verdict = VerdictOf(count)});
        if (!Chance(10)) return;
        m_contested.push_back(key);
        Add({.kind = Message::Kind::VERDICT, .name = "wrong verdict on " + miner.name, .key = key, .verdict = VerdictOf(count + 2, "liar")});
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
    bool AddRival(const Entry& entry, const Entry& before, const std::string& name)
    {
        auto body{entry.body};
        if (auto* release{std::get_if<Release>(&body)}; release && Chance(50)) release->list.front() = m_rng.rand256();
        const auto rival{m_world.Seal(entry.time + 1, body, before.id)};
        AddEntry(rival, "rival " + name);
        m_history.limits.Break(m_height, m_world.m_log.size() - 1);
        return Chance(60);
    }

    /** The final, and what belongs to it. @returns false if the schedule ends with it */
    bool PlayFinal()
    {
        std::erase_if(m_listed, [&](size_t i) { return !m_miners[i].MayBeNamed(); });
        if (m_listed.empty()) return false;
        const auto& miner{m_miners[m_listed[m_rng.randrange(m_listed.size())]]};
        if (miner.MakesVoid() && Chance(70)) return false;
        const auto before{m_world.m_log.back()};
        const auto& release{*before.AsRelease()};
        const auto key{m_world.KeyOf(miner.mined, before)};
        const bool false_claim{Chance(4)};
        const auto final{m_world.MakeFinal(m_height, release.attempt, miner.mined, TrueCount(key) + false_claim)};
        const auto name{strprintf("final %u, naming %s", m_height, miner.name)};
        if (Chance(4)) return AddBrokenFinal(final, before, name);
        AddEntry(final, name);
        AddNonsense(final, name);
        if (Chance(4)) m_history.refusals[miner.mined.Hash()] = "bad-txns";
        if (std::ranges::find(m_contested, key) != m_contested.end()) m_history.limits.Contest(m_height);
        if (false_claim || miner.MakesVoid() || !HasSoundShards() || m_history.refusals.contains(miner.mined.Hash())) {
            m_history.limits.Break(m_height, m_world.m_log.size());
            m_history.void_blocks.insert(miner.mined.Hash());
        }
        ++m_history.finals;
        m_used.push_back(miner.mined);
        m_prev = miner.mined.Hash();
        return Chance(4) ? AddRival(final, before, name) : true;
    }

    /** A final that no order makes valid takes the real one's place in the log; the schedule ends there. */
    bool AddBrokenFinal(const Entry& final, const Entry& before, const std::string& name)
    {
        auto body{*final.AsFinal()};
        body.claim.claim ^= 1;
        AddEntry(m_world.Seal(final.time, body, before.id), "broken " + name);
        if (Chance(50)) return false;
        // A rival as well: each of the two is signed for the slot.
        AddEntry(final, name);
        m_history.limits.Break(m_height, m_world.m_log.size() - 1);
        return false;
    }
};

} // namespace

uint32_t TrueCount(const VerdictKey& key)
{
    return 30 + (key.weights_root.begin()[0] + key.test_root.begin()[0]) % 4;
}

Verdict VerdictOf(uint32_t count, std::string evaluator)
{
    return {count, SAMPLES - count, "cpu", std::move(evaluator)};
}

History MakeHistory(World& world, FastRandomContext& rng)
{
    return Maker{world, rng}.Make();
}

} // namespace podl::test
