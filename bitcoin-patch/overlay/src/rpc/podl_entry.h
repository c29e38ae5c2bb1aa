// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_RPC_PODL_ENTRY_H
#define BITCOIN_RPC_PODL_ENTRY_H

#include <podl/views.h>
#include <rpc/util.h>
#include <univalue.h>

#include <vector>

/**
 * One entry of the schedule.
 *
 * @param[in] decode  beside index, id, type, time and hex also all fields, under the names of protocol
 *                    section 5
 */
UniValue EntryToJSON(const podl::EntryView& view, bool decode);

/** Documentation of EntryToJSON()'s keys. */
std::vector<RPCResult> EntryDoc();

#endif // BITCOIN_RPC_PODL_ENTRY_H
