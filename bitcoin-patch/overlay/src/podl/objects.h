// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_PODL_OBJECTS_H
#define BITCOIN_PODL_OBJECTS_H

#include <podl/views.h>
#include <uint256.h>
#include <util/fs.h>

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>

namespace podl {

struct ObjectId {
    ObjectKind kind{ObjectKind::BODY};
    uint256 hash{};

    friend bool operator==(const ObjectId&, const ObjectId&) = default;
    friend bool operator<(const ObjectId& a, const ObjectId& b) { return std::tie(a.kind, a.hash) < std::tie(b.kind, b.hash); }
};

/**
 * Data objects as files `<kind>-<hash in byte order>` of one folder.
 *
 * The index in memory is not thread-safe. ReadFile and WriteFile do not touch it, so that bytes are moved without
 * any lock; an object counts as held from Add() to Remove(). What lay there at the start is unchecked: a disk may
 * have changed it, and neither its bytes nor its length prove anything until somebody has looked.
 */
class ObjectFiles
{
public:
    /** Create the folder if needed, throw away half-written files and index the others. Throws fs::filesystem_error. */
    explicit ObjectFiles(fs::path dir);

    bool Has(const ObjectId& id) const { return m_sizes.contains(id); }
    std::optional<uint64_t> Size(const ObjectId& id) const;
    const std::map<ObjectId, uint64_t>& All() const { return m_sizes; }
    void Add(const ObjectId& id, uint64_t size) { m_sizes[id] = size; }
    bool IsUnchecked(const ObjectId& id) const { return m_unchecked.contains(id); }
    void SetChecked(const ObjectId& id) { m_unchecked.erase(id); }
    fs::path PathOf(const ObjectId& id) const;
    /** Forget the object and delete its file. */
    void Remove(const ObjectId& id);
    /** Remove all. */
    void Clear();

    /** Write the whole object so that its file is either complete and on disk, or not there. */
    [[nodiscard]] bool WriteFile(const ObjectId& id, std::span<const unsigned char> bytes) const;
    /** At most length bytes from offset on; nullopt if the file cannot be read or ends before offset. */
    std::optional<Bytes> ReadFile(const ObjectId& id, uint64_t offset, uint64_t length) const;

private:
    fs::path m_dir;
    std::map<ObjectId, uint64_t> m_sizes;
    std::set<ObjectId> m_unchecked;
};

/** Objects that arrive in pieces by RPC, in bounded memory. Not thread-safe. */
class Assembly
{
public:
    enum class Step {
        IN_ORDER,
        OUT_OF_ORDER,
        UNKNOWN, //!< nothing of the object is here (any more): it starts anew
        TOO_LARGE,
    };

    /**
     * Take the next piece; offset 0 starts anew. Objects that were touched longest ago make room for this one.
     *
     * @param budget   bytes that all objects under assembly may take
     * @param[out] whole  the object, once the last piece is there; it is then forgotten here
     */
    Step Put(const ObjectId& id, uint64_t size, uint64_t offset, std::span<const unsigned char> piece, uint64_t budget, std::optional<Bytes>& whole);
    /** Bytes received so far. */
    uint64_t Received(const ObjectId& id) const;

private:
    struct Part {
        ObjectId id;
        uint64_t size;
        Bytes bytes;
    };
    std::list<Part> m_parts; //!< last touched first

    std::list<Part>::iterator Find(const ObjectId& id);
    bool MakeRoom(uint64_t size, uint64_t budget);
};

} // namespace podl

#endif // BITCOIN_PODL_OBJECTS_H
