// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_FETCH_SETUP_H
#define BITCOIN_TEST_PODL_FETCH_SETUP_H

#include <podl/merkle.h>
#include <podl/net_chunk_fetcher.h>

#include <test/util/setup_common.h>

#include <boost/test/unit_test.hpp>

#include <map>
#include <set>
#include <vector>

namespace podl::test {

using Status = ChunkFetcher::Delivery::Status;

struct FetchSetup : BasicTestingSetup {
    SteadyClock::time_point m_now{1000h};
    ChunkFetcher m_chunks;
};

/** A data object or body with everything a peer needs to serve it. */
struct TestObject {
    ObjectRef ref;
    ObjectKind kind;
    Bytes bytes;

    TestObject(FastRandomContext& rng, ObjectKind object_kind, size_t size) : kind{object_kind}, bytes{rng.randbytes(size)}
    {
        const bool body{kind == ObjectKind::BODY};
        ref = {body ? ObjectType::BODY : ObjectType::DATA, body ? rng.rand256() : DataRoot(bytes)};
    }

    Want AsWant() const { return AsWant(bytes.size(), bytes.size()); }
    Want AsWant(uint64_t size, uint64_t max_size) const { return {static_cast<uint8_t>(ref.type), ref.id, kind, size, max_size}; }

    DataMessage Serve(uint32_t chunk) const
    {
        const auto piece{std::span{bytes}.subspan(chunk * CHUNK_SIZE, ChunkLength(ref.type, bytes.size(), chunk))};
        Chunk content{bytes.size(), {}, {piece.begin(), piece.end()}};
        if (ref.type == ObjectType::DATA) content.path = MerkleProof(DataLeaves(bytes), chunk);
        return {ref, chunk, content};
    }
};

inline PeerLimits Limits(uint8_t in_flight, uint8_t downloads, uint32_t buffer = 1 << 25) { return {in_flight, downloads, buffer}; }

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_FETCH_SETUP_H
