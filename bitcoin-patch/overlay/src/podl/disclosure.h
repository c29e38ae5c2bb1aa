// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_DISCLOSURE_H
#define BITCOIN_PODL_DISCLOSURE_H

#include <podl/codec.h>
#include <podl/opening.h>
#include <podl/recipe.h>
#include <podl/result.h>

#include <primitives/block.h>
#include <serialize.h>
#include <uint256.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace podl {

inline constexpr size_t HEADER_SIZE{112};
inline constexpr size_t MAX_PAYOUT_SIZE{128};

/**
 * A header in its 112 bytes whatever its version says.
 *
 * CBlockHeader's own layout depends on the version, so that a wrong version would shift what follows.
 */
struct HeaderFormatter {
    template <typename Stream>
    void Ser(Stream& s, const CBlockHeader& h)
    {
        s << h.nVersion << h.hashPrevBlock << h.hashMerkleRoot << h.nTime << h.nBits << h.nNonce << h.hashModel;
    }

    template <typename Stream>
    void Unser(Stream& s, CBlockHeader& h)
    {
        s >> h.nVersion >> h.hashPrevBlock >> h.hashMerkleRoot >> h.nTime >> h.nBits >> h.nNonce >> h.hashModel;
    }
};

/** Read a commitment: podl-commit-size, podl-commit-version, podl-hashmodel-null. */
Result<CBlockHeader> ParseCommitment(std::span<const unsigned char> bytes);

/** Whether a block hash has the stamp that a task asks of commitments (podl-commit-stamp). */
bool MeetsStamp(const uint256& block_hash, uint8_t stamp_bits);

/** What a miner discloses about its header, in a reveal and again in a final. */
struct Disclosure {
    CBlockHeader header;
    Opening opening;
    Recipe recipe;
    std::vector<unsigned char> payout; //!< script, 1..128 bytes

    uint256 PayoutHash() const;

    SERIALIZE_METHODS(Disclosure, obj)
    {
        READWRITE(Using<HeaderFormatter>(obj.header), obj.opening, obj.recipe);
        READWRITE((Using<BytesFormatter<uint8_t, 1, MAX_PAYOUT_SIZE>>(obj.payout)));
    }
};

/** A number of hits, signed with the opening's reveal key. */
struct SignedClaim {
    uint32_t claim{0};
    std::array<unsigned char, SIGNATURE_SIZE> signature{};

    SERIALIZE_METHODS(SignedClaim, obj) { READWRITE(obj.claim, obj.signature); }
};

/** The message under a reveal's signature (protocol section 6). */
uint256 RevealMessage(const uint256& chain_id, const uint256& release_id, const uint256& block_hash, uint32_t claim);

} // namespace podl

#endif // BITCOIN_PODL_DISCLOSURE_H
