// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/codec.h>
#include <podl/recipe.h>
#include <podl/task.h>

#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>

#include <cassert>
#include <cstdint>
#include <vector>

namespace {

void CheckBounds(const podl::Task& task, const std::vector<podl::Program>& programs)
{
    assert(programs.size() == task.programs.size());
    for (const auto& program : programs) assert(program.n_params <= task.max_weights);
    assert(task.DataSize(task.shard_max) / task.shard_max == task.SampleSize() + 1);
    assert(podl::CheckLaterTask(task, task));
}

} // namespace

FUZZ_TARGET(podl_task)
{
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    const auto recipe_bytes{provider.ConsumeBytes<unsigned char>(podl::RECIPE_SIZE)};
    const auto bytes{provider.ConsumeRemainingBytes<unsigned char>()};

    const auto task{podl::ParseExact<podl::Task>(bytes, "podl-entry-noncanonical")};
    if (!task) return;
    assert(podl::ToBytes(*task) == bytes);
    const auto programs{podl::CheckTask(*task)};
    if (!programs) return;
    CheckBounds(*task, *programs);

    const auto recipe{podl::ParseExact<podl::Recipe>(recipe_bytes, "podl-recipe-size")};
    if (!recipe) return;
    assert(podl::ToBytes(*recipe) == recipe_bytes);
    const podl::TaskRecord record{.id = {}, .time = 0, .task = *task, .programs = *programs};
    if (podl::CheckRecipe(*recipe, record)) assert(recipe->epochs > 0 && uint64_t{1} << recipe->b <= task->training_n);
}
