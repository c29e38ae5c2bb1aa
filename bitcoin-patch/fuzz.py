"""Fuzz the parsers of the overlay under sanitizers; figures are kept in fuzz-results.json.

Each target gets a given processor time in all; an interrupted run goes on where it stopped, with the corpus
that it had. Time counts for the sources in overlay/src/podl that it was spent on: a change starts it anew.
Corpora, logs and inputs that broke something are in build/fuzz.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apply import apply
from build import FUZZ_TARGET, build
from fetch import fetch
from packages import require_packages, sanitizing_clang
from series_lib import Layout, PatchError, one_line_errors, overlay_files, read_pin, tree_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = "fuzz-results.json"
RSS_LIMIT_MB = 2048
INPUT_SECONDS = 25
SHORTEST_RUN = 10  # seconds; a busy machine gives less time than goes by
STATUS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
STATISTIC = re.compile(r"stat::(\w+):\s+(\d+)")


@dataclass
class Figures:
    """What became of one target: time and executions of all runs, the rest from the last one."""

    sources: str  # SHA-256 of overlay/src/podl
    seconds: int = 0  # of the processor
    executions: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0  # inputs kept
    peak_rss_mb: int = 0
    findings: int = 0

    def add(self, output: str, seconds: float) -> None:
        """Count one run by what libFuzzer printed."""
        statistics = dict(STATISTIC.findall(output))
        self.seconds += round(seconds)
        self.executions += int(statistics.get("number_of_executed_units", 0))
        self.peak_rss_mb = max(self.peak_rss_mb, int(statistics.get("peak_rss_mb", 0)))
        if found := STATUS.findall(output):
            self.edges, self.features, self.corpus = map(int, found[-1])


def sources_sha256(layout: Layout) -> str:
    """Hash of the code that is fuzzed."""
    total = hashlib.sha256()
    for name, path in overlay_files(layout).items():
        if name.startswith("src/podl/"):
            total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def load(path: Path) -> dict[str, Figures]:
    """Read the kept figures of all targets."""
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text())["targets"]
        return {name: Figures(**figures) for name, figures in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PatchError(f"{path.name}: not a record of fuzzing ({error}); remove it") from error


def save(path: Path, layout: Layout, compiler: str, targets: dict[str, Figures]) -> None:
    """Write all figures in one step."""
    head = {
        "source": read_pin(layout).requirement,
        "compiler": compiler,
        "sanitizers": "address, undefined",
        "targets": {name: asdict(figures) for name, figures in sorted(targets.items())},
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(head, indent=1) + "\n")
    partial.replace(path)


def fuzz_environment(layout: Layout, target: str, scratch: str) -> dict[str, str]:
    """Environment of the fuzz program; what it writes belongs into memory where that is possible."""
    suppressions = layout.tree / "test" / "sanitizer_suppressions" / "ubsan"
    symbolizer = f"external_symbolizer_path={sanitizing_clang().tools / 'llvm-symbolizer'}"
    own = {
        "FUZZ": target,
        "TMPDIR": scratch,
        "ASAN_OPTIONS": symbolizer,
        "UBSAN_OPTIONS": f"suppressions={suppressions}:print_stacktrace=1:{symbolizer}",
    }
    return os.environ | own


def list_targets(layout: Layout) -> list[str]:
    """Names of all targets in the program."""
    done = subprocess.run(
        [str(layout.sanitized.objects / "bin" / FUZZ_TARGET)],
        env=os.environ | {"PRINT_ALL_FUZZ_TARGETS_AND_ABORT": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise PatchError(f"{FUZZ_TARGET} does not start: {done.stderr.strip()[-500:]}")
    return done.stdout.split()


def write_seeds(layout: Layout) -> Path:
    """Make the seed inputs of all targets."""
    seeds = layout.build_dir / "fuzz" / "seeds"
    command = [sys.executable, "-m", "dev.fuzz_seeds", str(seeds)]
    done = subprocess.run(command, cwd=layout.patch_dir.parent, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise PatchError(f"no seeds: {done.stderr.strip()[-500:]}")
    return seeds


def command_of(layout: Layout, target: str, seeds: Path, seconds: int) -> list[str]:
    """Command line of one run; new inputs go into the first folder."""
    place = layout.build_dir / "fuzz"
    corpus, broken = place / "corpus" / target, place / "findings" / target
    for folder in (corpus, broken):
        folder.mkdir(parents=True, exist_ok=True)
    return [
        str(layout.sanitized.objects / "bin" / FUZZ_TARGET),
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={RSS_LIMIT_MB}",
        f"-timeout={INPUT_SECONDS}",
        f"-artifact_prefix={broken}/",
        "-print_final_stats=1",
        str(corpus),
        str(seeds / target),
    ]


def run_once(command: list[str], environment: dict[str, str], log: Path) -> tuple[int, str]:
    """Run until the time is over or the user interrupts; libFuzzer then still prints its figures."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as file,
        subprocess.Popen(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        ) as running,
    ):
        try:
            code = running.wait()
        except KeyboardInterrupt:
            running.send_signal(signal.SIGINT)
            running.wait()
            code = 0
            interrupted = True
        else:
            interrupted = False
    output = log.read_text(errors="replace")
    if interrupted:
        raise Interrupted(output)
    return code, output


