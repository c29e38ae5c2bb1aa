"""Check that compiler, tools and libraries are there; install them where that is simple.

Libraries are looked for with the compiler itself, so the check is the same on every system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from series_lib import PatchError

TOOLS = ("git", "cmake", "ninja")
HEADERS = {
    "libevent": "event2/event.h",
    "boost": "boost/multi_index_container.hpp",
    "sqlite": "sqlite3.h",
    "zeromq": "zmq.h",
}
APT = (
    "build-essential git cmake ninja-build ccache pkg-config "
    "libevent-dev libboost-dev libsqlite3-dev libzmq3-dev"
)
COMMANDS = {
    "Debian/Ubuntu": f"apt-get install {APT}",
    "Fedora": "dnf install gcc-c++ git cmake ninja-build ccache pkgconf "
    "libevent-devel boost-devel sqlite-devel zeromq-devel",
    "Arch": "pacman -S base-devel git cmake ninja ccache libevent boost sqlite zeromq",
    "macOS": "brew install git cmake ninja ccache pkgconf libevent boost sqlite zeromq",
}
CLANG_MIN = 17  # upstream's doc/dependencies.md
CLANG_MAX = 30
CLANG_COMMANDS = (
    "Debian/Ubuntu: apt-get install clang-19 libclang-rt-19-dev llvm-19 | Fedora: dnf install clang "
    "compiler-rt llvm | Arch: pacman -S clang compiler-rt llvm | macOS: brew install llvm"
)
FUZZ_PROGRAM = """#include <cstddef>
#include <cstdint>
#if __clang_major__ < %d
#error too old
#endif
extern "C" int LLVMFuzzerTestOneInput(const uint8_t*, size_t) { return 0; }
"""
BREW_PREFIXES = ("/opt/homebrew/include", "/usr/local/include")


def compiler() -> str | None:
    """Find the C++ compiler that CMake will pick."""
    names = (os.environ.get("CXX", "c++"), "g++", "clang++")
    return next((path for name in names if (path := shutil.which(name))), None)


def has_headers(command: str, headers: list[str]) -> bool:
    """Whether the preprocessor finds all headers."""
    include = [f"-I{folder}" for folder in BREW_PREFIXES if Path(folder).is_dir()]
    source = "".join(f"#include <{header}>\n" for header in headers)
    arguments = [command, *include, "-x", "c++", "-M", "-"]
    return (
        subprocess.run(arguments, input=source, text=True, capture_output=True, check=False).returncode == 0
    )


def missing_packages() -> list[str]:
    """Names of what is not installed."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    found = compiler()
    if found is None:
        return ["C++ compiler", *missing, *HEADERS]
    if has_headers(found, list(HEADERS.values())):
        return missing
    return missing + [name for name, header in HEADERS.items() if not has_headers(found, [header])]


def apt_prefix() -> list[str] | None:
    """How to run apt-get without a question, None where that is impossible."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def require_packages() -> None:
    """Install what is missing with apt where allowed; else raise with one line of commands."""
    missing = missing_packages()
    prefix = apt_prefix() if missing else None
    if prefix is not None:
        print(f"installing system packages (missing: {', '.join(missing)})", flush=True)
        # A fresh machine's own updates hold the lock for minutes.
        wait = ("-o", "DPkg::Lock::Timeout=600")
        apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *wait]
        for arguments in (["update", "-q"], ["install", "-y", "-q", *APT.split()]):
            subprocess.run([*apt, *arguments], capture_output=True, check=False)
        missing = missing_packages()
    if missing:
        ways = " | ".join(f"{system}: {command}" for system, command in COMMANDS.items())
        raise PatchError(f"missing {', '.join(missing)}; install with {ways}")


class Clang(NamedTuple):
    """A clang that can fuzz, and the folder of the tools that belong to it."""

    c: Path
    cxx: Path
    tools: Path


def can_fuzz(command: Path) -> bool:
    """Whether this compiler is new enough and links sanitizers and libFuzzer."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(command), "-fsanitize=address,undefined,fuzzer", "-x", "c++", "-"]
        done = subprocess.run(
            [*arguments, "-o", str(Path(folder) / "fuzz")],
            input=FUZZ_PROGRAM % CLANG_MIN,
            text=True,
            capture_output=True,
            check=False,
        )
    return done.returncode == 0


def sanitizing_clang() -> Clang:
    """Find the clang for sanitizers and fuzzing: the plain name, else the newest version."""
    suffixes = ["", *(f"-{version}" for version in range(CLANG_MAX, CLANG_MIN - 1, -1))]
    for suffix in suffixes:
        cxx, c = shutil.which(f"clang++{suffix}"), shutil.which(f"clang{suffix}")
        if cxx and c and can_fuzz(Path(cxx)):
            return Clang(Path(c), Path(cxx), Path(cxx).resolve().parent)
    raise PatchError(
        f"missing clang {CLANG_MIN} or newer with its sanitizers and libFuzzer; install with {CLANG_COMMANDS}"
    )
