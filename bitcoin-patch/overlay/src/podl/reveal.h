// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_REVEAL_H
#define BITCOIN_PODL_REVEAL_H

#include <podl/disclosure.h>
#include <podl/result.h>

#include <serialize.h>
#include <uint256.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace podl {

inline constexpr size_t MAX_REVEAL_SIZE{4096};

/** A miner's reveal (protocol section 6). */
struct Reveal {
    uint8_t version{1};
    Disclosure disclosure;
    uint256 release_id; //!< release of the attempt that the claim is signed for
    SignedClaim claim;

    uint256 id;                       //!< tagged hash of the bytes without the signature
    std::vector<unsigned char> bytes; //!< the whole reveal

    /** Hash of the header, which ParseReveal has checked to be a PoDL header. */
    uint256 BlockHash() const { return disclosure.header.GetHash(); }

    SERIALIZE_METHODS(Reveal, obj) { READWRITE(obj.version, obj.disclosure, obj.release_id, obj.claim); }
};

/** Read a reveal: podl-reveal-size, podl-reveal-noncanonical, podl-commit-version. Schedule::CheckReveal judges it. */
Result<Reveal> ParseReveal(std::span<const unsigned char> bytes);

} // namespace podl

#endif // BITCOIN_PODL_REVEAL_H
