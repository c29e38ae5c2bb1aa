// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/chain_args.h>

#include <common/args.h>
#include <tinyformat.h>
#include <util/strencodings.h>

#include <limits>
#include <stdexcept>
#include <string>

namespace podl {

void AddChainArgs(ArgsManager& argsman)
{
    const auto flags{ArgsManager::ALLOW_ANY | ArgsManager::DISALLOW_NEGATION};
    argsman.AddArg("-podlheight=<n>", "First height at which blocks must be Proof-of-Deep-Learning blocks; needs -podltask (regtest-only)", flags, OptionsCategory::CHAINPARAMS);
    argsman.AddArg("-podltask=<file>", "File with the first signed task entry, in hex; needs -podlheight (regtest-only)", flags, OptionsCategory::CHAINPARAMS);
}

std::optional<int> ReadHeightArg(const ArgsManager& args)
{
    const auto value{args.GetArg("-podlheight")};
    if (!value) return std::nullopt;
    const auto height{ToIntegral<int>(*value)};
    if (!height || *height < 1 || *height == std::numeric_limits<int>::max()) {
        throw std::runtime_error(strprintf("Invalid height value (%s) for -podlheight=<n>.", *value));
    }
    return height;
}

} // namespace podl
