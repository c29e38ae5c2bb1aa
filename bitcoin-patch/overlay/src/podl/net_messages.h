// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_NET_MESSAGES_H
#define BITCOIN_PODL_NET_MESSAGES_H

#include <podl/codec.h>
#include <podl/result.h>
#include <podl/views.h>

#include <serialize.h>
#include <uint256.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <ios>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

/** Layouts of the P2P messages (docs/interfaces.md, P2P). No state and no opinion about what the ids mean. */
namespace podl {

inline constexpr uint32_t WIRE_VERSION{1};
inline constexpr size_t MAX_INV_COUNT{256};
inline constexpr size_t MAX_SCHEDULE_PAGE{1'000'000};

enum class ObjectType : uint8_t {
    ENTRY = 1,
    COMMITMENT = 2,
    REVEAL = 3,
    BODY = 4,
    DATA = 5,
};

/** Whether an object travels whole, in its only chunk. */
constexpr bool IsSmall(ObjectType type) { return type <= ObjectType::REVEAL; }

struct ObjectTypeFormatter {
    template <typename Stream>
    void Ser(Stream& s, ObjectType type)
    {
        s << static_cast<uint8_t>(type);
    }

    template <typename Stream>
    void Unser(Stream& s, ObjectType& type)
    {
        uint8_t value;
        s >> value;
        if (value < 1 || value > 5) throw std::ios_base::failure("unknown object type");
        type = ObjectType{value};
    }
};

/** Vector behind a compact size of at most MAX; elements are read one by one, so that no count makes memory grow. */
template <size_t MAX, typename ElementFormatter = DefaultFormatter>
struct CompactFormatter {
    template <typename Stream, typename V>
    void Ser(Stream& s, const V& v)
    {
        WriteCompactSize(s, v.size());
        for (const auto& element : v) s << Using<ElementFormatter>(element);
    }

    template <typename Stream, typename V>
    void Unser(Stream& s, V& v)
    {
        const uint64_t count{ReadCompactSize(s)};
        if (count > MAX) throw std::ios_base::failure("too many elements");
        v.clear();
        for (uint64_t i{0}; i < count; ++i) {
            v.emplace_back();
            s >> Using<ElementFormatter>(v.back());
        }
    }
};

/** Bytes behind a compact size, 1..MAX of them; the size is compared with what is there before it is allocated. */
template <size_t MAX>
struct CompactBytesFormatter {
    template <typename Stream>
    void Ser(Stream& s, const Bytes& v)
    {
        WriteCompactSize(s, v.size());
        s << std::span{v};
    }

    template <typename Stream>
    void Unser(Stream& s, Bytes& v)
    {
        const uint64_t length{ReadCompactSize(s)};
        if (length < 1 || length > MAX) throw std::ios_base::failure("length out of range");
        if (length > s.size()) throw std::ios_base::failure("end of data");
        v.resize(length);
        s >> std::span{v};
    }
};

/** What a P2P message is about: type and hash. */
struct ObjectRef {
    ObjectType type{ObjectType::ENTRY};
    uint256 id;

    SERIALIZE_METHODS(ObjectRef, obj) { READWRITE(Using<ObjectTypeFormatter>(obj.type), obj.id); }

    friend std::strong_ordering operator<=>(const ObjectRef&, const ObjectRef&) = default;
    std::string ToString() const;
};

/** sendpodl, between VERSION and VERACK */
struct HandshakeMessage {
    uint32_t version{WIRE_VERSION};
    uint256 chain_id;

    SERIALIZE_METHODS(HandshakeMessage, obj) { READWRITE(obj.version, obj.chain_id); }
};

/** podlinv */
struct InvMessage {
    std::vector<ObjectRef> objects;

    SERIALIZE_METHODS(InvMessage, obj) { READWRITE(Using<CompactFormatter<MAX_INV_COUNT>>(obj.objects)); }
};

/** podlgetdata */
struct GetDataMessage {
    ObjectRef object;
    uint32_t chunk{0};

    SERIALIZE_METHODS(GetDataMessage, obj)
    {
        READWRITE(obj.object, obj.chunk);
        SER_READ(obj, if (IsSmall(obj.object.type) && obj.chunk != 0) throw std::ios_base::failure("no such chunk"));
    }
};

/** One chunk of an object, and what is needed to check it. */
struct Chunk {
    uint64_t size{0};          //!< of the whole object
    std::vector<uint256> path; //!< type DATA only
    Bytes bytes;
};

/** Bytes that a chunk of an object of this size has. Throws if there is no such object or chunk. */
uint64_t ChunkLength(ObjectType type, uint64_t size, uint32_t chunk);

/** Hashes that lead from a chunk of an object of this size to the root. Throws likewise. */
size_t ChunkPathLength(ObjectType type, uint64_t size, uint32_t chunk);

/** podldata */
struct DataMessage {
    ObjectRef object;
    uint32_t chunk{0};
    std::optional<Chunk> content{}; //!< empty: not found

    template <typename Stream>
    void Serialize(Stream& s) const
    {
        s << object << chunk << uint8_t{!content};
        if (!content) return;
        s << content->size << Using<CountedFormatter<uint8_t>>(content->path);
        WriteCompactSize(s, content->bytes.size());
        s << std::span{content->bytes};
    }

    template <typename Stream>
    void Unserialize(Stream& s)
    {
        bool missing;
        s >> object >> chunk >> Using<BoolFormatter>(missing);
        content.reset();
        if (missing) return;
        Chunk read;
        s >> read.size >> Using<CountedFormatter<uint8_t>>(read.path);
        if (read.path.size() != ChunkPathLength(object.type, read.size, chunk)) throw std::ios_base::failure("path has a wrong length");
        const uint64_t length{ReadCompactSize(s)};
        if (length != ChunkLength(object.type, read.size, chunk)) throw std::ios_base::failure("chunk has a wrong length");
        if (length > s.size()) throw std::ios_base::failure("end of data");
        read.bytes.resize(length);
        s >> std::span{read.bytes};
        content = std::move(read);
    }
};

/** getpodlsched */
struct GetScheduleMessage {
    uint256 after; //!< last entry held; zero: from the start

    SERIALIZE_METHODS(GetScheduleMessage, obj) { READWRITE(obj.after); }
};

/** podlsched */
struct ScheduleMessage {
    static constexpr size_t MAX_ENTRY{64 * 1024};

    bool more{false};
    std::vector<Bytes> entries;

    SERIALIZE_METHODS(ScheduleMessage, obj)
    {
        READWRITE(Using<BoolFormatter>(obj.more));
        READWRITE((Using<CompactFormatter<MAX_SCHEDULE_PAGE, CompactBytesFormatter<MAX_ENTRY>>>(obj.entries)));
    }
};

/** Read a payload: all of it, in its only encoding. The reason is podl-message, the detail says what is wrong. */
template <typename Message>
Result<Message> ParseMessage(std::span<const unsigned char> payload)
{
    if (payload.size() > MAX_SCHEDULE_PAGE) return Refuse(FailureClass::DATA, "podl-message", "too long");
    return ParseExact<Message>(payload, "podl-message");
}

/** The id that the bytes of a small object have: hash of a commitment, tagged hash of the others without their signature. */
std::optional<uint256> SmallObjectId(ObjectType type, std::span<const unsigned char> bytes);

} // namespace podl

#endif // BITCOIN_PODL_NET_MESSAGES_H
