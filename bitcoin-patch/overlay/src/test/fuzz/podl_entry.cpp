// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/entry.h>

#include <primitives/block.h>
#include <test/fuzz/fuzz.h>

#include <algorithm>
#include <cassert>

void initialize_podl_entry()
{
    CBlockHeader::s_podl_headers = true;
}

FUZZ_TARGET(podl_entry, .init = initialize_podl_entry)
{
    const auto entry{podl::ParseEntry(buffer)};
    if (!entry) {
        assert(entry.error().reason == "podl-entry-noncanonical");
        return;
    }
    assert(std::ranges::equal(entry->bytes, buffer));
    podl::Entry again{*entry};
    podl::SealEntry(again);
    assert(again.bytes == entry->bytes);
    assert(again.id == entry->id);
    assert(again.type == entry->type);
    if (const auto* task{entry->AsTask()}) (void)podl::VerifyEntrySignature(*entry, task->requester_key);
}
