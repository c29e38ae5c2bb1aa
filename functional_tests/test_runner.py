#!/usr/bin/env python3
"""Run the functional tests beside this file, some at a time, and print one line for each.

Exit code 0 when every test passed or was skipped (exit code 77 of a test means skipped), else 1.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT_DIR = HERE.parent
SKIPPED = 77
STOP_SECONDS = 60
PREFIXES = ("feature_", "interface_", "mempool_", "mining_", "p2p_", "rpc_", "tool_", "wallet_")


@dataclass(frozen=True)
class Outcome:
    """How one test script ended: exit code, wall seconds, captured output."""

    name: str
    code: int
    seconds: float
    output: str


def find_tests(patterns: list[str]) -> list[Path]:
    """Scripts whose name starts with one of Core's area prefixes, filtered by parts of the name."""
    scripts = sorted(path for path in HERE.glob("*.py") if path.name.startswith(PREFIXES))
    return [s for s in scripts if not patterns or any(p in s.name for p in patterns)]


def interrupt(running: subprocess.Popen[str]) -> str:
    """Stop a test as Ctrl-C does, so that it stops its nodes and programs; return its output."""
    running.send_signal(signal.SIGINT)
    try:
        return running.communicate(timeout=STOP_SECONDS)[0]
    except subprocess.TimeoutExpired:
        running.kill()
        return running.communicate()[0]


def run_test(script: Path, scratch: Path, port_seed: int, arguments: list[str], timeout: int) -> Outcome:
    """Run one script in a process of its own with its own ports and data folder."""
    command = [
        sys.executable,
        str(script),
        f"--tmpdir={scratch / script.stem}",
        f"--portseed={port_seed}",
        *arguments,
    ]
    begin = time.monotonic()
    with subprocess.Popen(
        command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            output, _ = running.communicate(timeout=timeout)
            code = running.returncode
        except subprocess.TimeoutExpired:
            output, code = f"{interrupt(running)}\nstopped: longer than {timeout} s", 1
    return Outcome(script.name, code, time.monotonic() - begin, output)


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Own options; everything unknown is handed to the tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tests", nargs="*", help="parts of file names; all tests when left out")
    parser.add_argument(
        "-j",
        "--jobs",
        type=int,
        default=max(1, os.cpu_count() or 1),
        help="tests at a time (default: number of cores)",
    )
    parser.add_argument(
        "--timeout", type=int, default=900, help="seconds for one test (default: %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the data folders of passed tests too")
    return parser.parse_known_args()


def main() -> int:
    """Run, print, count."""
    options, rest = parse_arguments()
    scripts = find_tests(options.tests)
    if not scripts:
        print(f"no test matches {options.tests}; there are: {', '.join(p.name for p in find_tests([]))}")
        return 1
    scratch = Path(tempfile.mkdtemp(prefix="podl_functional_"))
    if options.keep:
        rest.append("--nocleanup")
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = [
            pool.submit(run_test, script, scratch, (os.getpid() + i) % 400, rest, options.timeout)
            for i, script in enumerate(scripts)
        ]
        for job in as_completed(jobs):
            outcome = job.result()
            outcomes.append(outcome)
            word = {0: "passed", SKIPPED: "skipped"}.get(outcome.code, "FAILED")
            print(
                f"{len(outcomes)}/{len(scripts)} {outcome.name} {word}, {outcome.seconds:.0f} s", flush=True
            )
            if word == "FAILED":
                print("\n".join(outcome.output.splitlines()[-60:]), flush=True)
    passed = sum(o.code == 0 for o in outcomes)
    skipped = sum(o.code == SKIPPED for o in outcomes)
    failed = len(outcomes) - passed - skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    with contextlib.suppress(OSError):
        scratch.rmdir()  # not empty: a test failed, or its data is to be kept
    if scratch.is_dir():
        print(f"logs: {scratch}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
