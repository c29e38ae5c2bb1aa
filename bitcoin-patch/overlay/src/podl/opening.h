// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_OPENING_H
#define BITCOIN_PODL_OPENING_H

#include <podl/result.h>

#include <serialize.h>
#include <uint256.h>

#include <cstddef>
#include <cstdint>

namespace podl {

inline constexpr size_t OPENING_SIZE{329};

/** The values behind a header's hashModel (protocol section 4). */
struct Opening {
    uint256 chain_id;
    uint256 task_id;
    uint32_t height{0};
    uint256 release_id; //!< release(height - 1, attempt 0), or the chain id at the first height
    uint256 weights_root;
    uint256 model_root;
    uint32_t n_params{0};
    uint256 recipe_hash;
    uint256 checkpoints_root;
    uint8_t n_checkpoints{0};
    uint256 payout_hash; //!< SHA-256 of the payout script
    uint256 reveal_key;  //!< x-only
    uint256 salt;

    /** The hashModel that commits to these values. */
    uint256 GetHash() const;

    SERIALIZE_METHODS(Opening, obj)
    {
        READWRITE(obj.chain_id, obj.task_id, obj.height, obj.release_id, obj.weights_root, obj.model_root);
        READWRITE(obj.n_params, obj.recipe_hash, obj.checkpoints_root, obj.n_checkpoints);
        READWRITE(obj.payout_hash, obj.reveal_key, obj.salt);
    }
};

/** No root, key or id may be zero: podl-hashmodel-null. */
Result<void> CheckOpeningNulls(const Opening& opening);

} // namespace podl

#endif // BITCOIN_PODL_OPENING_H
