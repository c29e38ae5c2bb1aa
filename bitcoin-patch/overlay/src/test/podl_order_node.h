// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_ORDER_NODE_H
#define BITCOIN_TEST_PODL_ORDER_NODE_H

#include <podl/manager.h>
#include <podl/views.h>
#include <test/podl_history.h>
#include <test/podl_world.h>
#include <uint256.h>
#include <util/fs.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

/** One node that gets a history in an order of its own. */
namespace podl::test {

/** What happens to a node next. */
struct Step {
    enum class Op : uint8_t {
        MESSAGE,
        CLOCK,   //!< value seconds pass
        MEASURE, //!< the evaluator does what the node asks for, if it is alive
        EVALUATOR_DIES, EVALUATOR_LIVES,
        VALIDATION_STALLS, VALIDATION_GOES_ON,
        FLUSH,   //!< Core writes block index and chain state
        RESTART, //!< behind a flush
        KILL,    //!< Core falls back to its last flush
    };
    Op op{Op::MESSAGE};
    size_t value{0}; //!< index of the message, or seconds
};
using Order = std::vector<Step>;

/** A random order of a history's messages, some of them twice, with mishaps in between. */
Order MakeOrder(const History& history, FastRandomContext& rng, bool mishaps);

/** Where a node stands once everybody has told it everything. */
struct Outcome {
    std::vector<uint256> entries{};
    std::map<uint32_t, uint256> connected{};          //!< blocks by height
    std::vector<std::pair<std::string, std::string>> state{}; //!< everything else, by name
    std::vector<std::string> answers{};               //!< last answer to each message
    std::set<size_t> accepted{};                      //!< messages accepted at any time
    std::map<size_t, std::string> blamed{};           //!< messages whose sender was blamed at any time, and why
    std::string problem{};                            //!< what is wrong by itself, or empty
    bool frozen{false}, is_void{false};
    std::set<uint256> evidence{};              //!< entries that were signed for one slot with another
    std::optional<std::map<uint32_t, uint256>> at_freeze{}; //!< blocks connected when two entries for the lowest slot were known
};

/** Its worker's work is done at once, without a thread: a run is the same every time. */
class OrderNode
{
public:
    /** @param on_disk  keep the database in files, so that it can be restarted */
    OrderNode(World& world, const History& history, bool on_disk);
    ~OrderNode();

    /** Go through an order, then let everything be told again until nothing changes. */
    Outcome Run(const Order& order);

private:
    /** What of the chain survives a kill. */
    struct Disk {
        std::map<uint256, FakeChain::Block> blocks{};
        std::optional<ChainLink::Tip> tip{};
        int height{-1};
    };

    World& m_world;
    const History& m_history;
    const bool m_on_disk;
    const fs::path m_dir;
    std::unique_ptr<Manager> m_manager;
    FakeChain* m_chain{nullptr}; //!< owned by the manager
    Disk m_disk;
    int64_t m_now;
    bool m_evaluator{true};
    Outcome m_outcome;

    void Open();
    void Flush();
    void Reopen();
    void Do(const Step& step);
    /** @returns whether the node has changed */
    bool Tell(size_t index);
    /** @param[out] id  of an entry */
    Submission Submit(const Message& message, uint256* id);
    bool Measure();
    std::map<uint32_t, uint256> Connected() const;
    void Settle(const Order& order);
    void Look();
    std::string Winner() const;
    void LookAtRound();
};

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_ORDER_NODE_H
