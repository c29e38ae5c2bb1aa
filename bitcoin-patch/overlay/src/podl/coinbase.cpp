// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/coinbase.h>

#include <consensus/validation.h>
#include <primitives/transaction.h>
#include <tinyformat.h>

#include <algorithm>

namespace podl {
namespace {

/** BIP141's mark in front of the commitment. */
constexpr unsigned char WITNESS_MARK[]{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed};

bool IsWitnessCommitment(const CScript& script)
{
    return script.size() >= MINIMUM_WITNESS_COMMITMENT &&
           std::equal(std::begin(WITNESS_MARK), std::end(WITNESS_MARK), script.begin());
}

util::Unexpected<Reject> BadPayout(std::string detail)
{
    return Refuse(FailureClass::PERM, "podl-payout", std::move(detail));
}

} // namespace

Result<void> CheckCoinbase(const CTransaction& coinbase, std::span<const unsigned char> payout)
{
    const auto& outputs{coinbase.vout};
    if (outputs.empty() || !std::ranges::equal(outputs.front().scriptPubKey, payout)) {
        return BadPayout("the first output does not pay the committed script");
    }
    if (outputs.size() > 2) return BadPayout(strprintf("%u outputs", outputs.size()));
    if (outputs.size() == 2) {
        if (outputs[1].nValue != 0) return BadPayout("the second output has a value");
        if (!IsWitnessCommitment(outputs[1].scriptPubKey)) return BadPayout("the second output is no witness commitment");
    }
    return {};
}

} // namespace podl
