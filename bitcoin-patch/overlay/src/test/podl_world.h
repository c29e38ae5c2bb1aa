// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_WORLD_H
#define BITCOIN_TEST_PODL_WORLD_H

#include <podl/chain_link.h>
#include <podl/disclosure.h>
#include <podl/entry.h>
#include <podl/manager.h>
#include <podl/task.h>

#include <key.h>
#include <primitives/block.h>
#include <test/util/setup_common.h>
#include <uint256.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/** A requester, a miner and a chain, small enough for unit tests and fuzzing; every value of the protocol is real. */
namespace podl::test {

inline constexpr int FIRST_HEIGHT{10};
inline constexpr uint32_t SAMPLES{64};
inline constexpr uint32_t PARAMETERS{10};

/** What a miner has for one header. */
struct Mined {
    Disclosure disclosure;
    Bytes weights;
    Bytes model;
    Bytes body;

    uint256 Hash() const { return disclosure.header.GetHash(); }
    VerdictKey Key(const uint256& program, const uint256& test_root) const { return {1, program, disclosure.opening.weights_root, test_root}; }
};

/** A chain that connects what the gate lets through, without any rule of Bitcoin. */
class FakeChain final : public ChainLink
{
public:
    struct Block {
        int height{0};
        BlockState state{BlockState::CONNECTED};
        std::shared_ptr<const CBlock> data{};
    };
    explicit FakeChain(BlockGate& gate) : m_gate{gate} {}

    std::map<uint256, Block> m_blocks;
    std::map<uint256, std::string> m_refusals; //!< blocks whose connection fails, and why
    std::optional<Tip> m_tip;
    int m_flushed{-1};
    bool m_stalled{false}; //!< validation does nothing for now

    void AddConnected(const uint256& hash, int height);

    bool Ready() const override { return true; }
    std::optional<Tip> GetTip() const override { return m_tip; }
    int FlushedHeight() const override { return m_flushed; }
    std::optional<int> HeightOf(const uint256& hash) const override;
    std::optional<ParentInfo> Parent(const CBlockHeader& header) const override;
    BlockState StateOf(const uint256& hash) const override;
    std::optional<std::string> Refusal(const uint256& hash) const override;
    std::shared_ptr<const CBlock> ReadBlock(const uint256& hash) const override;
    bool Disconnect(int height, const uint256& named) override;
    void FeedHeader(const CBlockHeader& header) override;
    void FeedBlock(const std::shared_ptr<const CBlock>& block) override;
    void Activate() override;

private:
    BlockGate& m_gate;
};

struct World : BasicTestingSetup {
    Task m_task;
    uint256 m_program; //!< hash of the only layer program
    uint32_t m_parameters{PARAMETERS}; //!< of that program
    std::vector<Bytes> m_shards; //!< of the task's list, then of those of later tasks
    uint256 m_base;    //!< block below the first height
    Entry m_first;     //!< the chain's first task
    std::vector<Entry> m_log; //!< entries made so far, by MakeX, in order
    std::unique_ptr<Manager> m_manager;
    FakeChain* m_chain{nullptr}; //!< owned by the manager once attached
    std::string m_folder{"podl"}; //!< for the next manager
    EvaluatorMode m_evaluator{EvaluatorMode::SIDECAR}; //!< likewise
    bool m_memory_only{false}; //!< likewise

    /**
     * @param last_label  label of the last sample of every shard; 2 and above are malformed
     * @param stamp_bits  that the task asks of commitments
     */
    explicit World(unsigned char last_label = 0, uint8_t stamp_bits = 0, TestOpts opts = {});
    ~World();

    /** Open the manager on this world's folder, without a chain. */
    std::string TryOpen(bool resync = false, int podl_height = FIRST_HEIGHT);
    /** Open and attach to a chain with the base block as tip. */
    void OpenManager();

    int64_t Time() const { return m_log.back().time; }
    Mined Mine(uint32_t height, const uint256& prev, uint16_t trial = 0);
    Entry MakeRelease(uint32_t height, uint16_t attempt, const uint256& prev_block, const std::vector<uint256>& list, std::optional<uint64_t> time = {});
    Entry MakeFinal(uint32_t height, uint16_t attempt, const Mined& mined, uint32_t claim);
    /** A later task, which seals the next list of AddShards(). */
    Entry MakeLaterTask(Task task);
    /** Entry of the task in force at a height, as the log stands. */
    const Entry& TaskEntryFor(uint32_t height) const;
    const Task& TaskFor(uint32_t height) const { return *TaskEntryFor(height).AsTask(); }
    /** What a release of the log opens. */
    const Bytes& ShardOf(const Release& release) const;
    /** Another list of shards. */
    void AddShards(unsigned char last_label);
    /** Another layer program for a task that is sealed from now on. */
    void UseProgram(const Bytes& program, uint16_t classes, uint32_t parameters);
    /** A signed entry behind the log's last one, which it becomes, or behind another one. */
    Entry Seal(uint64_t time, decltype(Entry::body) body, std::optional<uint256> prev = {});
    Bytes MakeReveal(const Mined& mined, const uint256& release_id, uint32_t claim) const;
    /** Bytes of a commitment. */
    static Bytes HeaderBytes(const CBlockHeader& header);

    Submission Submit(const Entry& entry) { return m_manager->SubmitEntry(entry.bytes); }
    void Accept(const Entry& entry);
    void AddData(const Mined& mined);
    VerdictKey KeyOf(const Mined& mined, const Entry& release) const { return mined.Key(m_program, release.AsRelease()->test_root); }
    std::string StateOf(const Mined& mined) const;

private:
    CKey m_requester;
    CKey m_miner;
    std::vector<uint256> m_salts;

    std::array<unsigned char, SIGNATURE_SIZE> Sign(const CKey& key, const uint256& message) const;
    /** Place of a height's task among the tasks of the log, which is that of its shards. */
    size_t TaskNumber(uint32_t height) const;
    std::vector<uint256> ShardLeaves(size_t list) const;
    void MakeTask(uint8_t stamp_bits);
};

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_WORLD_H
