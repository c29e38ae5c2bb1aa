// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/disclosure.h>
#include <podl/entry.h>
#include <podl/merkle.h>
#include <podl/net_messages.h>
#include <podl/net_peer.h>

#include <hash.h>
#include <test/util/setup_common.h>
#include <util/strencodings.h>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <ios>
#include <span>
#include <string>
#include <vector>

using namespace podl;
using namespace util::hex_literals;

namespace {

struct NetMessageSetup : BasicTestingSetup {
    ObjectRef Object(ObjectType type) { return {type, m_rng.rand256()}; }

    DataMessage Data(ObjectType type, uint64_t size, uint32_t chunk)
    {
        Chunk content{size, {}, {}};
        for (size_t i{0}; i < ChunkPathLength(type, size, chunk); ++i) content.path.push_back(m_rng.rand256());
        content.bytes = m_rng.randbytes(ChunkLength(type, size, chunk));
        return {Object(type), chunk, content};
    }
};

template <typename Message>
std::string Refusal(std::span<const unsigned char> payload)
{
    const auto message{ParseMessage<Message>(payload)};
    if (message) return "";
    BOOST_CHECK_EQUAL(message.error().reason, "podl-message");
    BOOST_CHECK(message.error().cls == FailureClass::DATA);
    return message.error().detail;
}

/** What every message has to survive: it comes back byte for byte, no shorter and no longer payload is taken. */
template <typename Message>
void CheckMessage(const Message& message)
{
    const Bytes payload{ToBytes(message)};
    const auto parsed{ParseMessage<Message>(payload)};
    BOOST_REQUIRE(parsed);
    BOOST_CHECK(ToBytes(*parsed) == payload);

    const size_t step{payload.size() > 5000 ? payload.size() / 500 : 1};
    for (size_t length{0}; length < payload.size(); length += step) {
        BOOST_CHECK_NE(Refusal<Message>(std::span{payload}.first(length)), "");
    }
    Bytes longer{payload};
    longer.push_back(0);
    BOOST_CHECK_NE(Refusal<Message>(longer), "");
}

/** Whatever is parsed is the canonical encoding of what was understood. */
template <typename Message>
void CheckCanonical(const Bytes& payload)
{
    if (const auto message{ParseMessage<Message>(payload)}) BOOST_CHECK(ToBytes(*message) == payload);
}

Bytes WithInt(Bytes bytes, size_t offset, uint64_t value, size_t width)
{
    for (size_t i{0}; i < width; ++i) bytes.at(offset + i) = static_cast<unsigned char>(value >> (8 * i));
    return bytes;
}

constexpr size_t CHUNK_OFFSET{1 + 32};
constexpr size_t STATUS_OFFSET{CHUNK_OFFSET + 4};
constexpr size_t SIZE_OFFSET{STATUS_OFFSET + 1};
constexpr size_t PATH_OFFSET{SIZE_OFFSET + 8};

} // namespace

BOOST_FIXTURE_TEST_SUITE(podl_net_tests, NetMessageSetup)

BOOST_AUTO_TEST_CASE(handshake)
{
    const HandshakeMessage message{WIRE_VERSION, m_rng.rand256()};
    CheckMessage(message);
    const Bytes payload{ToBytes(message)};
    BOOST_CHECK_EQUAL(payload.size(), 36U);
    BOOST_CHECK_EQUAL(HexStr(std::span{payload}.first(4)), "01000000");
    BOOST_CHECK_EQUAL(HexStr(std::span{payload}.subspan(4)), HexStr(message.chain_id));
}

