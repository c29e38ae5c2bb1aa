// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/codec.h>
#include <podl/disclosure.h>
#include <podl/reveal.h>

#include <primitives/block.h>
#include <test/fuzz/fuzz.h>

#include <algorithm>
#include <cassert>

void initialize_podl_reveal()
{
    CBlockHeader::s_podl_headers = true;
}

FUZZ_TARGET(podl_reveal, .init = initialize_podl_reveal)
{
    const auto commitment{podl::ParseCommitment(buffer)};
    if (commitment) assert(std::ranges::equal(podl::ToBytes(*commitment), buffer));

    const auto reveal{podl::ParseReveal(buffer)};
    if (!reveal) return;
    assert(buffer.size() <= podl::MAX_REVEAL_SIZE);
    assert(std::ranges::equal(reveal->bytes, buffer));
    assert(podl::ToBytes(*reveal) == reveal->bytes);
    assert(podl::ToBytes(reveal->disclosure.header).size() == podl::HEADER_SIZE);
}
