// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net_messages.h>

#include <podl/disclosure.h>
#include <podl/entry.h>
#include <podl/merkle.h>
#include <podl/reveal.h>

#include <hash.h>
#include <tinyformat.h>
#include <util/strencodings.h>

#include <algorithm>
#include <limits>

namespace podl {
namespace {

/** Largest size of an object that travels whole. */
uint64_t MaxSmallSize(ObjectType type)
{
    switch (type) {
    case ObjectType::ENTRY: return MAX_ENTRY_SIZE;
    case ObjectType::COMMITMENT: return HEADER_SIZE;
    case ObjectType::REVEAL: return MAX_REVEAL_SIZE;
    case ObjectType::BODY:
    case ObjectType::DATA: return 0;
    } // no default case, so the compiler can warn about missing cases
    return 0;
}

/** Number of chunks of an object. Throws when there is no object of this size. */
uint64_t CountChunks(ObjectType type, uint64_t size)
{
    if (size == 0) throw std::ios_base::failure("object is empty");
    if (IsSmall(type)) {
        if (size > MaxSmallSize(type)) throw std::ios_base::failure("object is too large");
        return 1;
    }
    const uint64_t count{ChunkCount(size)};
    if (count > std::numeric_limits<uint32_t>::max()) throw std::ios_base::failure("object is too large");
    return count;
}

} // namespace

static_assert(ScheduleMessage::MAX_ENTRY == MAX_ENTRY_SIZE);
static_assert(MAX_ENTRY_SIZE <= CHUNK_SIZE && MAX_REVEAL_SIZE <= CHUNK_SIZE);

std::string ObjectRef::ToString() const
{
    // Block hashes are shown reversed, all other ids in the order of their bytes.
    const bool block{type == ObjectType::COMMITMENT || type == ObjectType::BODY};
    return strprintf("%u:%s", static_cast<unsigned>(type), block ? id.GetHex() : HexStr(id));
}

uint64_t ChunkLength(ObjectType type, uint64_t size, uint32_t chunk)
{
    if (chunk >= CountChunks(type, size)) throw std::ios_base::failure("no such chunk");
    return IsSmall(type) ? size : std::min(CHUNK_SIZE, size - chunk * CHUNK_SIZE);
}

size_t ChunkPathLength(ObjectType type, uint64_t size, uint32_t chunk)
{
    const uint64_t count{CountChunks(type, size)};
    if (chunk >= count) throw std::ios_base::failure("no such chunk");
    return type == ObjectType::DATA ? ProofLength(chunk, count).value() : 0;
}

std::optional<uint256> SmallObjectId(ObjectType type, std::span<const unsigned char> bytes)
{
    if (bytes.size() > MaxSmallSize(type)) return std::nullopt;
    if (type == ObjectType::COMMITMENT) return bytes.size() == HEADER_SIZE ? std::optional{Hash(bytes)} : std::nullopt;
    if (bytes.size() <= SIGNATURE_SIZE) return std::nullopt;
    HashWriter hasher{TaggedHash(type == ObjectType::ENTRY ? "PoDL/entry/v1" : "PoDL/revealid/v1")};
    hasher << bytes.first(bytes.size() - SIGNATURE_SIZE);
    return hasher.GetSHA256();
}

} // namespace podl
