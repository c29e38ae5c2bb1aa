// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_VECTORS_H
#define BITCOIN_TEST_PODL_VECTORS_H

#include <podl/result.h>

#include <primitives/block.h>
#include <test/util/common.h>
#include <uint256.h>
#include <univalue.h>
#include <util/strencodings.h>

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

/** Reading the project's JSON vectors, which the Python tests read too. */
namespace podl::test {

/** Contents of one file of vectors. */
inline UniValue LoadVectors(const std::string& name)
{
    std::ifstream file{std::string{PODL_VECTORS_DIR} + "/" + name};
    std::stringstream text;
    text << file.rdbuf();
    UniValue json;
    BOOST_REQUIRE_MESSAGE(file && json.read(text.str()), "cannot read " << name);
    return json;
}

/** Cases under a key; a file that lost them must not pass. */
inline std::vector<UniValue> Cases(const UniValue& json, const std::string& key)
{
    BOOST_REQUIRE_MESSAGE(json[key].isArray() && !json[key].empty(), "no cases " << key);
    return json[key].getValues();
}

inline std::vector<unsigned char> HexBytes(const UniValue& hex)
{
    const auto bytes{TryParseHex<unsigned char>(hex.get_str())};
    BOOST_REQUIRE(bytes);
    return *bytes;
}

/** A hash in the order of its bytes. */
inline uint256 H32(const UniValue& hex)
{
    const auto bytes{HexBytes(hex)};
    BOOST_REQUIRE_EQUAL(bytes.size(), uint256::size());
    return uint256{std::span{bytes}};
}

inline std::vector<uint256> H32List(const UniValue& list)
{
    std::vector<uint256> hashes;
    for (const UniValue& hex : list.getValues()) hashes.push_back(H32(hex));
    return hashes;
}

/** Reason of a refusal; empty when there is none. */
template <typename T>
std::string Reason(const Result<T>& result)
{
    return result ? std::string{} : result.error().reason;
}

/** Reason and detail, for messages of tests. */
template <typename T>
std::string Why(const Result<T>& result)
{
    return result ? std::string{} : result.error().reason + ": " + result.error().detail;
}

/** Sets the header flag for one scope, as the parameters of a PoDL chain do. */
class ScopedPodlHeaders
{
public:
    explicit ScopedPodlHeaders(bool on = true) : m_before{CBlockHeader::s_podl_headers} { CBlockHeader::s_podl_headers = on; }
    ~ScopedPodlHeaders() { CBlockHeader::s_podl_headers = m_before; }

private:
    const bool m_before;
};

//! Compare a field with the vector's field of the same name.
#define CHECK_NUMBER(object, json, field) BOOST_CHECK_EQUAL(uint64_t{(object).field}, (json)[#field].getInt<uint64_t>())
#define CHECK_H32(object, json, field) BOOST_CHECK_EQUAL((object).field, podl::test::H32((json)[#field]))

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_VECTORS_H