BOOST_AUTO_TEST_CASE(inventory)
{
    CheckMessage(InvMessage{});
    CheckMessage(InvMessage{{Object(ObjectType::ENTRY), Object(ObjectType::DATA)}});
    InvMessage full;
    for (size_t i{0}; i < MAX_INV_COUNT; ++i) full.objects.push_back(Object(ObjectType::COMMITMENT));
    CheckMessage(full);

    full.objects.push_back(Object(ObjectType::BODY));
    BOOST_CHECK_EQUAL(Refusal<InvMessage>(ToBytes(full)).substr(0, 17), "too many elements");
    BOOST_CHECK_NE(Refusal<InvMessage>("fe00000001"_hex_u8), "");         // count 2^24 in a message of 5 bytes
    BOOST_CHECK_NE(Refusal<InvMessage>("ffffffffffffffff7f"_hex_u8), ""); // count 2^63 - 1
    BOOST_CHECK_NE(Refusal<InvMessage>("fd0000"_hex_u8), "");             // zero in three bytes

    for (const int type : {0, 6, 255}) {
        Bytes payload{ToBytes(InvMessage{{Object(ObjectType::ENTRY)}})};
        payload.at(1) = static_cast<unsigned char>(type);
        BOOST_CHECK_EQUAL(Refusal<InvMessage>(payload).substr(0, 19), "unknown object type");
    }
}

BOOST_AUTO_TEST_CASE(getdata)
{
    for (const ObjectType type : {ObjectType::ENTRY, ObjectType::COMMITMENT, ObjectType::REVEAL, ObjectType::BODY, ObjectType::DATA}) {
        CheckMessage(GetDataMessage{Object(type), 0});
        const Bytes second{ToBytes(GetDataMessage{Object(type), 1})};
        BOOST_CHECK_EQUAL(Refusal<GetDataMessage>(second).substr(0, 13), IsSmall(type) ? "no such chunk" : "");
    }
    CheckMessage(GetDataMessage{Object(ObjectType::DATA), 0xffffffff});
}

BOOST_AUTO_TEST_CASE(data_not_found)
{
    const DataMessage message{Object(ObjectType::DATA), 7};
    CheckMessage(message);
    const Bytes payload{ToBytes(message)};
    BOOST_CHECK_EQUAL(payload.size(), STATUS_OFFSET + 1);
    BOOST_CHECK_EQUAL(payload.at(STATUS_OFFSET), 1);
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(payload, STATUS_OFFSET, 2, 1)), "");
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(payload, STATUS_OFFSET, 0, 1)), "");
}

BOOST_AUTO_TEST_CASE(data_small)
{
    CheckMessage(Data(ObjectType::ENTRY, 500, 0));
    CheckMessage(Data(ObjectType::ENTRY, MAX_ENTRY_SIZE, 0));
    CheckMessage(Data(ObjectType::COMMITMENT, HEADER_SIZE, 0));
    CheckMessage(Data(ObjectType::REVEAL, 4096, 0));

    // A chunk number, a path and an object that is too large are all refused whatever else is right.
    const Bytes entry{ToBytes(Data(ObjectType::ENTRY, 500, 0))};
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(entry, CHUNK_OFFSET, 1, 4)), "");
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(entry, SIZE_OFFSET, 499, 8)), "");
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(entry, SIZE_OFFSET, 0, 8)), "");
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(entry, PATH_OFFSET, 1, 1)), "");
    DataMessage large{Object(ObjectType::REVEAL), 0, Chunk{4097, {}, Bytes(4097)}};
    BOOST_CHECK_NE(Refusal<DataMessage>(ToBytes(large)), "");
    BOOST_CHECK_THROW(ChunkLength(ObjectType::COMMITMENT, HEADER_SIZE + 1, 0), std::ios_base::failure);
}

