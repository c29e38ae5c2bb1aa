// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_HISTORY_MINERS_H
#define BITCOIN_TEST_PODL_HISTORY_MINERS_H

#include <podl/views.h>
#include <primitives/block.h>
#include <random.h>
#include <test/podl_messages.h>
#include <test/podl_world.h>
#include <uint256.h>

#include <cstdint>
#include <string>
#include <vector>

/** The miners' part of a random history: commitments and bytes, sound and unsound. */
namespace podl::test {

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

class MinersMaker
{
protected:
    MinersMaker(World& world, FastRandomContext& rng) : m_world{world}, m_rng{rng} {}

    World& m_world;
    FastRandomContext& m_rng;
    History m_history;
    uint32_t m_height{0};
    uint256 m_prev;                //!< block that the height builds on
    std::vector<Miner> m_miners;   //!< of this height
    std::vector<Mined> m_used;     //!< named by finals that count
    std::vector<Mined> m_withdrawn; //!< named by void finals of sound bytes: their models are free

    bool Chance(unsigned percent) { return m_rng.randrange(100U) < percent; }
    void Add(Message message) { m_history.messages.push_back(std::move(message)); }
    /** The object, now and then with a corrupt copy. */
    void AddObject(ObjectKind kind, const uint256& hash, const Bytes& bytes, const std::string& owner);
    void AddMiners(size_t count, size_t strays);

private:
    void AddMiner();
    /** Something that looks like a commitment. */
    void AddStray();
    Flaw PickFlaw();
    /** Work the flaw into opening, bytes and header, and mine the header anew. */
    void Spoil(Miner& miner);
    bool IsUsed(const Opening& opening) const;
};

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_HISTORY_MINERS_H
