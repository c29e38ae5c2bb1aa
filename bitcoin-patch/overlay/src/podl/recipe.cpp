// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/recipe.h>

#include <arith_uint256.h>
#include <hash.h>

#include <string>
#include <utility>

namespace podl {
namespace {

//! Forward pass, gradient, and error for the layer below cost one product each.
constexpr uint32_t PRODUCTS_PER_WEIGHT{3};

util::Unexpected<Reject> OutOfBounds(std::string detail)
{
    return Refuse(FailureClass::DATA, "podl-recipe-bounds", std::move(detail));
}

Result<void> CheckChoice(const char* name, uint8_t value, uint8_t low, uint8_t high)
{
    if (low <= value && value <= high) return {};
    return OutOfBounds(strprintf("%s is %u, not %u..%u", name, value, low, high));
}

/** Whether repeating the training stays below the task's cap. */
bool FitsReplayCap(const Recipe& recipe, const Task& task, const Program& program)
{
    const uint64_t samples{uint64_t{task.training_n >> recipe.b} << recipe.b};
    arith_uint256 work{program.macs};
    work *= PRODUCTS_PER_WEIGHT;
    work *= arith_uint256{samples * recipe.epochs};
    return work <= arith_uint256{task.max_replay_macs};
}

} // namespace

uint256 Recipe::GetHash() const
{
    HashWriter writer{TaggedHash("PoDL/recipe/v1")};
    writer << *this;
    return writer.GetSHA256();
}

Result<void> CheckRecipe(const Recipe& recipe, const TaskRecord& record)
{
    const Task& task{record.task};
    if (recipe.version != 1 || recipe.lr_odd != 1 || recipe.mu != 3 || recipe.drop > 1) {
        return OutOfBounds("version, lr_odd, mu or drop is unknown");
    }
    if (recipe.padding != decltype(recipe.padding){}) return OutOfBounds("padding is not zero");
    if (recipe.architecture >= record.programs.size()) {
        return OutOfBounds(strprintf("architecture %u of %u", recipe.architecture, record.programs.size()));
    }
    if (auto b{CheckChoice("b", recipe.b, task.b_min, task.b_max)}; !b) return b;
    if (auto epochs{CheckChoice("epochs", recipe.epochs, task.epochs_min, task.epochs_max)}; !epochs) return epochs;
    if (auto k{CheckChoice("k", recipe.k, task.k_min, task.k_max)}; !k) return k;

    const Program& program{record.programs[recipe.architecture]};
    if (uint64_t{1} << recipe.b > task.training_n) return OutOfBounds("the training set does not fill a batch");
    if (program.max_positions << recipe.b > MAX_GRADIENT_TERMS) {
        return OutOfBounds(strprintf("layer %u: %u positions times a batch of 2^%u above %u", program.busiest_layer, program.max_positions, recipe.b, MAX_GRADIENT_TERMS));
    }
    if (!FitsReplayCap(recipe, task, program)) return OutOfBounds("replay exceeds max_replay_macs");
    return {};
}

} // namespace podl
