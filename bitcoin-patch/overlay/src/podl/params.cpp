// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/params.h>

#include <tinyformat.h>
#include <util/fs_helpers.h>
#include <util/readwritefile.h>
#include <util/strencodings.h>
#include <util/string.h>

#include <algorithm>
#include <system_error>

namespace podl {
namespace {

//! Far above what is ever written.
constexpr size_t MAX_SIZE{1024};

fs::path PathOf(const fs::path& dir) { return dir / "params"; }

std::string Text(const uint256& chain_id, int podl_height)
{
    return strprintf("podlheight=%d\nchain_id=%s\n", podl_height, HexStr(chain_id));
}

} // namespace

bool HasParams(const fs::path& dir) { return fs::exists(PathOf(dir)); }

std::optional<std::string> CheckParams(const fs::path& dir, const uint256& chain_id, int podl_height)
{
    const auto path{PathOf(dir)};
    const auto text{Text(chain_id, podl_height)};
    if (!HasParams(dir)) {
        std::error_code error;
        fs::create_directories(dir, error);
        const auto temporary{dir / "params.tmp"}; // never half a file under the name that counts
        if (error || !WriteBinaryFile(temporary, text) || !RenameOver(temporary, path)) return strprintf("Cannot write %s.", fs::PathToString(path));
        DirectoryCommit(dir);
        return std::nullopt;
    }
    const auto [readable, stored]{ReadBinaryFile(path, MAX_SIZE)};
    if (readable && stored == text) return std::nullopt;
    const auto line{[](std::string value) { std::ranges::replace(value, '\n', ' '); return util::TrimString(value); }};
    return strprintf("The data directory belongs to another PoDL chain (%s) than -podlheight and -podltask give (%s), says %s. "
                     "If that file is damaged, delete it: it is written anew.",
                     readable && stored.starts_with("podlheight=") ? line(stored) : "unreadable", line(text), fs::PathToString(path));
}

} // namespace podl
