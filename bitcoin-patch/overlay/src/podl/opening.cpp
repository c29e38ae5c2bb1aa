// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/opening.h>

#include <hash.h>

#include <string>
#include <utility>

namespace podl {

uint256 Opening::GetHash() const
{
    HashWriter writer{TaggedHash("PoDL/commit/v1")};
    writer << *this;
    return writer.GetSHA256();
}

Result<void> CheckOpeningNulls(const Opening& opening)
{
    const std::pair<const char*, const uint256&> fields[]{
        {"chain_id", opening.chain_id},
        {"task_id", opening.task_id},
        {"release_id", opening.release_id},
        {"weights_root", opening.weights_root},
        {"model_root", opening.model_root},
        {"recipe_hash", opening.recipe_hash},
        {"checkpoints_root", opening.checkpoints_root},
        {"payout_hash", opening.payout_hash},
        {"reveal_key", opening.reveal_key},
    };
    for (const auto& [name, value] : fields) {
        if (value.IsNull()) return Refuse(FailureClass::DATA, "podl-hashmodel-null", std::string{name} + " is zero");
    }
    return {};
}

} // namespace podl
