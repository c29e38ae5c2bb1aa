// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_CODEC_H
#define BITCOIN_PODL_CODEC_H

#include <podl/result.h>

#include <serialize.h>
#include <streams.h>
#include <tinyformat.h>

#include <cstdint>
#include <ios>
#include <limits>
#include <span>
#include <vector>

namespace podl {

/** Size of a BIP340 signature. */
inline constexpr size_t SIGNATURE_SIZE{64};

/**
 * Vector behind a little-endian count, MIN..MAX elements.
 *
 * Elements are read one by one, so that memory never outgrows the bytes that are there.
 */
template <typename Count, typename ElementFormatter = DefaultFormatter, size_t MIN = 0, size_t MAX = std::numeric_limits<Count>::max()>
struct CountedFormatter {
    template <typename Stream, typename V>
    void Ser(Stream& s, const V& v)
    {
        if (v.size() < MIN || v.size() > MAX) throw std::ios_base::failure("number of elements out of range");
        s << static_cast<Count>(v.size());
        for (const auto& element : v) s << Using<ElementFormatter>(element);
    }

    template <typename Stream, typename V>
    void Unser(Stream& s, V& v)
    {
        Count count;
        s >> count;
        if (count < MIN || count > MAX) throw std::ios_base::failure("number of elements out of range");
        v.clear();
        for (size_t i{0}; i < count; ++i) {
            v.emplace_back();
            s >> Using<ElementFormatter>(v.back());
        }
    }
};

/** Bytes behind a little-endian length, MIN..MAX of them. */
template <typename Length, size_t MIN = 0, size_t MAX = std::numeric_limits<Length>::max()>
struct BytesFormatter {
    template <typename Stream>
    void Ser(Stream& s, const std::vector<unsigned char>& v)
    {
        if (v.size() < MIN || v.size() > MAX) throw std::ios_base::failure("length out of range");
        s << static_cast<Length>(v.size()) << std::span{v};
    }

    template <typename Stream>
    void Unser(Stream& s, std::vector<unsigned char>& v)
    {
        Length length;
        s >> length;
        if (length < MIN || length > MAX) throw std::ios_base::failure("length out of range");
        if (length > s.size()) throw std::ios_base::failure("end of data");
        v.resize(length);
        s >> std::span{v};
    }
};

/** Bool as one byte, 0 or 1 and nothing else. */
struct BoolFormatter {
    template <typename Stream>
    void Ser(Stream& s, bool b)
    {
        s << uint8_t{b};
    }

    template <typename Stream>
    void Unser(Stream& s, bool& b)
    {
        uint8_t value;
        s >> value;
        if (value > 1) throw std::ios_base::failure("flag is neither 0 nor 1");
        b = value != 0;
    }
};

/** Read an object that takes up exactly the given bytes; never throws. */
template <typename T>
Result<T> ParseExact(std::span<const unsigned char> bytes, const char* reason)
{
    try {
        SpanReader reader{bytes};
        T object;
        reader >> object;
        if (!reader.empty()) return Refuse(FailureClass::DATA, reason, strprintf("%u bytes too many", reader.size()));
        return object;
    } catch (const std::ios_base::failure& e) {
        return Refuse(FailureClass::DATA, reason, e.what());
    }
}

/** The bytes of an object. Throws std::ios_base::failure if it holds more than its layout can express. */
template <typename T>
std::vector<unsigned char> ToBytes(const T& object)
{
    std::vector<unsigned char> bytes;
    VectorWriter{bytes, 0} << object;
    return bytes;
}

} // namespace podl

#endif // BITCOIN_PODL_CODEC_H
