// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/entry.h>

#include <hash.h>
#include <pubkey.h>

#include <type_traits>
#include <utility>

namespace podl {
namespace {

constexpr const char* NONCANONICAL{"podl-entry-noncanonical"};

void ReadBody(SpanReader& reader, Entry& entry)
{
    switch (entry.type) {
    case EntryType::TASK: reader >> entry.body.emplace<Task>(); return;
    case EntryType::RELEASE: reader >> entry.body.emplace<Release>(); return;
    case EntryType::FINAL: reader >> entry.body.emplace<Final>(); return;
    case EntryType::SHARDS: reader >> entry.body.emplace<Shards>(); return;
    }
    // Not behind a default label, so that the compiler names a type that is missing above.
    throw std::ios_base::failure("unknown type");
}

EntryType TypeOf(const Entry& entry)
{
    if (entry.AsTask()) return EntryType::TASK;
    if (entry.AsRelease()) return EntryType::RELEASE;
    if (entry.AsFinal()) return EntryType::FINAL;
    return EntryType::SHARDS;
}

uint256 EntryId(std::span<const unsigned char> bytes)
{
    HashWriter writer{TaggedHash("PoDL/entry/v1")};
    writer.write(std::as_bytes(bytes.first(bytes.size() - SIGNATURE_SIZE)));
    return writer.GetSHA256();
}

Entry ReadEntry(std::span<const unsigned char> bytes)
{
    SpanReader reader{bytes};
    Entry entry;
    uint8_t type;
    reader >> entry.version >> type >> entry.chain_id >> entry.prev >> entry.time;
    if (entry.version != 1) throw std::ios_base::failure("unknown version");
    entry.type = EntryType{type};
    ReadBody(reader, entry);
    reader >> entry.sig;
    if (!reader.empty()) throw std::ios_base::failure("trailing bytes");
    return entry;
}

} // namespace

Result<Entry> ParseEntry(std::span<const unsigned char> bytes)
{
    if (bytes.size() > MAX_ENTRY_SIZE) {
        return Refuse(FailureClass::DATA, NONCANONICAL, strprintf("%u bytes, at most %u", bytes.size(), MAX_ENTRY_SIZE));
    }
    try {
        Entry entry{ReadEntry(bytes)};
        entry.id = EntryId(bytes);
        entry.bytes.assign(bytes.begin(), bytes.end());
        return entry;
    } catch (const std::ios_base::failure& e) {
        return Refuse(FailureClass::DATA, NONCANONICAL, e.what());
    }
}

void SealEntry(Entry& entry)
{
    entry.type = TypeOf(entry);
    entry.bytes.clear();
    VectorWriter writer{entry.bytes, 0};
    writer << entry.version << static_cast<uint8_t>(entry.type) << entry.chain_id << entry.prev << entry.time;
    std::visit([&](const auto& body) { writer << body; }, entry.body);
    writer << entry.sig;
    entry.id = EntryId(entry.bytes);
}

bool VerifyEntrySignature(const Entry& entry, const uint256& key)
{
    return XOnlyPubKey{key}.VerifySchnorr(entry.id, entry.sig);
}

} // namespace podl
