// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_ARGS_H
#define BITCOIN_PODL_ARGS_H

#include <memory>

class ArgsManager;
class ChainstateManager;

namespace podl {

class Manager;

/** Register the options of the node itself; those of the chain are in chain_args.h. */
void AddArgs(ArgsManager& argsman);

/**
 * Open the manager when the options ask for one; before the block index is loaded.
 *
 * @param[out] manager  stays null without PoDL
 * @returns false after an init error has been shown
 */
bool CreateManager(const ArgsManager& args, std::unique_ptr<Manager>& manager);

/** Connect the manager, if there is one, with the loaded chain. @returns false after an init error has been shown */
bool AttachManager(Manager* manager, ChainstateManager& chainman);

} // namespace podl

#endif // BITCOIN_PODL_ARGS_H
