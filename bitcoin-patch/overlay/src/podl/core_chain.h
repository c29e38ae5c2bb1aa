// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_CORE_CHAIN_H
#define BITCOIN_PODL_CORE_CHAIN_H

#include <podl/chain_link.h>
#include <sync.h>
#include <uint256.h>
#include <validationinterface.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

class BlockValidationState;
class ChainstateManager;
struct CBlockLocator;

namespace kernel {
struct ChainstateRole;
} // namespace kernel

namespace podl {

/** The chain of a running node. */
class CoreChain final : public ChainLink, public CValidationInterface
{
public:
    /**
     * @param wake   called whenever the active tip has changed; must not block
     * @param is_final  whether a final names this block; called with cs_main held
     */
    CoreChain(ChainstateManager& chainman, std::function<void()> wake, std::function<bool(const uint256&)> is_final);

    bool Ready() const override;
    std::optional<Tip> GetTip() const override;
    int FlushedHeight() const override { return m_flushed_height; }
    std::optional<int> HeightOf(const uint256& hash) const override;
    std::optional<ParentInfo> Parent(const CBlockHeader& header) const override;
    BlockState StateOf(const uint256& hash) const override;
    std::optional<std::string> Refusal(const uint256& hash) const override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    std::shared_ptr<const CBlock> ReadBlock(const uint256& hash) const override;
    bool Disconnect(int height, const uint256& named) override;
    void FeedHeader(const CBlockHeader& header) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void FeedBlock(const std::shared_ptr<const CBlock>& block) override;
    void Activate() override;

protected:
    void BlockChecked(const std::shared_ptr<const CBlock>& block, const BlockValidationState& state) override EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
    void ChainStateFlushed(const kernel::ChainstateRole& role, const CBlockLocator& locator) override;
    void UpdatedBlockTip(const CBlockIndex* index_new, const CBlockIndex* index_fork, bool initial_download) override;

private:
    ChainstateManager& m_chainman;
    const std::function<void()> m_wake;
    const std::function<bool(const uint256&)> m_is_final;
    std::atomic<int> m_flushed_height;
    mutable Mutex m_mutex;
    std::map<uint256, std::string> m_refusals GUARDED_BY(m_mutex);

    void Record(const uint256& hash, const BlockValidationState& state) EXCLUSIVE_LOCKS_REQUIRED(!m_mutex);
};

} // namespace podl

#endif // BITCOIN_PODL_CORE_CHAIN_H