class Interrupted(KeyboardInterrupt):
    """The user's interrupt, with what the program had printed by then."""

    def __init__(self, output: str) -> None:
        super().__init__()
        self.output = output


def processor_seconds() -> float:
    """Time that all ended child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fuzz(layout: Layout, target: str, seeds: Path, figures: Figures, seconds: int) -> bool:
    """Use up what is left of a target's time; return whether nothing broke."""
    log = layout.build_dir / "fuzz" / "logs" / f"{target}.log"
    memory = Path("/dev/shm")  # noqa: S108  (a folder of its own is made in there)
    with tempfile.TemporaryDirectory(prefix="podl_fuzz_", dir=memory if memory.is_dir() else None) as scratch:
        environment = fuzz_environment(layout, target, scratch)
        while figures.seconds < seconds:
            command = command_of(layout, target, seeds, max(seconds - figures.seconds, SHORTEST_RUN))
            before = processor_seconds()
            try:
                code, output = run_once(command, environment, log)
            except Interrupted as interrupt:
                figures.add(interrupt.output, processor_seconds() - before)
                raise
            figures.add(output, processor_seconds() - before)
            if code != 0:
                figures.findings += 1
                print("\n".join(output.splitlines()[-60:]), flush=True)
                return False
    return True


def chosen(names: list[str], wanted: list[str]) -> Iterator[str]:
    """Targets to run, in order."""
    if unknown := sorted(set(wanted) - set(names)):
        raise PatchError(f"no such target: {', '.join(unknown)}; there are {', '.join(names)}")
    return (name for name in names if not wanted or name in wanted)


def run(layout: Layout, options: argparse.Namespace) -> bool:
    """Run all targets one after the other; return whether nothing broke."""
    path, sources = layout.patch_dir / RESULTS, sources_sha256(layout)
    compiler = subprocess.run(
        [str(sanitizing_clang().cxx), "--version"], text=True, capture_output=True, check=True
    ).stdout.splitlines()[0]
    seeds, good = write_seeds(layout), True
    for target in chosen(list_targets(layout), options.targets):
        figures = load(path).get(target, Figures(sources))
        if figures.sources != sources:
            figures = Figures(sources)
        if figures.seconds < options.seconds:
            print(f"{target}: {options.seconds - figures.seconds} s to go", flush=True)
            try:
                good &= fuzz(layout, target, seeds, figures, options.seconds)
            finally:
                save(path, layout, compiler, load(path) | {target: figures})
        print(
            f"{target}: {figures.executions} executions, {figures.edges} edges, {figures.findings} findings"
        )
    return good


def main() -> int:
    """Build and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("targets", nargs="*", help="names; all when left out")
    parser.add_argument(
        "--seconds", type=int, default=600, help="of the processor for each target (default: %(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="parallel compilations")
    options = parser.parse_args()
    layout = Layout()
    with one_line_errors("fuzz"):
        require_packages()
        with tree_lock(layout):
            fetch(layout)
            apply(layout)
            build(layout, layout.sanitized, [FUZZ_TARGET], options.jobs)
        good = run(layout, options)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
