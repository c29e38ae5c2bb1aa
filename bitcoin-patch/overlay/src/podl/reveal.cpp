// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/reveal.h>

#include <podl/codec.h>

#include <hash.h>

namespace podl {
namespace {

constexpr const char* NONCANONICAL{"podl-reveal-noncanonical"};

uint256 RevealId(std::span<const unsigned char> bytes)
{
    HashWriter writer{TaggedHash("PoDL/revealid/v1")};
    writer.write(std::as_bytes(bytes.first(bytes.size() - SIGNATURE_SIZE)));
    return writer.GetSHA256();
}

} // namespace

Result<Reveal> ParseReveal(std::span<const unsigned char> bytes)
{
    if (bytes.size() > MAX_REVEAL_SIZE) {
        return Refuse(FailureClass::DATA, "podl-reveal-size", strprintf("%u bytes, at most %u", bytes.size(), MAX_REVEAL_SIZE));
    }
    auto reveal{ParseExact<Reveal>(bytes, NONCANONICAL)};
    if (!reveal) return reveal;
    if (reveal->version != 1) {
        return Refuse(FailureClass::DATA, NONCANONICAL, strprintf("unknown version %u", reveal->version));
    }
    if (!reveal->disclosure.header.IsPodl()) {
        return Refuse(FailureClass::DATA, "podl-commit-version", "the header's version is no PoDL version");
    }
    reveal->id = RevealId(bytes);
    reveal->bytes.assign(bytes.begin(), bytes.end());
    return reveal;
}

} // namespace podl
