// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/core_chain.h>

#include <chain.h>
#include <consensus/validation.h>
#include <kernel/types.h>
#include <logging.h>
#include <pow.h>
#include <primitives/block.h>
#include <validation.h>

#include <span>
#include <utility>

namespace podl {

CoreChain::CoreChain(ChainstateManager& chainman, std::function<void()> wake, std::function<bool(const uint256&)> is_final)
    : m_chainman{chainman}, m_wake{std::move(wake)}, m_is_final{std::move(is_final)},
      m_flushed_height{WITH_LOCK(::cs_main, return chainman.ActiveHeight())} // whatever was loaded is on disk
{
}

bool CoreChain::Ready() const
{
    return !m_chainman.m_blockman.LoadingBlocks();
}

std::optional<ChainLink::Tip> CoreChain::GetTip() const
{
    LOCK(::cs_main);
    const auto* tip{m_chainman.ActiveTip()};
    if (!tip) return std::nullopt;
    return Tip{tip->nHeight, tip->GetBlockHash(), !CBlockHeader::IsPodlVersion(tip->nVersion)};
}

std::optional<int> CoreChain::HeightOf(const uint256& hash) const
{
    LOCK(::cs_main);
    const auto* index{m_chainman.m_blockman.LookupBlockIndex(hash)};
    if (!index) return std::nullopt;
    return index->nHeight;
}

std::optional<ParentInfo> CoreChain::Parent(const CBlockHeader& header) const
{
    LOCK(::cs_main);
    const auto* index{m_chainman.m_blockman.LookupBlockIndex(header.hashPrevBlock)};
    if (!index) return std::nullopt;
    return ParentInfo{index->GetMedianTimePast(), GetNextWorkRequired(index, &header, m_chainman.GetConsensus())};
}

ChainLink::BlockState CoreChain::StateOf(const uint256& hash) const
{
    LOCK(::cs_main);
    const auto* index{m_chainman.m_blockman.LookupBlockIndex(hash)};
    if (!index) return BlockState::UNKNOWN;
    if (index->nStatus & BLOCK_FAILED_VALID) return BlockState::FAILED;
    if (index->IsValid(BLOCK_VALID_SCRIPTS)) return BlockState::CONNECTED;
    return index->nStatus & BLOCK_HAVE_DATA ? BlockState::DATA : BlockState::HEADER;
}

std::optional<std::string> CoreChain::Refusal(const uint256& hash) const
{
    LOCK(m_mutex);
    const auto it{m_refusals.find(hash)};
    if (it == m_refusals.end()) return std::nullopt;
    return it->second;
}

std::shared_ptr<const CBlock> CoreChain::ReadBlock(const uint256& hash) const
{
    const CBlockIndex* index{WITH_LOCK(::cs_main, return m_chainman.m_blockman.LookupBlockIndex(hash))};
    if (!index || !WITH_LOCK(::cs_main, return index->nStatus & BLOCK_HAVE_DATA)) return nullptr;
    auto block{std::make_shared<CBlock>()};
    if (!m_chainman.m_blockman.ReadBlock(*block, *index)) return nullptr;
    return block;
}

bool CoreChain::Disconnect(int height, const uint256& named)
{
    auto& chainstate{m_chainman.ActiveChainstate()};
    CBlockIndex* index{WITH_LOCK(::cs_main, return chainstate.m_chain[height])};
    if (index && index->GetBlockHash() != named) {
        BlockValidationState state;
        if (!chainstate.InvalidateBlock(state, index)) {
            LogError("PoDL: block %s cannot be disconnected: %s", index->GetBlockHash().ToString(), state.ToString());
            return false;
        }
        // It is no invalid block: peers that still have it must not be blamed. The gate holds it from now on.
        LOCK(::cs_main);
        chainstate.ResetBlockFailureFlags(index);
        m_chainman.RecalculateBestHeader();
    }
    Activate();
    return true;
}

void CoreChain::FeedHeader(const CBlockHeader& header)
{
    BlockValidationState state;
    if (m_chainman.ProcessNewBlockHeaders({{header}}, /*min_pow_checked=*/true, state)) return;
    LogDebug(BCLog::PODL, "header %s is not accepted: %s", header.GetHash().ToString(), state.ToString());
    Record(header.GetHash(), state);
}

void CoreChain::FeedBlock(const std::shared_ptr<const CBlock>& block)
{
    // What comes of it is seen in the block index, or told by BlockChecked.
    m_chainman.ProcessNewBlock(block, /*force_processing=*/true, /*min_pow_checked=*/true, /*new_block=*/nullptr);
}

void CoreChain::Activate()
{
    BlockValidationState state;
    if (!m_chainman.ActiveChainstate().ActivateBestChain(state)) LogError("PoDL: ActivateBestChain failed: %s", state.ToString());
}

void CoreChain::BlockChecked(const std::shared_ptr<const CBlock>& block, const BlockValidationState& state)
{
    // Only a body that is the header's own proves anything about the block.
    if (block->IsPodl() && !state.IsValid() && !IsBlockMutated(*block, /*check_witness_root=*/true)) Record(block->GetHash(), state);
}

void CoreChain::Record(const uint256& hash, const BlockValidationState& state)
{
    // The other results say something about what this node knows, not about the block.
    const bool proven{state.GetResult() == BlockValidationResult::BLOCK_CONSENSUS || state.GetResult() == BlockValidationResult::BLOCK_INVALID_HEADER};
    if (!proven || !m_is_final(hash)) return;
    LOCK(m_mutex);
    m_refusals.emplace(hash, state.GetRejectReason());
}

void CoreChain::ChainStateFlushed(const kernel::ChainstateRole& role, const CBlockLocator& locator)
{
    if (role.historical || locator.vHave.empty()) return;
    if (const auto height{HeightOf(locator.vHave.front())}) m_flushed_height = *height;
    m_wake();
}

void CoreChain::UpdatedBlockTip(const CBlockIndex* index_new, const CBlockIndex* index_fork, bool initial_download)
{
    m_wake();
}

} // namespace podl
