"""Run Bitcoin Core's own linters on the patched tree.

They ask git for file names and changed lines, so the tree is copied into a repository of two commits:
upstream, and upstream with overlay and series. The linters written in Rust run where cargo is installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from apply import apply, wanted_files
from fetch import fetch
from series_lib import Layout, PatchError, one_line_errors, run_git, tree_lock

SCRIPTS = (
    "check-doc",
    "lint-circular-dependencies",
    "lint-files",
    "lint-include-guards",
    "lint-includes",
    "lint-locale-dependence",
    "lint-shell-locale",
    "lint-tests",
)
RUST_LINTS = (
    "boost_assert",
    "includes_build_config",
    "remove_all",
    "rpc_assert",
    "std_filesystem",
    "tabs_whitespace",
    "trailing_newline",
    "trailing_whitespace",
)


def make_repository(layout: Layout, folder: Path) -> None:
    """Lay upstream and our changes down as two commits."""
    shutil.copytree(layout.upstream, folder, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "--quiet")
    commit(folder, "upstream")
    for name, content in wanted_files(layout).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    commit(folder, "podl")


def commit(folder: Path, subject: str) -> None:
    """Commit everything under a name of no one."""
    git(folder, "add", "--all", "--force")
    git(folder, "-c", "user.name=lint", "-c", "user.email=lint", "commit", "--quiet", "-m", subject)


def git(folder: Path, *arguments: str) -> None:
    """Run git and insist."""
    done = run_git(list(arguments), folder)
    if done.returncode != 0:
        raise PatchError(f"git {arguments[0]}: {done.stderr.strip()}")


def run_lint(command: list[str], folder: Path) -> str | None:
    """Return what a linter complains about, None if nothing."""
    environment = os.environ | {"COMMIT_RANGE": "HEAD~..HEAD", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip()


def rust_runner(folder: Path) -> Path | None:
    """Compile upstream's runner of the Rust linters (it has no dependencies); None without cargo."""
    cargo = shutil.which("cargo")
    if cargo is None:
        return None
    source = folder / "test" / "lint" / "test_runner"
    fault = run_lint([cargo, "build", "--quiet", "--offline", "--locked"], source)
    if fault is not None:
        raise PatchError(f"cargo cannot build upstream's linters: {fault[-500:]}")
    return source / "target" / "debug" / "test_runner"


def commands(folder: Path) -> dict[str, list[str]]:
    """Collect what can run here, by name."""
    found = {name: [sys.executable, f"test/lint/{name}.py"] for name in SCRIPTS}
    runner = rust_runner(folder)
    if runner is None:
        print(f"not run, cargo is not installed: {', '.join(RUST_LINTS)}", flush=True)
        return found
    return found | {name: [str(runner), f"--lint={name}"] for name in RUST_LINTS}


def lint(layout: Layout) -> dict[str, str]:
    """Run all linters and return the complaints by name."""
    with tempfile.TemporaryDirectory(prefix="core_lint_") as scratch:
        folder = Path(scratch).resolve() / "bitcoin"
        make_repository(layout, folder)
        faults = {}
        for name, command in commands(folder).items():
            fault = run_lint(command, folder)
            print(f"{name}: {'ok' if fault is None else 'FAILED'}", flush=True)
            if fault is not None:
                faults[name] = fault
    return faults


def main() -> int:
    """Lint; exit code 1 at any complaint."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    layout = Layout()
    with one_line_errors("upstream-lint"):
        with tree_lock(layout):
            fetch(layout)
            apply(layout)
        faults = lint(layout)
    for name, fault in faults.items():
        print(f"\n{name}:\n{fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
