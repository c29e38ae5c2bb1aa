// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/views.h>

#include <array>

namespace podl {
namespace {

//! In the order of ObjectKind.
constexpr std::array KIND_NAMES{"body", "weights", "model", "shard"};
//! In the order of EvaluatorMode.
constexpr std::array MODE_NAMES{"auto", "sidecar", "internal", "both"};

template <typename T>
std::optional<T> FromName(const auto& names, const std::string& name)
{
    for (size_t i{0}; i < names.size(); ++i) {
        if (name == names[i]) return static_cast<T>(i);
    }
    return std::nullopt;
}

} // namespace

std::string KindName(ObjectKind kind)
{
    return KIND_NAMES.at(static_cast<size_t>(kind));
}

std::optional<ObjectKind> KindFromName(const std::string& name)
{
    return FromName<ObjectKind>(KIND_NAMES, name);
}

std::string ModeName(EvaluatorMode mode)
{
    return MODE_NAMES.at(static_cast<size_t>(mode));
}

std::optional<EvaluatorMode> ModeFromName(const std::string& name)
{
    return FromName<EvaluatorMode>(MODE_NAMES, name);
}

} // namespace podl
