// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/codec.h>
#include <podl/recipe.h>
#include <podl/task.h>

#include <test/fuzz/fuzz.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace {

void CheckBounds(const podl::Task& task, const std::vector<podl::Program>& programs)
{
    assert(programs.size() == task.programs.size());
    for (const auto& program : programs) assert(program.n_params <= task.max_weights);
    assert(task.DataSize(task.shard_max) / task.shard_max == task.SampleSize() + 1);
    assert(podl::CheckLaterTask(task, task));
}

/** A task within all bounds, with its programs. */
std::optional<podl::TaskRecord> ReadTask(std::span<const unsigned char> bytes)
{
    const auto task{podl::ParseExact<podl::Task>(bytes, "podl-entry-noncanonical")};
    if (!task) return std::nullopt;
    assert(std::ranges::equal(podl::ToBytes(*task), bytes));
    const auto programs{podl::CheckTask(*task)};
    if (!programs) {
        assert(std::set<std::string>({"podl-task-range", "podl-task-budget"}).contains(programs.error().reason));
        return std::nullopt;
    }
    return podl::TaskRecord{.id = {}, .time = 0, .task = *task, .programs = *programs};
}

} // namespace

FUZZ_TARGET(podl_task)
{
    if (const auto record{ReadTask(buffer)}) CheckBounds(record->task, record->programs);
}

/** A recipe, and behind it the task that it is for. */
FUZZ_TARGET(podl_recipe)
{
    const auto recipe_bytes{buffer.first(std::min(buffer.size(), podl::RECIPE_SIZE))};
    const auto recipe{podl::ParseExact<podl::Recipe>(recipe_bytes, "podl-recipe-size")};
    assert(recipe.has_value() == (recipe_bytes.size() == podl::RECIPE_SIZE));
    if (!recipe) return;
    assert(std::ranges::equal(podl::ToBytes(*recipe), recipe_bytes));
    const auto record{ReadTask(buffer.subspan(podl::RECIPE_SIZE))};
    if (!record) return;
    const auto checked{podl::CheckRecipe(*recipe, *record)};
    if (!checked) {
        assert(checked.error().reason == "podl-recipe-bounds");
        return;
    }
    const auto& task{record->task};
    assert(recipe->epochs >= task.epochs_min && recipe->epochs <= task.epochs_max && recipe->b <= task.b_max);
    assert(recipe->epochs > 0 && uint64_t{1} << recipe->b <= task.training_n);
    assert(record->programs.at(recipe->architecture).max_positions << recipe->b <= podl::MAX_GRADIENT_TERMS);
}
