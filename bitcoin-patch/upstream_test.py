"""Run Bitcoin Core's own suites on the pinned source, plain and patched, and compare.

Every test that passes on the plain build must pass on the patched one with PoDL off. An interrupted run
goes on where it stopped. `--patched-only` compares with the record of a plain run in upstream-suites.json
instead of building the plain source; `--write-record` writes that record.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from apply import apply
from build import PROGRAMS, build
from fetch import fetch
from packages import require_packages
from series_lib import Layout, PatchError, one_line_errors, tree_lock
from suites import FAILED, PASSED, SKIPPED, Record, groups, list_scripts, run_scripts, run_unit

if TYPE_CHECKING:
    from pathlib import Path

    from series_lib import Variant

RECORD = "upstream-suites.json"


def prepare(layout: Layout, variants: list[Variant], jobs: int) -> None:
    """Fetch, apply and build the programs and unit tests of each variant."""
    require_packages()
    with tree_lock(layout):
        fetch(layout)
        apply(layout)
        for variant in variants:
            print(f"building {variant.name}", flush=True)
            build(layout, variant, [*PROGRAMS, "test_bitcoin"], jobs)


def run(layout: Layout, variant: Variant, options: argparse.Namespace) -> Record:
    """Run what has no result yet."""
    path = layout.build_dir / "upstream-test" / f"{variant.name}.json"
    if options.fresh:
        path.unlink(missing_ok=True)
    record = Record.load(path, variant)
    if not record.unit:
        print(f"{variant.name}: unit tests", flush=True)
        record.unit = run_unit(variant)
        record.save()
    scripts = list_scripts(variant, extended=options.extended)
    for group in groups(scripts, record):
        print(
            f"{variant.name}: {len(record.functional)} functional results, {len(group)} scripts next",
            flush=True,
        )
        record.functional |= run_scripts(variant, group, options.jobs)
        record.save()
    return record


def differences(plain: dict[str, str], patched: dict[str, str]) -> list[str]:
    """List tests that pass plain and do not pass patched, or fail patched and do not fail plain."""
    lost = {name for name, status in plain.items() if status == PASSED and patched.get(name) != PASSED}
    broken = {name for name, status in patched.items() if status == FAILED and plain.get(name) != FAILED}
    return [f"{name}: {patched.get(name, 'not run')}" for name in sorted(lost | broken)]


def summary(title: str, record: dict[str, str]) -> str:
    """One line of counts, and the names of what did not pass."""
    counts = Counter(record.values())
    lines = [f"{title}: " + ", ".join(f"{counts[word]} {word}" for word in (PASSED, FAILED, SKIPPED))]
    for word in (FAILED, SKIPPED):
        names = sorted(name for name, status in record.items() if status == word)
        lines += [f"  {word}: {', '.join(names)}"] if names else []
    return "\n".join(lines)


def read_record(path: Path) -> dict[str, str]:
    """Read the plain run that this folder keeps: names of what passed, failed and was skipped."""
    try:
        found = json.loads(path.read_text())
        return {name: word for word in (PASSED, FAILED, SKIPPED) for name in found[word]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PatchError(f"{path.name}: {error}; write it with --write-record") from error


def write_record(path: Path, tests: dict[str, str]) -> None:
    """Keep a plain run for `--patched-only`."""
    names = {
        word: sorted(n for n, status in tests.items() if status == word) for word in (PASSED, FAILED, SKIPPED)
    }
    path.write_text(json.dumps(names, indent=1) + "\n")


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--extended", action="store_true", help="upstream's long functional tests too")
    parser.add_argument(
        "--jobs", type=int, default=3, help="functional tests at a time (default: %(default)s)"
    )
    parser.add_argument("--fresh", action="store_true", help="forget the results of earlier runs")
    parser.add_argument("--patched-only", action="store_true", help="compare with the kept record")
    parser.add_argument("--write-record", action="store_true", help=f"write {RECORD} from the plain run")
    options = parser.parse_args()
    if options.patched_only and options.write_record:
        parser.error("--write-record needs a plain run")
    return options


def main() -> int:
    """Build, run, compare; exit code 1 at any difference."""
    options = parse_arguments()
    layout = Layout()
    kept = layout.patch_dir / RECORD
    started = time.monotonic()
    with one_line_errors("upstream-test"):
        variants = [layout.patched] if options.patched_only else [layout.plain, layout.patched]
        prepare(layout, variants, options.jobs)
        records = {variant.name: run(layout, variant, options).tests() for variant in variants}
        plain = read_record(kept) if options.patched_only else records["plain"]
        if options.write_record:
            write_record(kept, plain)
    for name, record in records.items():
        print(summary(name, record))
    found = differences(plain, records["patched"])
    for line in found:
        print(f"worse than plain: {line}", file=sys.stderr)
    print(f"{len(found)} differences, {time.monotonic() - started:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
