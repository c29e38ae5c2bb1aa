// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <test/podl_history_miners.h>

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

void TakeModel(Mined& mined, const Mined& from)
{
    mined.weights = from.weights;
    mined.model = from.model;
    mined.disclosure.opening.model_root = from.disclosure.opening.model_root;
}

void PayAnother(CBlock& block)
{
    CMutableTransaction coinbase{*block.vtx[0]};
    coinbase.vout[0].scriptPubKey = CScript{} << OP_7;
    block.vtx[0] = MakeTransactionRef(coinbase);
    block.hashMerkleRoot = block.vtx[0]->GetHash().ToUint256();
}

} // namespace

void MinersMaker::AddObject(ObjectKind kind, const uint256& hash, const Bytes& bytes, const std::string& owner)
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

void MinersMaker::AddMiners(size_t count, size_t strays)
{
    for (; count > 0; --count) AddMiner();
    for (; strays > 0; --strays) AddStray();
}

void MinersMaker::AddMiner()
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

Flaw MinersMaker::PickFlaw()
{
    if (!m_miners.empty() && Chance(15)) return Flaw::SAME_MODEL;
    if (!m_used.empty() && Chance(10)) return Flaw::USED_MODEL;
    if (Chance(75)) return Flaw::NONE;
    constexpr std::array FLAWS{Flaw::STAMP, Flaw::RELEASE, Flaw::DATED_AHEAD, Flaw::PAYOUT, Flaw::RANGE, Flaw::LENGTH};
    return FLAWS[m_rng.randrange(FLAWS.size())];
}

void MinersMaker::Spoil(Miner& miner)
{
    auto& mined{miner.mined};
    auto& opening{mined.disclosure.opening};
    if (miner.flaw == Flaw::SAME_MODEL) TakeModel(mined, m_miners[m_rng.randrange(m_miners.size())].mined);
    if (miner.flaw == Flaw::USED_MODEL) TakeModel(mined, m_used[m_rng.randrange(m_used.size())]);
    if (miner.flaw == Flaw::NONE && !m_withdrawn.empty() && Chance(15)) TakeModel(mined, m_withdrawn[m_rng.randrange(m_withdrawn.size())]);
    if (miner.flaw == Flaw::RANGE) mined.weights.front() = 0x80;
    if (miner.flaw == Flaw::LENGTH) mined.weights.resize(m_world.m_parameters + 2);
    if (miner.flaw == Flaw::RELEASE) opening.release_id = m_rng.rand256();
    opening.weights_root = DataRoot(mined.weights);
    CBlock block{*ParseBody(mined.body)};
    if (miner.flaw == Flaw::PAYOUT) PayAnother(block);
    if (miner.flaw == Flaw::DATED_AHEAD) block.nTime += 50'000;
    block.hashModel = opening.GetHash();
    const auto stamp_bits{m_world.TaskFor(m_height).stamp_bits};
    const auto is_fit{[&](const uint256& hash) {
        return CheckProofOfWork(hash, block.nBits, Params().GetConsensus()) && MeetsStamp(hash, stamp_bits) == (miner.flaw != Flaw::STAMP);
    }};
    while (!is_fit(block.GetHash())) ++block.nNonce;
    mined.disclosure.header = block;
    mined.body = ToBytes(TX_WITH_WITNESS(block));
    // A copy of a model is as sound as the original.
    if (miner.flaw == Flaw::SAME_MODEL && mined.weights.size() != m_world.m_parameters) miner.flaw = Flaw::LENGTH;
    if (miner.flaw == Flaw::SAME_MODEL && mined.weights.front() == 0x80) miner.flaw = Flaw::RANGE;
    if ((miner.flaw == Flaw::SAME_MODEL || miner.flaw == Flaw::NONE) && IsUsed(opening)) miner.flaw = Flaw::USED_MODEL;
}

bool MinersMaker::IsUsed(const Opening& opening) const
{
    return std::ranges::any_of(m_used, [&](const Mined& used) {
        const auto& other{used.disclosure.opening};
        return other.weights_root == opening.weights_root || other.model_root == opening.model_root;
    });
}

void MinersMaker::AddStray()
{
    auto header{m_world.Mine(m_height, Chance(50) ? m_prev : m_rng.rand256()).disclosure.header};
    if (Chance(30)) header.hashModel.SetNull();
    if (Chance(20)) header.nVersion = 4;
    if (Chance(20)) header.nBits = 0x1d00ffff;
    Add({.kind = Message::Kind::COMMITMENT, .name = strprintf("stray commitment of height %u", m_height), .bytes = World::HeaderBytes(header)});
}

} // namespace podl::test
