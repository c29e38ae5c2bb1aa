"""What the process that evaluates may take from its machine."""

from __future__ import annotations

import math
import resource
from pathlib import Path
from typing import Final

__all__ = ["confine", "limit_cpu", "prepare"]

_OPEN_FILES: Final = 256
_STATM: Final = Path("/proc/self/statm")
_MIB: Final = 1 << 20


def prepare() -> None:
    """Leave no core file, which would hold models and samples, and open few files."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)


def confine(mib: int) -> None:
    """
    Write no byte to any file from now on, and bound the address space to what is taken and some more.

    For the time when all libraries are loaded: TensorFlow tries its folder for temporary files.

    Parameters
    ----------
    mib
        MiB beyond what the libraries have reserved by now, which on a GPU alone can be hundreds of GiB.
        Systems without /proc keep their limit.

    """
    _lower(resource.RLIMIT_FSIZE, 0)
    if _STATM.exists():
        taken = int(_STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, taken + mib * _MIB)


def limit_cpu(seconds: float) -> None:
    """Have the process killed after so many more seconds of computing, over all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))


def _lower(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    allowed = most if hard < 0 else min(most, hard)
    resource.setrlimit(what, (allowed, allowed))
