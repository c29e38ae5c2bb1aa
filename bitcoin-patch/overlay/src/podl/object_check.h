// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_OBJECT_CHECK_H
#define BITCOIN_PODL_OBJECT_CHECK_H

#include <podl/objects.h>
#include <podl/result.h>
#include <podl/task.h>
#include <podl/views.h>
#include <uint256.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

class CBlock;

namespace podl {

/** A final, candidate or release that names an object, and what it says about it. */
struct ObjectNamer {
    uint256 id{};        //!< block hash; for a shard the id of the release entry
    bool is_final{false};
    uint64_t count{0};   //!< parameters of weights and model, samples of a shard
    Bytes payout{};      //!< script that the coinbase of a body must pay
};

/** All that an object is checked against; a copy, so that large objects are checked without any lock. */
struct ObjectContext {
    ObjectId id{};
    std::vector<ObjectNamer> namers{};
    Task task{}; //!< in force where the object is named
};

/** Bytes are the right ones, but break a rule of whoever names them. */
struct ObjectFault {
    ObjectNamer namer{};
    std::string reason{};
};

struct ObjectFindings {
    std::optional<Reject> reject{}; //!< why the object is not taken; not set if at least one namer can use it
    std::vector<ObjectFault> faults{};
};

/** Number of bytes that the namer expects; for a body the most that a block may have. */
uint64_t ExpectedSize(const ObjectContext& context, const ObjectNamer& namer);

/**
 * Check an object against its name, then against everyone that names it.
 *
 * Reject: podl-data-size, podl-data-root, podl-body-mismatch (DATA: not the bytes that were named), or the first
 * fault's reason (PERM) when nobody can use them.
 */
ObjectFindings CheckObject(const ObjectContext& context, std::span<const unsigned char> bytes);

/** Whether these are the bytes that an id names, whoever uses them for what. */
bool IsNamed(const ObjectId& id, std::span<const unsigned char> bytes);

/** Read a whole block; nullptr unless it takes up exactly the given bytes. */
std::shared_ptr<const CBlock> ParseBody(std::span<const unsigned char> bytes);

} // namespace podl

#endif // BITCOIN_PODL_OBJECT_CHECK_H
