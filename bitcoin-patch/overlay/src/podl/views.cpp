// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/views.h>

#include <array>

namespace podl {
namespace {

//! In the order of ObjectKind.
constexpr std::array KIND_NAMES{"body", "weights", "model", "shard"};

} // namespace

std::string KindName(ObjectKind kind)
{
    return KIND_NAMES.at(static_cast<size_t>(kind));
}

std::optional<ObjectKind> KindFromName(const std::string& name)
{
    for (size_t i{0}; i < KIND_NAMES.size(); ++i) {
        if (name == KIND_NAMES[i]) return static_cast<ObjectKind>(i);
    }
    return std::nullopt;
}

} // namespace podl
