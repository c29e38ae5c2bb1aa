// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_RPC_PODL_UTIL_H
#define BITCOIN_RPC_PODL_UTIL_H

#include <podl/manager.h>
#include <rpc/util.h>
#include <uint256.h>
#include <univalue.h>

#include <any>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/**
 * What the PoDL RPCs share: strict parsing of arguments and the form of a submission's result.
 *
 * Every parser throws a JSONRPCError; none of them lets anything reach the manager that does not
 * have the announced form. What an object means is the manager's to say.
 */

/** The manager; throws RPC_MISC_ERROR on a chain without PoDL. */
podl::Manager& EnsurePodl(const std::any& context);

/** Hex of min_size..max_size bytes, without any white space. The length is checked before decoding. */
std::vector<unsigned char> ParsePodlHex(const UniValue& value, std::string_view name, size_t min_size, size_t max_size);

/** Hex of 32 bytes in their own order, as ids and roots are shown. */
uint256 ParsePodlId(const UniValue& value, std::string_view name);

/** An integer min..max, written without fraction, exponent or sign. */
uint64_t ParsePodlNumber(const UniValue& value, std::string_view name, uint64_t min, uint64_t max);

/** Printable ASCII, not empty; how long it may be is the manager's to say. */
std::string ParsePodlText(const UniValue& value, std::string_view name);

/** "body", "weights", "model" or "shard". */
podl::ObjectKind ParsePodlKind(const UniValue& value);

/** The hash of an object: a block hash for a body, else a root. */
uint256 ParsePodlObjectHash(podl::ObjectKind kind, const UniValue& value);

/** Ids and roots in the order of their bytes. */
std::string PodlHex(const uint256& id);

/** {"status", "reason", "detail"}, the latter two for what was not accepted. */
UniValue SubmissionToJSON(const podl::Submission& submission);

/** Documentation of SubmissionToJSON()'s keys, to which a method adds its own. */
std::vector<RPCResult> SubmissionDoc(std::vector<RPCResult> more = {});

#endif // BITCOIN_RPC_PODL_UTIL_H
