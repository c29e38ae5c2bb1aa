// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_ENTRY_H
#define BITCOIN_PODL_ENTRY_H

#include <podl/codec.h>
#include <podl/disclosure.h>
#include <podl/result.h>
#include <podl/task.h>

#include <serialize.h>
#include <uint256.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

/** Entries of the requester's schedule (protocol section 5). */
namespace podl {

inline constexpr size_t MAX_ENTRY_SIZE{64 * 1024};

enum class EntryType : uint8_t {
    TASK = 1,
    RELEASE = 2,
    FINAL = 3,
    SHARDS = 4,
};

/** Opens a shard and closes Phase 1 with the list of admitted headers. */
struct Release {
    uint32_t height{0};
    uint16_t attempt{0};
    uint256 prev_block;
    uint32_t shard_index{0};
    uint256 test_root;
    uint32_t n{0}; //!< test samples
    uint256 salt;
    std::vector<uint256> path; //!< of the shard's commitment in the shard list
    std::vector<uint256> list; //!< block hashes

    SERIALIZE_METHODS(Release, obj)
    {
        READWRITE(obj.height, obj.attempt, obj.prev_block, obj.shard_index, obj.test_root, obj.n, obj.salt);
        READWRITE(Using<CountedFormatter<uint8_t>>(obj.path), Using<CountedFormatter<uint16_t>>(obj.list));
    }
};

/** A better candidate that the requester passed over. */
struct Skipped {
    uint16_t list_index{0};
    uint8_t reason{0}; //!< 1 replay mismatch, 2 bytes not served, 3 invalid

    SERIALIZE_METHODS(Skipped, obj) { READWRITE(obj.list_index, obj.reason); }
};

/** Names the block of a height. */
struct Final {
    uint32_t height{0};
    uint16_t attempt{0};
    Disclosure disclosure;
    SignedClaim claim;
    bool replayed{false};
    std::vector<Skipped> skipped;

    /** The block named; meaningful once the header is known to be a PoDL header. */
    uint256 BlockHash() const { return disclosure.header.GetHash(); }

    SERIALIZE_METHODS(Final, obj)
    {
        READWRITE(obj.height, obj.attempt, obj.disclosure, obj.claim, Using<BoolFormatter>(obj.replayed));
        READWRITE(Using<CountedFormatter<uint16_t>>(obj.skipped));
    }
};

/** Continues the shards of the task in force. */
struct Shards {
    uint256 shard_list_root;
    uint32_t n_shards{0};

    SERIALIZE_METHODS(Shards, obj) { READWRITE(obj.shard_list_root, obj.n_shards); }
};

struct Entry {
    uint8_t version{1};
    EntryType type{EntryType::TASK};
    uint256 chain_id; //!< zero in the chain's first task
    uint256 prev;     //!< id of the entry before; zero in the chain's first task
    uint64_t time{0}; //!< seconds
    std::variant<Task, Release, Final, Shards> body; //!< holds what type says
    std::array<unsigned char, SIGNATURE_SIZE> sig{};
    uint256 id;                       //!< tagged hash of the bytes without the signature
    std::vector<unsigned char> bytes; //!< the whole entry

    const Task* AsTask() const { return std::get_if<Task>(&body); }
    const Release* AsRelease() const { return std::get_if<Release>(&body); }
    const Final* AsFinal() const { return std::get_if<Final>(&body); }
    const Shards* AsShards() const { return std::get_if<Shards>(&body); }
};

/** Read an entry's layout: podl-entry-noncanonical. Values are judged by the schedule. */
Result<Entry> ParseEntry(std::span<const unsigned char> bytes);

/** Fill in type, id and bytes from the other fields. Throws std::ios_base::failure if the layout cannot hold them. */
void SealEntry(Entry& entry);

/** Whether the signature is the key's over the entry's id. */
bool VerifyEntrySignature(const Entry& entry, const uint256& key);

} // namespace podl

#endif // BITCOIN_PODL_ENTRY_H
