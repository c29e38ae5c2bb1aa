// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_COINBASE_H
#define BITCOIN_PODL_COINBASE_H

#include <podl/result.h>

#include <span>

class CTransaction;

namespace podl {

/**
 * Coinbase rule (protocol section 4): the first output pays the committed script, the only other one that may be
 * there is a witness commitment of value 0. Otherwise podl-payout, PERM.
 */
Result<void> CheckCoinbase(const CTransaction& coinbase, std::span<const unsigned char> payout);

} // namespace podl

#endif // BITCOIN_PODL_COINBASE_H
