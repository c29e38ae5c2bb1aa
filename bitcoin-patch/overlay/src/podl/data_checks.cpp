// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/data_checks.h>

#include <crypto/common.h>
#include <tinyformat.h>

#include <algorithm>
#include <cstddef>

namespace podl {
namespace {

/** The one value of an i8 that is outside -127..127. */
constexpr unsigned char MINUS_128{0x80};

Result<void> CheckLength(uint64_t size, uint64_t expected)
{
    if (size == expected) return {};
    return Refuse(FailureClass::DATA, "podl-model-size", strprintf("%u bytes instead of %u", size, expected));
}

} // namespace

Result<void> CheckShardBytes(std::span<const unsigned char> bytes, const Task& task, uint32_t n)
{
    if (bytes.size() != task.DataSize(n)) {
        return Refuse(FailureClass::PERM, "podl-shard-range", strprintf("%u bytes instead of %u", bytes.size(), task.DataSize(n)));
    }
    const auto samples{bytes.first(bytes.size() - n)};
    const auto labels{bytes.last(n)};
    if (const auto bad{std::ranges::find(samples, MINUS_128)}; bad != samples.end()) {
        return Refuse(FailureClass::PERM, "podl-shard-range", strprintf("sample byte %u is -128", bad - samples.begin()));
    }
    const auto bad{std::ranges::find_if(labels, [&](unsigned char label) { return label >= task.classes; })};
    if (bad != labels.end()) {
        return Refuse(FailureClass::PERM, "podl-shard-label", strprintf("label %u of sample %u, %u classes", *bad, bad - labels.begin(), task.classes));
    }
    return {};
}

Result<void> CheckWeightBytes(std::span<const unsigned char> bytes, uint32_t n_params)
{
    if (auto length{CheckLength(bytes.size(), n_params * WEIGHT_BYTES)}; !length) return length;
    if (const auto bad{std::ranges::find(bytes, MINUS_128)}; bad != bytes.end()) {
        return Refuse(FailureClass::PERM, "podl-model-range", strprintf("weight %u is -128", bad - bytes.begin()));
    }
    return {};
}

Result<void> CheckModelBytes(std::span<const unsigned char> bytes, uint32_t n_params)
{
    if (auto length{CheckLength(bytes.size(), n_params * MODEL_BYTES)}; !length) return length;
    for (size_t i{0}; i < n_params; ++i) {
        const auto weight{static_cast<int32_t>(ReadLE32(bytes.data() + i * MODEL_BYTES))};
        if (weight < -MAX_MASTER_WEIGHT || weight > MAX_MASTER_WEIGHT) {
            return Refuse(FailureClass::PERM, "podl-model-range", strprintf("master weight %u is %d", i, weight));
        }
    }
    return {};
}

} // namespace podl
