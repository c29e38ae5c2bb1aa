// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_MESSAGES_H
#define BITCOIN_TEST_PODL_MESSAGES_H

#include <podl/views.h>
#include <test/podl_world.h>
#include <uint256.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

/** What a random history is made of, and what may depend on its order. */
namespace podl::test {

//! A quota that holds all candidates' bytes of a height.
inline constexpr uint32_t ROOMY_DISK{10'000};

/** Something a node is told. */
struct Message {
    enum class Kind : uint8_t { ENTRY, COMMITMENT, REVEAL, OBJECT, VERDICT };
    Kind kind;
    std::string name{};    //!< for people
    Bytes bytes{};         //!< all but VERDICT
    ObjectKind object{ObjectKind::BODY};
    uint256 hash{};        //!< of the object
    VerdictKey key{};
    Verdict verdict{};
};

/** Where the outcome may depend on the order, as docs/protocol.md says; anywhere else it must not. */
struct Limits {
    static constexpr auto NONE{std::numeric_limits<uint32_t>::max()};
    uint32_t blocks{NONE};  //!< from this height on blocks may be connected or not: two entries for a slot, two verdicts
    size_t entries{NONE};   //!< from this index on the entries may differ
    size_t slot{NONE};      //!< lowest one with two entries: every node must find out and freeze
    uint32_t frozen{NONE};  //!< lowest height without a final below that slot
    std::set<uint256> rivals{}; //!< entries for that slot
    bool contested{false};  //!< a final has two verdicts

    bool Broken() const { return slot != NONE; }
    void Break(uint32_t height, size_t index, const std::set<uint256>& ids)
    {
        blocks = std::min(blocks, height);
        Split(index);
        if (index > slot) return;
        if (index < slot) rivals.clear();
        slot = index;
        frozen = height;
        rivals.insert(ids.begin(), ids.end());
    }
    /** Either of two. */
    void Merge(const Limits& other)
    {
        blocks = std::min(blocks, other.blocks);
        Split(other.entries);
        contested |= other.contested;
        if (other.Broken()) Break(other.frozen, other.slot, other.rivals);
    }
    void Split(size_t index) { entries = std::min(entries, index); }
    void Contest(uint32_t height)
    {
        blocks = std::min(blocks, height);
        contested = true;
    }
};

struct History {
    std::vector<Message> messages{};
    std::map<uint256, std::string> refusals{}; //!< blocks that Core refuses to connect, and why
    std::set<uint256> void_blocks{};           //!< blocks of void finals, which nobody may connect
    Limits limits{};
    bool complete{true};  //!< nothing is withheld: what may connect does, and every proof comes
    bool roomy{true};     //!< the task's quota holds all candidates' bytes
    bool ends_void{false}; //!< nothing follows the last void final
    std::vector<uint256> log{};           //!< ids of the entries that stand in the end
    std::map<uint32_t, uint256> blocks{}; //!< that they name, by height
    uint32_t withdrawals{0}, idle{0};     //!< void finals with a next attempt, and those with something else behind them
    bool two_tasks{false};                //!< a later task is in force in the end

    /** Whether every node must end with this log and these blocks. */
    bool Certain() const { return complete && !limits.contested && limits.entries == Limits::NONE; }
};

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_MESSAGES_H
