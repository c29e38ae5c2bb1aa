// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/store_damage.h>

#include <leveldb/db.h>
#include <leveldb/env.h>

#include <algorithm>
#include <cstdarg>
#include <memory>

namespace podl {
namespace {

/** Without one LevelDB writes a file. */
struct NoLog final : leveldb::Logger {
    void Logv(const char*, std::va_list) override {}
};

} // namespace

std::optional<std::string> FindDamage(const fs::path& path)
{
    if (!fs::exists(path / "CURRENT")) {
        const bool used{fs::exists(path) && std::ranges::any_of(fs::directory_iterator{path}, [](const auto& file) { return file.path().extension() == ".ldb" || file.path().extension() == ".log"; })};
        return used ? std::optional<std::string>{"the file CURRENT is missing"} : std::nullopt;
    }
    NoLog log;
    leveldb::Options options;
    options.paranoid_checks = true;
    options.info_log = &log;
    leveldb::DB* opened{nullptr};
    auto status{leveldb::DB::Open(options, fs::PathToString(path), &opened)};
    const std::unique_ptr<leveldb::DB> db{opened};
    if (db) {
        leveldb::ReadOptions read;
        read.verify_checksums = true;
        const std::unique_ptr<leveldb::Iterator> it{db->NewIterator(read)};
        it->SeekToFirst();
        while (it->Valid()) it->Next();
        status = it->status();
    }
    return status.ok() ? std::nullopt : std::optional{status.ToString()};
}

} // namespace podl
