// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_CHAIN_ARGS_H
#define BITCOIN_PODL_CHAIN_ARGS_H

#include <optional>

class ArgsManager;

namespace podl {

/** Register the options that define a PoDL chain; every tool that selects a chain knows them. */
void AddChainArgs(ArgsManager& argsman);

/**
 * First height with PoDL headers, from -podlheight; nullopt when the option is not given.
 *
 * @throws std::runtime_error if the value is no height above the genesis block
 */
std::optional<int> ReadHeightArg(const ArgsManager& args);

} // namespace podl

#endif // BITCOIN_PODL_CHAIN_ARGS_H
