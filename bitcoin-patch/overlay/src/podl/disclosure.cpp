// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/disclosure.h>

#include <arith_uint256.h>
#include <crypto/sha256.h>
#include <hash.h>

namespace podl {

Result<CBlockHeader> ParseCommitment(std::span<const unsigned char> bytes)
{
    if (bytes.size() != HEADER_SIZE) {
        return Refuse(FailureClass::DATA, "podl-commit-size", strprintf("%u bytes, a commitment has %u", bytes.size(), HEADER_SIZE));
    }
    CBlockHeader header;
    SpanReader{bytes} >> Using<HeaderFormatter>(header);
    if (!header.IsPodl()) {
        return Refuse(FailureClass::DATA, "podl-commit-version", strprintf("version 0x%08x is no PoDL version", static_cast<uint32_t>(header.nVersion)));
    }
    if (header.hashModel.IsNull()) return Refuse(FailureClass::DATA, "podl-hashmodel-null", "hashModel is zero");
    return header;
}

bool MeetsStamp(const uint256& block_hash, uint8_t stamp_bits)
{
    return stamp_bits == 0 || (UintToArith256(block_hash) >> (256 - stamp_bits)) == 0;
}

uint256 Disclosure::PayoutHash() const
{
    uint256 hash;
    CSHA256().Write(payout.data(), payout.size()).Finalize(hash.begin());
    return hash;
}

uint256 RevealMessage(const uint256& chain_id, const uint256& release_id, const uint256& block_hash, uint32_t claim)
{
    HashWriter writer{TaggedHash("PoDL/reveal/v1")};
    writer << chain_id << release_id << block_hash << claim;
    return writer.GetSHA256();
}

} // namespace podl
