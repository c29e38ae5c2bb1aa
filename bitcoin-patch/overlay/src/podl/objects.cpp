// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/objects.h>

#include <logging.h>
#include <streams.h>
#include <tinyformat.h>
#include <util/fs_helpers.h>
#include <util/strencodings.h>

#include <algorithm>
#include <atomic>
#include <ios>
#include <system_error>
#include <utility>

namespace podl {
namespace {

std::string FileName(const ObjectId& id)
{
    return KindName(id.kind) + "-" + HexStr(id.hash);
}

std::optional<ObjectId> IdFromFileName(const std::string& name)
{
    const auto dash{name.find('-')};
    if (dash == std::string::npos) return std::nullopt;
    const auto kind{KindFromName(name.substr(0, dash))};
    const auto hash{TryParseHex<unsigned char>(name.substr(dash + 1))};
    if (!kind || !hash || hash->size() != uint256::size()) return std::nullopt;
    return ObjectId{*kind, uint256{*hash}};
}

} // namespace

ObjectFiles::ObjectFiles(fs::path dir) : m_dir{std::move(dir)}
{
    fs::create_directories(m_dir);
    for (const auto& file : fs::directory_iterator{m_dir}) {
        if (const auto id{IdFromFileName(fs::PathToString(file.path().filename()))}) {
            m_sizes[*id] = file.file_size();
            m_unchecked.insert(*id);
        } else {
            fs::remove(file.path());
        }
    }
}

fs::path ObjectFiles::PathOf(const ObjectId& id) const
{
    return m_dir / fs::PathFromString(FileName(id));
}

std::optional<uint64_t> ObjectFiles::Size(const ObjectId& id) const
{
    const auto it{m_sizes.find(id)};
    if (it == m_sizes.end()) return std::nullopt;
    return it->second;
}

void ObjectFiles::Remove(const ObjectId& id)
{
    m_sizes.erase(id);
    m_unchecked.erase(id);
    std::error_code error;
    fs::remove(PathOf(id), error);
    if (error) LogWarning("PoDL: cannot delete %s: %s", FileName(id), error.message());
}

void ObjectFiles::Clear()
{
    while (!m_sizes.empty()) Remove(m_sizes.begin()->first);
}

bool ObjectFiles::WriteFile(const ObjectId& id, std::span<const unsigned char> bytes) const
{
    static std::atomic<uint64_t> counter{0}; // two threads may write the same object
    const fs::path temporary{m_dir / fs::PathFromString(strprintf("%s.%u.tmp", FileName(id), ++counter))};
    try {
        AutoFile file{fsbridge::fopen(temporary, "wb")};
        if (file.IsNull()) throw std::ios_base::failure("cannot open");
        file << bytes;
        const bool committed{file.Commit()};
        if (file.fclose() != 0 || !committed) throw std::ios_base::failure("cannot flush");
        if (!RenameOver(temporary, PathOf(id))) throw std::ios_base::failure("cannot rename");
        DirectoryCommit(m_dir);
        return true;
    } catch (const std::exception& e) {
        LogError("PoDL: cannot write %s: %s", FileName(id), e.what());
        std::error_code ignored;
        fs::remove(temporary, ignored);
        return false;
    }
}

std::optional<Bytes> ObjectFiles::ReadFile(const ObjectId& id, uint64_t offset, uint64_t length) const
{
    try {
        AutoFile file{fsbridge::fopen(PathOf(id), "rb")};
        if (file.IsNull()) return std::nullopt;
        const auto size{static_cast<uint64_t>(std::max<int64_t>(file.size(), 0))};
        if (offset > size) return std::nullopt;
        Bytes bytes(std::min(length, size - offset));
        file.seek(static_cast<int64_t>(offset), SEEK_SET);
        file >> std::span{bytes};
        return bytes;
    } catch (const std::exception& e) {
        LogError("PoDL: cannot read %s: %s", FileName(id), e.what());
        return std::nullopt;
    }
}

std::list<Assembly::Part>::iterator Assembly::Find(const ObjectId& id)
{
    return std::ranges::find(m_parts, id, &Part::id);
}

uint64_t Assembly::Received(const ObjectId& id) const
{
    const auto it{std::ranges::find(m_parts, id, &Part::id)};
    return it == m_parts.end() ? 0 : it->bytes.size();
}

bool Assembly::MakeRoom(uint64_t size, uint64_t budget)
{
    if (size > budget) return false;
    uint64_t taken{0};
    for (const auto& part : m_parts) taken += part.size;
    while (taken > budget - size) {
        taken -= m_parts.back().size;
        m_parts.pop_back();
    }
    return true;
}

Assembly::Step Assembly::Put(const ObjectId& id, uint64_t size, uint64_t offset, std::span<const unsigned char> piece, uint64_t budget, std::optional<Bytes>& whole)
{
    auto part{Find(id)};
    if (offset == 0) {
        if (part != m_parts.end()) m_parts.erase(part);
        if (!MakeRoom(size, budget)) return Step::TOO_LARGE;
        m_parts.push_front({id, size, {}});
    } else if (part == m_parts.end()) {
        return Step::UNKNOWN;
    } else {
        m_parts.splice(m_parts.begin(), m_parts, part);
    }
    part = m_parts.begin();
    if (part->size != size || part->bytes.size() != offset || piece.size() > size - offset) return Step::OUT_OF_ORDER;
    part->bytes.insert(part->bytes.end(), piece.begin(), piece.end());
    if (part->bytes.size() == size) {
        whole = std::move(part->bytes);
        m_parts.pop_front();
    }
    return Step::IN_ORDER;
}

} // namespace podl
