"""Answers of the measurements, kept as they come: an interrupted benchmark goes on where it stopped."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_SOURCES: Final = (
    "podl_tools/ml/*.py",
    "podl_tools/program/*.py",
    *(f"dev/bench_ml/{name}.py" for name in ("bits", "nets", "speech", "timing", "worker")),
)
_LIBRARIES: Final = ("tensorflow", "keras", "numpy")
_TAIL: Final = 2000


@dataclass(frozen=True)
class Case:
    """
    One measurement.

    Parameters
    ----------
    part
        Part of the benchmark.
    name
        Unique in its part.
    request
        What the worker is asked.
    environment
        Variables of its process.

    """

    part: str
    name: str
    request: dict[str, Any]
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Name in the file of results."""
        return f"{self.part}: {self.name}"


@cache
def circumstances() -> dict[str, Any]:
    """Say what a figure depends on besides its request: machine, libraries, measured code."""
    digest = sha256()
    for pattern in _SOURCES:
        for path in sorted(_ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "code": digest.hexdigest()[:16],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


class Results:
    """
    A file of answers.

    Parameters
    ----------
    path
        Made when missing.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[str, dict[str, Any]] = {}
        if path.exists():
            self._records = json.loads(path.read_text(encoding="utf-8"))

    def find(self, case: Case) -> dict[str, Any] | None:
        """Return the answer to a case; None without one to this very request, machine and code."""
        record = self._records.get(case.key)
        if record is None or any(record[name] != value for name, value in _question(case).items()):
            return None
        answer: dict[str, Any] = record["answer"]
        return answer

    def measure(self, case: Case) -> str:
        """Run a case in a process of its own and keep its answer; return why it failed, else nothing."""
        record = _question(case) | {"load before": os.getloadavg()[0], "time": int(time.time())}
        command = [sys.executable, "-m", "dev.bench_ml.worker", json.dumps(case.request)]
        environment = os.environ | dict(case.environment)
        done = subprocess.run(  # noqa: S603  our own program
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return done.stderr[-_TAIL:] or f"exit status {done.returncode}"
        record["answer"] = json.loads(done.stdout.splitlines()[-1])
        self._records[case.key] = record
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self._records, indent=1) + "\n", encoding="utf-8")
        partial.replace(self._path)
        return ""


def _question(case: Case) -> dict[str, Any]:
    environment = dict(case.environment)
    return {"request": case.request, "environment": environment, "circumstances": circumstances()}
