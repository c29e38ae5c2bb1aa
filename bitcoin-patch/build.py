"""Fetch, apply and build in one command; a second run does nothing.

Only one build runs at a time. Programs end up in ``build/bitcoin-build/bin``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from apply import apply
from fetch import fetch
from packages import require_packages, sanitizing_clang
from series_lib import Layout, PatchError, Variant, one_line_errors, tree_lock

PROGRAMS = ("bitcoin", "bitcoind", "bitcoin-cli", "bitcoin-tx", "bitcoin-util", "bitcoin-wallet")
TARGETS = (*PROGRAMS, "podl-evaluate", "test_podl")
FUZZ_TARGET = "fuzz_podl"
SWITCHES = {
    "BUILD_BENCH": "OFF",
    "BUILD_BITCOIN_BIN": "ON",
    "BUILD_CLI": "ON",
    "BUILD_FUZZ_BINARY": "OFF",
    "BUILD_GUI": "OFF",
    "BUILD_TESTS": "ON",
    "BUILD_TX": "ON",
    "BUILD_UTIL": "ON",
    "BUILD_WALLET_TOOL": "ON",
    "CMAKE_BUILD_TYPE": "Release",
    "ENABLE_IPC": "OFF",
    "ENABLE_WALLET": "ON",
    "INSTALL_MAN": "OFF",
    "WITH_ZMQ": "ON",
}
# One folder serves fuzzing, unit and functional tests: programs other than the fuzz program run as usual.
SANITIZED_FLAGS = "-O1 -gline-tables-only -fno-omit-frame-pointer -fno-sanitize-recover=undefined"
SANITIZED_SWITCHES = {
    "APPEND_CPPFLAGS": "-DABORT_ON_FAILED_ASSUME",
    "BUILD_FUZZ_BINARY": "ON",
    "SANITIZERS": "address,undefined,fuzzer",
}


def configure_arguments(layout: Layout, variant: Variant) -> list[str]:
    """CMake's arguments; the prefix map keeps source names in logs as upstream has them."""
    prefix_map = f"-fmacro-prefix-map=../{variant.source.name}/src=."
    own = {"APPEND_CXXFLAGS": prefix_map, "PODL_VECTORS_DIR": str(layout.patch_dir.parent / "vectors")}
    if variant.sanitized:
        clang = sanitizing_clang()
        own |= SANITIZED_SWITCHES | {"CMAKE_C_COMPILER": str(clang.c), "CMAKE_CXX_COMPILER": str(clang.cxx)}
        own |= {"APPEND_CFLAGS": SANITIZED_FLAGS, "APPEND_CXXFLAGS": f"{prefix_map} {SANITIZED_FLAGS}"}
    base = ["cmake", "-G", "Ninja", "-S", str(variant.source), "-B", str(variant.objects)]
    return base + [f"-D{key}={value}" for key, value in (SWITCHES | own).items()]


def build_environment(layout: Layout) -> dict[str, str]:
    """Environment for CMake and ninja: cache hits across checkouts, no git look-up for the version."""
    return os.environ | {
        "CCACHE_BASEDIR": str(layout.build_dir.parent),
        "BITCOIN_GENBUILD_NO_GIT": "1",
    }


def configure(layout: Layout, variant: Variant) -> None:
    """Run CMake unless this build folder was configured with the same arguments."""
    arguments = configure_arguments(layout, variant)
    stamp = variant.objects / "podl-configured"
    if stamp.is_file() and stamp.read_text() == "\n".join(arguments):
        return
    variant.objects.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        arguments, env=build_environment(layout), text=True, capture_output=True, check=False
    )
    (variant.objects / "podl-configure.log").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        raise PatchError(f"CMake failed: {done.stderr.strip()[-2000:]}")
    stamp.write_text("\n".join(arguments))


def build(layout: Layout, variant: Variant, targets: list[str], jobs: int) -> None:
    """Configure where needed and run ninja, which shows its own progress."""
    configure(layout, variant)
    command = ["ninja", "-C", str(variant.objects), "-j", str(jobs), *targets]
    done = subprocess.run(command, env=build_environment(layout), check=False)
    if done.returncode != 0:
        raise PatchError(f"build failed (ninja returned {done.returncode})")


def targets_of(variant: Variant) -> tuple[str, ...]:
    """Programs that are built when none is named."""
    return (*TARGETS, FUZZ_TARGET) if variant.sanitized else TARGETS


def main() -> int:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", help="pinned archive or unpacked folder, instead of a download")
    parser.add_argument("--target", action="append", metavar="NAME", help=f"default: {', '.join(TARGETS)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="parallel compilations")
    parser.add_argument(
        "--sanitized",
        action="store_true",
        help="with clang, sanitizers and the fuzz targets, in a build folder of its own",
    )
    parser.add_argument("--discard", action="store_true", help="overwrite files edited in the tree")
    options = parser.parse_args()
    layout = Layout()
    variant = layout.sanitized if options.sanitized else layout.patched
    started = time.monotonic()
    with one_line_errors("build"):
        require_packages()
        with tree_lock(layout):
            fetch(layout, options.source)
            print(apply(layout, discard=options.discard).report(), flush=True)
            build(layout, variant, options.target or list(targets_of(variant)), options.jobs)
    print(f"done in {time.monotonic() - started:.0f} s: {variant.objects / 'bin'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
