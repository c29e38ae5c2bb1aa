// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_RESULT_H
#define BITCOIN_PODL_RESULT_H

#include <util/expected.h>

#include <string>
#include <utility>

namespace podl {

/** Who is to blame for a refusal (protocol section 6, "Failure classes"). */
enum class FailureClass {
    PERM,     //!< follows from bytes under a block hash, Merkle root, hashModel or the requester's signature
    DATA,     //!< the sender could have known: drop the bytes, blame the sender
    LATER,    //!< depends on what this node has seen so far: nobody is blamed
    EVIDENCE, //!< signed nonsense or a contradiction: raise an alarm
};

/** A named refusal. The reason is one of protocol section 8. */
struct Reject {
    FailureClass cls{FailureClass::DATA};
    std::string reason;
    std::string detail;
};

template <typename T>
using Result = util::Expected<T, Reject>;

[[nodiscard]] inline util::Unexpected<Reject> Refuse(FailureClass cls, std::string reason, std::string detail = {})
{
    return util::Unexpected{Reject{cls, std::move(reason), std::move(detail)}};
}

} // namespace podl

#endif // BITCOIN_PODL_RESULT_H