BOOST_AUTO_TEST_CASE(data_chunks)
{
    for (const ObjectType type : {ObjectType::BODY, ObjectType::DATA}) {
        for (const uint64_t size : {uint64_t{1}, CHUNK_SIZE, CHUNK_SIZE + 1, 5 * CHUNK_SIZE - 3}) {
            for (uint32_t chunk{0}; chunk < ChunkCount(size); ++chunk) CheckMessage(Data(type, size, chunk));
        }
    }
    BOOST_CHECK_EQUAL(Data(ObjectType::BODY, 3 * CHUNK_SIZE, 1).content->path.size(), 0U);
    BOOST_CHECK_EQUAL(Data(ObjectType::DATA, 3 * CHUNK_SIZE, 1).content->path.size(), 2U);
    BOOST_CHECK_EQUAL(Data(ObjectType::DATA, 3 * CHUNK_SIZE, 2).content->path.size(), 1U);

    const Bytes data{ToBytes(Data(ObjectType::DATA, 3 * CHUNK_SIZE, 1))};
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(data, CHUNK_OFFSET, 2, 4)), "");                          // shorter path
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(data, CHUNK_OFFSET, 3, 4)), "");                          // behind the end
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(data, SIZE_OFFSET, 0, 8)), "");                           // empty object
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(data, SIZE_OFFSET, 1ULL << 63, 8)), "");                  // more chunks than numbers
    BOOST_CHECK_NE(Refusal<DataMessage>(WithInt(data, PATH_OFFSET, 255, 1)), "");                         // 8 KiB of path
    BOOST_CHECK_EQUAL(Refusal<DataMessage>(WithInt(data, SIZE_OFFSET, 4 * CHUNK_SIZE, 8)).substr(0, 5), ""); // also two partners

    // Lengths that promise more than there is do not even allocate it.
    DataMessage promise{Object(ObjectType::BODY), 0, Chunk{CHUNK_SIZE, {}, {}}};
    Bytes payload{ToBytes(promise)};
    payload.pop_back();
    for (const unsigned char byte : {0xfe, 0x00, 0x00, 0x01, 0x00}) payload.push_back(byte);
    BOOST_CHECK_EQUAL(Refusal<DataMessage>(payload).substr(0, 11), "end of data");
}

BOOST_AUTO_TEST_CASE(schedule)
{
    CheckMessage(GetScheduleMessage{m_rng.rand256()});
    CheckMessage(ScheduleMessage{});
    CheckMessage(ScheduleMessage{true, {m_rng.randbytes(300), m_rng.randbytes(1), m_rng.randbytes(MAX_ENTRY_SIZE)}});

    BOOST_CHECK_NE(Refusal<ScheduleMessage>("0200"_hex_u8), "");                   // flag
    BOOST_CHECK_NE(Refusal<ScheduleMessage>("00feffffff7f"_hex_u8), "");           // 2^31 - 1 entries
    BOOST_CHECK_NE(Refusal<ScheduleMessage>("0001feffffff7f"_hex_u8), "");         // an entry of 2^31 - 1 bytes
    BOOST_CHECK_NE(Refusal<ScheduleMessage>("000100"_hex_u8), "");                 // an empty entry
    BOOST_CHECK_NE(Refusal<ScheduleMessage>(ToBytes(ScheduleMessage{false, {Bytes(MAX_ENTRY_SIZE + 1)}})), "");

    ScheduleMessage page;
    for (int i{0}; i < 15; ++i) page.entries.push_back(m_rng.randbytes(MAX_ENTRY_SIZE));
    CheckMessage(page);
    page.entries.push_back(m_rng.randbytes(MAX_ENTRY_SIZE));
    BOOST_CHECK_EQUAL(Refusal<ScheduleMessage>(ToBytes(page)), "too long");
}

BOOST_AUTO_TEST_CASE(random_payloads)
{
    for (int i{0}; i < 3000; ++i) {
        Bytes payload{m_rng.randbytes(m_rng.randrange(300))};
        // Let some get past the type, the status and a count.
        if (!payload.empty() && m_rng.randbool()) payload[0] = m_rng.randrange(6);
        if (payload.size() > STATUS_OFFSET && m_rng.randbool()) payload[STATUS_OFFSET] = m_rng.randrange(2);
        CheckCanonical<HandshakeMessage>(payload);
        CheckCanonical<InvMessage>(payload);
        CheckCanonical<GetDataMessage>(payload);
        CheckCanonical<DataMessage>(payload);
        CheckCanonical<GetScheduleMessage>(payload);
        CheckCanonical<ScheduleMessage>(payload);
    }
}

