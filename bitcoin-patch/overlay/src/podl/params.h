// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_PARAMS_H
#define BITCOIN_PODL_PARAMS_H

#include <uint256.h>
#include <util/fs.h>

#include <optional>
#include <string>

/** `podl/params`: what chain a data directory belongs to. */
namespace podl {

/** Whether a data directory belongs to a PoDL chain. */
bool HasParams(const fs::path& dir);

/**
 * Compare with the parameters of an earlier start, or remember these at the first one.
 *
 * @returns one line for the operator when they differ, or the file cannot be read or written
 */
std::optional<std::string> CheckParams(const fs::path& dir, const uint256& chain_id, int podl_height);

} // namespace podl

#endif // BITCOIN_PODL_PARAMS_H
