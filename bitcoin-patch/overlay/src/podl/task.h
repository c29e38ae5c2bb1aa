// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_TASK_H
#define BITCOIN_PODL_TASK_H

#include <podl/codec.h>
#include <podl/program.h>
#include <podl/result.h>

#include <serialize.h>
#include <uint256.h>

#include <cstdint>
#include <vector>

namespace podl {

/** Shards that one list may hold. */
inline constexpr uint32_t MAX_SHARDS{65536};

/** Body of a task entry, fields in the order of their bytes (protocol section 5). */
struct Task {
    uint8_t arithmetic{1};
    uint32_t first_height{0};
    uint256 requester_key;
    uint256 training_root;
    uint32_t training_n{0};
    std::vector<uint16_t> dims; //!< shape of one sample
    uint16_t classes{0};
    std::vector<std::vector<unsigned char>> programs;
    uint8_t b_min{0};
    uint8_t b_max{0};
    uint8_t epochs_min{0};
    uint8_t epochs_max{0};
    uint8_t k_min{0};
    uint8_t k_max{0};
    uint64_t max_replay_macs{0};
    uint32_t n_shards{0};
    uint256 shard_list_root;
    uint32_t shard_min{0};
    uint32_t shard_max{0};
    uint32_t min_commit{0}; //!< seconds
    uint32_t min_reveal{0}; //!< seconds
    uint32_t max_phase{0};  //!< seconds
    uint8_t require_replay{0}; //!< 0 or 1
    uint8_t max_replays{0};
    uint8_t stamp_bits{0};
    uint16_t list_size{0};
    uint16_t pool_size{0};
    uint32_t max_weights{0};     //!< bytes
    uint64_t evaluation_rate{0}; //!< multiply-adds per second
    uint8_t chunks_in_flight{0};
    uint8_t downloads{0};
    uint32_t buffer_bytes{0};
    uint32_t disk_bytes{0};

    /** Bytes of one sample without its label. */
    uint64_t SampleSize() const;
    /** Bytes of a data set of n samples with their labels. */
    uint64_t DataSize(uint32_t n) const { return n * (SampleSize() + 1); }

    SERIALIZE_METHODS(Task, obj)
    {
        READWRITE(obj.arithmetic, obj.first_height, obj.requester_key, obj.training_root, obj.training_n);
        READWRITE((Using<CountedFormatter<uint8_t, DefaultFormatter, 1, 3>>(obj.dims)), obj.classes);
        READWRITE((Using<CountedFormatter<uint8_t, BytesFormatter<uint16_t>, 1, 16>>(obj.programs)));
        READWRITE(obj.b_min, obj.b_max, obj.epochs_min, obj.epochs_max, obj.k_min, obj.k_max, obj.max_replay_macs);
        READWRITE(obj.n_shards, obj.shard_list_root, obj.shard_min, obj.shard_max);
        READWRITE(obj.min_commit, obj.min_reveal, obj.max_phase, obj.require_replay, obj.max_replays);
        READWRITE(obj.stamp_bits, obj.list_size, obj.pool_size, obj.max_weights, obj.evaluation_rate);
        READWRITE(obj.chunks_in_flight, obj.downloads, obj.buffer_bytes, obj.disk_bytes);
    }
};

/** A task with what follows from it, as kept in the schedule. */
struct TaskRecord {
    uint256 id;       //!< of its entry
    uint64_t time{0}; //!< of its entry
    Task task;
    std::vector<Program> programs; //!< one per architecture
};

/** Bounds of a task alone: podl-task-range, podl-task-budget. Returns the programs it loads. */
Result<std::vector<Program>> CheckTask(const Task& task);

/** What a later task may not change or loosen, compared with the chain's first one: podl-task-conflict. */
Result<void> CheckLaterTask(const Task& first, const Task& later);

/** Commitment to a sealed shard: a leaf of the shard list. */
uint256 ShardCommitment(const uint256& salt, const uint256& root, uint32_t n);

} // namespace podl

#endif // BITCOIN_PODL_TASK_H
