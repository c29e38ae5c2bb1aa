// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_FUZZ_PODL_SCRIPT_H
#define BITCOIN_TEST_FUZZ_PODL_SCRIPT_H

#include <podl/merkle.h>
#include <podl/net_messages.h>
#include <podl/views.h>
#include <test/fuzz/FuzzedDataProvider.h>
#include <test/podl_world.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

/** Two rounds of a real chain, and ways to spoil them: what the targets with state draw from. */
namespace podl::test {

/** Change, insert or erase some bytes. @returns in how many steps, 0 to 4 */
int Edit(FuzzedDataProvider& provider, Bytes& bytes);

/** One thing that peers send: bytes and the id that names them. */
struct Piece {
    ObjectType type{};
    ObjectKind kind{ObjectKind::BODY}; //!< for bodies and data
    uint256 id;
    Bytes bytes;
};

/** Lets the manager's worker and the fuzz target use the chain at the same time. */
class LockedChain final : public ChainLink
{
private:
    mutable std::recursive_mutex m_lock; //!< feeding a block activates it
    FakeChain m_chain;

    template <typename Function>
    auto Locked(Function function) const
    {
        const std::lock_guard lock{m_lock};
        return function();
    }

public:
    explicit LockedChain(BlockGate& gate) : m_chain{gate} {}

    void AddConnected(const uint256& hash, int height) { Locked([&] { m_chain.AddConnected(hash, height); }); }
    void RefuseBlock(const uint256& hash) { Locked([&] { m_chain.m_refusals[hash] = "bad-txns"; }); }

    bool Ready() const override { return true; }
    std::optional<Tip> GetTip() const override { return Locked([&] { return m_chain.GetTip(); }); }
    int FlushedHeight() const override { return Locked([&] { return m_chain.FlushedHeight(); }); }
    std::optional<int> HeightOf(const uint256& hash) const override { return Locked([&] { return m_chain.HeightOf(hash); }); }
    std::optional<ParentInfo> Parent(const CBlockHeader& header) const override { return Locked([&] { return m_chain.Parent(header); }); }
    BlockState StateOf(const uint256& hash) const override { return Locked([&] { return m_chain.StateOf(hash); }); }
    std::optional<std::string> Refusal(const uint256& hash) const override { return Locked([&] { return m_chain.Refusal(hash); }); }
    std::shared_ptr<const CBlock> ReadBlock(const uint256& hash) const override { return Locked([&] { return m_chain.ReadBlock(hash); }); }
    bool Disconnect(int height, const uint256& named) override { return Locked([&] { return m_chain.Disconnect(height, named); }); }
    void FeedHeader(const CBlockHeader& header) override { Locked([&] { m_chain.FeedHeader(header); }); }
    void FeedBlock(const std::shared_ptr<const CBlock>& block) override { Locked([&] { m_chain.FeedBlock(block); }); }
    void Activate() override { Locked([&] { m_chain.Activate(); }); }
};

/** The rounds, made once, and a new node for every input. */
class Script : public World
{
public:
    std::vector<Mined> m_mined;      //!< three for the first height, one for the second
    std::vector<Piece> m_entries;    //!< in order
    std::vector<Piece> m_pieces;     //!< everything, entries first
    LockedChain* m_locked{nullptr};  //!< of the current node

    Script();

    /** Start anew: an empty node, a clock behind all entries. */
    void Reset();
    /** The same as another node that nothing else knows of. */
    std::unique_ptr<Manager> OtherNode();

    const Piece& PickPiece(FuzzedDataProvider& provider) const { return m_pieces[provider.ConsumeIntegralInRange<size_t>(0, m_pieces.size() - 1)]; }
    const Mined& PickMined(FuzzedDataProvider& provider) const { return m_mined[provider.ConsumeIntegralInRange<size_t>(0, m_mined.size() - 1)]; }
    const Release& PickRelease(FuzzedDataProvider& provider) const;
    /** Bytes of a piece, now and then with a few changes; changed entries may be signed again. @param[out] changed  whether they differ */
    Bytes Spoil(FuzzedDataProvider& provider, const Piece& piece, bool& changed);

    /** Hand in what a peer would. */
    Submission SubmitBytes(ObjectType type, ObjectKind kind, const uint256& id, const Bytes& bytes);

private:
    void AddPiece(ObjectType type, const uint256& id, Bytes bytes, ObjectKind kind = ObjectKind::BODY) { m_pieces.push_back({type, kind, id, std::move(bytes)}); }
    void AddMined(const Mined& mined);
    Bytes SignAgain(FuzzedDataProvider& provider, const Bytes& bytes);
};

} // namespace podl::test

#endif // BITCOIN_TEST_FUZZ_PODL_SCRIPT_H
