// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/codec.h>
#include <podl/disclosure.h>
#include <podl/opening.h>
#include <podl/reveal.h>

#include <primitives/block.h>
#include <test/fuzz/fuzz.h>

#include <algorithm>
#include <cassert>
#include <set>
#include <string>

void initialize_podl_headers()
{
    CBlockHeader::s_podl_headers = true;
}

/** What a miner commits with: a header, and the opening behind its hashModel. */
FUZZ_TARGET(podl_commitment, .init = initialize_podl_headers)
{
    const auto commitment{podl::ParseCommitment(buffer)};
    if (commitment) {
        assert(std::ranges::equal(podl::ToBytes(*commitment), buffer));
        assert(commitment->IsPodl() && !commitment->hashModel.IsNull());
    } else {
        assert(std::set<std::string>({"podl-commit-size", "podl-commit-version", "podl-hashmodel-null"}).contains(commitment.error().reason));
    }

    const auto opening{podl::ParseExact<podl::Opening>(buffer, "podl-opening-size")};
    assert(opening.has_value() == (buffer.size() == podl::OPENING_SIZE));
    if (!opening) return;
    assert(std::ranges::equal(podl::ToBytes(*opening), buffer));
    const bool has_null{opening->chain_id.IsNull() || opening->task_id.IsNull() || opening->release_id.IsNull() || opening->weights_root.IsNull() ||
                        opening->model_root.IsNull() || opening->recipe_hash.IsNull() || opening->checkpoints_root.IsNull() ||
                        opening->payout_hash.IsNull() || opening->reveal_key.IsNull()};
    assert(podl::CheckOpeningNulls(*opening).has_value() == !has_null);
}

FUZZ_TARGET(podl_reveal, .init = initialize_podl_headers)
{
    const auto reveal{podl::ParseReveal(buffer)};
    if (!reveal) {
        assert(std::set<std::string>({"podl-reveal-size", "podl-reveal-noncanonical", "podl-commit-version"}).contains(reveal.error().reason));
        return;
    }
    assert(buffer.size() <= podl::MAX_REVEAL_SIZE);
    assert(std::ranges::equal(reveal->bytes, buffer));
    assert(podl::ToBytes(*reveal) == reveal->bytes);
    assert(podl::ToBytes(reveal->disclosure.header).size() == podl::HEADER_SIZE);
    assert(reveal->disclosure.payout.size() <= podl::MAX_PAYOUT_SIZE);
}
