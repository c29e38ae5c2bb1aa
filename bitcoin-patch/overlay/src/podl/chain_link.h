// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_CHAIN_LINK_H
#define BITCOIN_PODL_CHAIN_LINK_H

#include <podl/state.h>
#include <uint256.h>

#include <memory>
#include <optional>
#include <string>

class CBlock;
class CBlockHeader;

namespace podl {

/** What the manager asks of the node's chain. All calls may take cs_main: never with the manager's mutex held. */
class ChainLink
{
public:
    virtual ~ChainLink() = default;

    enum class BlockState {
        UNKNOWN,
        HEADER,    //!< in the block index without data
        DATA,      //!< with data, never connected
        CONNECTED, //!< was connected at least once
        FAILED,    //!< marked invalid, by validation or by the operator
    };
    struct Tip {
        int height;
        uint256 hash;
        bool legacy{false}; //!< its header is an ordinary one
    };

    /** False while blocks are imported, when nothing should be fed. */
    virtual bool Ready() const = 0;
    virtual std::optional<Tip> GetTip() const = 0;
    /** Height up to which the active chain would survive a crash; -1 if unknown. */
    virtual int FlushedHeight() const = 0;
    /** Height of a block in the index. */
    virtual std::optional<int> HeightOf(const uint256& hash) const = 0;
    /** What the index says about the parent of a commitment; nullopt if it is not there. */
    virtual std::optional<ParentInfo> Parent(const CBlockHeader& header) const = 0;
    virtual BlockState StateOf(const uint256& hash) const = 0;
    /** Why validation has refused the block by its own rules since the start; nullopt if it has not. */
    virtual std::optional<std::string> Refusal(const uint256& hash) const = 0;
    /** The block's data; nullptr if they are not (or no longer) there. */
    virtual std::shared_ptr<const CBlock> ReadBlock(const uint256& hash) const = 0;

    /** Disconnect the active chain from this height on, unless its block there is the named one. @returns whether that is so now */
    virtual bool Disconnect(int height, const uint256& named) = 0;
    virtual void FeedHeader(const CBlockHeader& header) = 0;
    virtual void FeedBlock(const std::shared_ptr<const CBlock>& block) = 0;
    /** Connect what may be connected. */
    virtual void Activate() = 0;
};

} // namespace podl

#endif // BITCOIN_PODL_CHAIN_LINK_H
