// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/codec.h>
#include <podl/data_checks.h>
#include <podl/merkle.h>
#include <podl/object_check.h>
#include <podl/task.h>

#include <crypto/common.h>
#include <primitives/block.h>
#include <primitives/transaction.h>
#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>

/** Bytes of models, data sets and blocks, as they come from peers and over RPC. */
namespace {

using podl::ObjectKind;
using Bytes = std::span<const unsigned char>;

constexpr unsigned char MINUS_128{0x80};

/** The same rules once more, written in another way. */
bool IsShard(Bytes bytes, const podl::Task& task, uint32_t n)
{
    const uint64_t split{task.SampleSize() * n};
    if (bytes.size() != split + n) return false;
    for (size_t i{0}; i < bytes.size(); ++i) {
        if (i < split ? bytes[i] == MINUS_128 : bytes[i] >= task.classes) return false;
    }
    return true;
}

bool IsWeights(Bytes bytes, uint32_t n_params)
{
    return bytes.size() == n_params && std::ranges::count(bytes, MINUS_128) == 0;
}

bool IsModel(Bytes bytes, uint32_t n_params)
{
    if (bytes.size() != uint64_t{n_params} * 4) return false;
    for (size_t i{0}; i < n_params; ++i) {
        const int64_t weight{static_cast<int32_t>(ReadLE32(bytes.data() + 4 * i))};
        if (weight * weight > int64_t{127 << 16} * (127 << 16)) return false;
    }
    return true;
}

bool IsUsable(ObjectKind kind, Bytes bytes, const podl::Task& task, uint32_t count)
{
    if (kind == ObjectKind::WEIGHTS) return IsWeights(bytes, count);
    return kind == ObjectKind::MODEL ? IsModel(bytes, count) : IsShard(bytes, task, count);
}

/** An object under its right name is taken if one of those that name it can use it. */
void CheckNamed(ObjectKind kind, Bytes bytes, const podl::Task& task, uint32_t count)
{
    if (bytes.empty()) return;
    const podl::ObjectContext context{
        .id = {kind, podl::DataRoot(bytes)},
        .namers = {{.id = {}, .count = count}, {.id = uint256::ONE, .count = uint64_t{count} + 1}},
        .task = task,
    };
    const auto found{podl::CheckObject(context, bytes)};
    const bool usable{IsUsable(kind, bytes, task, count) || IsUsable(kind, bytes, task, count + 1)};
    assert(usable == !found.reject);
    assert(found.faults.size() == (usable ? 1 : 2));
    if (found.reject) assert(found.reject->cls == podl::FailureClass::PERM);
    auto wrong{context};
    wrong.id.hash.begin()[0] ^= 1;
    const auto refused{podl::CheckObject(wrong, bytes)};
    assert(refused.reject && refused.reject->cls == podl::FailureClass::DATA);
}

void CheckBody(Bytes bytes, Bytes payout)
{
    const auto block{podl::ParseBody(bytes)};
    podl::ObjectContext context{.id = {ObjectKind::BODY, {}}, .namers = {{.payout = {payout.begin(), payout.end()}}}};
    if (block) {
        // A body has one encoding.
        assert(std::ranges::equal(podl::ToBytes(TX_WITH_WITNESS(*block)), bytes));
        context.id.hash = block->GetHash();
    }
    const auto found{podl::CheckObject(context, bytes)};
    if (!block) assert(found.reject);
    if (found.reject) assert(std::set<std::string>({"podl-data-size", "podl-body-mismatch", "podl-payout"}).contains(found.reject->reason));
}

} // namespace

void initialize_podl_data()
{
    CBlockHeader::s_podl_headers = true;
}

FUZZ_TARGET(podl_data, .init = initialize_podl_data)
{
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    const auto kind{static_cast<ObjectKind>(provider.ConsumeIntegralInRange<uint8_t>(0, 3))};
    const uint32_t count{provider.ConsumeIntegral<uint16_t>()};
    podl::Task task;
    task.dims = {provider.ConsumeIntegralInRange<uint16_t>(1, 300)};
    task.classes = provider.ConsumeIntegralInRange<uint16_t>(2, 256);
    const auto payout{provider.ConsumeBytes<unsigned char>(kind == ObjectKind::BODY ? count % 129 : 0)};
    const auto bytes{provider.ConsumeRemainingBytes<unsigned char>()};

    if (kind == ObjectKind::BODY) {
        CheckBody(bytes, payout);
        return;
    }
    if (kind == ObjectKind::SHARD) assert(podl::CheckShardBytes(bytes, task, count).has_value() == IsShard(bytes, task, count));
    if (kind == ObjectKind::WEIGHTS) assert(podl::CheckWeightBytes(bytes, count).has_value() == IsWeights(bytes, count));
    if (kind == ObjectKind::MODEL) assert(podl::CheckModelBytes(bytes, count).has_value() == IsModel(bytes, count));
    CheckNamed(kind, bytes, task, count);
}
