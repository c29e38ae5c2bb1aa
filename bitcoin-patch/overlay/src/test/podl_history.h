// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_HISTORY_H
#define BITCOIN_TEST_PODL_HISTORY_H

#include <podl/views.h>
#include <random.h>
#include <test/podl_world.h>
#include <uint256.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

/** Random message histories: what a requester, miners, evaluators and whoever else may send in a few heights. */
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
    //! From this height on blocks may be connected or not: two entries for a slot, a void final, two verdicts.
    uint32_t blocks{std::numeric_limits<uint32_t>::max()};
    //! From this index on the entries may differ: two of them are signed for it, or a void final lies below.
    size_t entries{std::numeric_limits<size_t>::max()};
    bool broken{false};    //!< by the requester: every node must find out and freeze
    bool contested{false}; //!< a final has two verdicts

    void Break(uint32_t height, size_t index)
    {
        blocks = std::min(blocks, height);
        entries = std::min(entries, index);
        broken = true;
    }
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
    bool complete{true}; //!< nothing is withheld: what may connect does
    bool roomy{true};    //!< the task's quota holds all candidates' bytes
    uint32_t finals{0};  //!< heights with a final that must be accepted
};

/** What weights reach on a shard, in this model: few values, so that there are ties. */
uint32_t TrueCount(const VerdictKey& key);
/** The verdict of an evaluator that has measured so much. */
Verdict VerdictOf(uint32_t count, std::string evaluator = "honest");

/** Make a history on a world's task; its log is begun anew. */
History MakeHistory(World& world, FastRandomContext& rng);

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_HISTORY_H
