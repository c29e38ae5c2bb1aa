// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_STORE_DAMAGE_H
#define BITCOIN_PODL_STORE_DAMAGE_H

#include <util/fs.h>

#include <optional>
#include <string>

namespace podl {

/**
 * Read a whole database with LevelDB itself, before it is used: CDBWrapper's iterators pass over blocks that cannot be
 * read and do not say so, and without the file CURRENT it begins a new database.
 *
 * @returns what is wrong, with the file's name; nullopt for a sound or a new database
 */
std::optional<std::string> FindDamage(const fs::path& path);

} // namespace podl

#endif // BITCOIN_PODL_STORE_DAMAGE_H