BOOST_AUTO_TEST_CASE(flipped_bytes)
{
    const Bytes data{ToBytes(Data(ObjectType::DATA, 2 * CHUNK_SIZE + 9, 2))};
    const Bytes page{ToBytes(ScheduleMessage{true, {m_rng.randbytes(20), m_rng.randbytes(30)}})};
    for (const Bytes& payload : {data, page}) {
        for (size_t at{0}; at < payload.size(); ++at) {
            for (const unsigned char flip : {1, 128, 255}) {
                Bytes other{payload};
                other[at] ^= flip;
                CheckCanonical<DataMessage>(other);
                CheckCanonical<ScheduleMessage>(other);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(small_object_ids)
{
    const Bytes header{m_rng.randbytes(HEADER_SIZE)};
    BOOST_CHECK(SmallObjectId(ObjectType::COMMITMENT, header) == Hash(header));
    BOOST_CHECK(!SmallObjectId(ObjectType::COMMITMENT, std::span{header}.first(HEADER_SIZE - 1)));

    // The signature is not part of the id, everything before it is.
    Bytes entry{m_rng.randbytes(200)};
    const auto id{SmallObjectId(ObjectType::ENTRY, entry)};
    BOOST_CHECK(id && id == SmallObjectId(ObjectType::ENTRY, entry) && id != SmallObjectId(ObjectType::REVEAL, entry));
    entry.back() ^= 1;
    BOOST_CHECK(id == SmallObjectId(ObjectType::ENTRY, entry));
    entry[200 - SIGNATURE_SIZE - 1] ^= 1;
    BOOST_CHECK(id != SmallObjectId(ObjectType::ENTRY, entry));
    BOOST_CHECK(!SmallObjectId(ObjectType::ENTRY, m_rng.randbytes(SIGNATURE_SIZE)));
    BOOST_CHECK(!SmallObjectId(ObjectType::ENTRY, m_rng.randbytes(MAX_ENTRY_SIZE + 1)));
    BOOST_CHECK(!SmallObjectId(ObjectType::BODY, m_rng.randbytes(200)));
}

BOOST_AUTO_TEST_CASE(announcements)
{
    PeerState peer;
    std::vector<ObjectRef> objects;
    for (size_t i{0}; i < MAX_INV_COUNT + 5; ++i) objects.push_back(Object(ObjectType::REVEAL));
    peer.SetKnown(objects[0]);
    for (const ObjectRef& object : objects) peer.Announce(object);
    for (const ObjectRef& object : objects) peer.Announce(object); // known now
    const auto first{peer.TakeAnnouncements()};
    BOOST_CHECK_EQUAL(first.objects.size(), MAX_INV_COUNT);
    BOOST_CHECK(first.objects.front() == objects[1]);
    const auto second{peer.TakeAnnouncements()};
    BOOST_CHECK_EQUAL(second.objects.size(), 4U);
    BOOST_CHECK(second.objects.back() == objects.back());
    BOOST_CHECK(peer.TakeAnnouncements().objects.empty());

    const ObjectRef commitment{Object(ObjectType::COMMITMENT)};
    const ObjectRef body{ObjectType::BODY, commitment.id}; // both are named by the block hash
    peer.SetKnown(commitment);
    peer.Announce(body);
    BOOST_CHECK(peer.TakeAnnouncements().objects == std::vector{body});

    for (size_t i{0}; i < PeerState::MAX_ANNOUNCEMENTS + 10; ++i) peer.Announce(Object(ObjectType::REVEAL));
    size_t waiting{0};
    while (const size_t taken{peer.TakeAnnouncements().objects.size()}) waiting += taken;
    BOOST_CHECK_EQUAL(waiting, PeerState::MAX_ANNOUNCEMENTS);
}

BOOST_AUTO_TEST_SUITE_END()
