// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_RECIPE_H
#define BITCOIN_PODL_RECIPE_H

#include <podl/result.h>
#include <podl/task.h>

#include <serialize.h>
#include <uint256.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace podl {

inline constexpr size_t RECIPE_SIZE{96};

/** How a model was trained (protocol section 4). */
struct Recipe {
    uint8_t version{1};
    uint8_t architecture{0}; //!< index into the task's programs
    uint8_t b{0};            //!< batch of 2^b samples
    uint8_t epochs{0};
    uint8_t k{0}; //!< rate 2^-k
    uint8_t lr_odd{1};
    uint8_t drop{0};
    uint8_t mu{3};
    uint16_t trial{0};
    uint256 parent; //!< model root that training started from, or zero
    std::array<unsigned char, 54> padding{};

    uint256 GetHash() const;

    SERIALIZE_METHODS(Recipe, obj)
    {
        READWRITE(obj.version, obj.architecture, obj.b, obj.epochs, obj.k, obj.lr_odd, obj.drop, obj.mu);
        READWRITE(obj.trial, obj.parent, obj.padding);
    }
};

/** Values that this version and the task allow: podl-recipe-bounds. The parent is checked by ModelHistory. */
Result<void> CheckRecipe(const Recipe& recipe, const TaskRecord& task);

} // namespace podl

#endif // BITCOIN_PODL_RECIPE_H
