"""One logging set-up for all programs: UTC times, one line per event, to standard error and a file."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LEVELS", "Saying", "set_up_logging"]

LEVELS: Final = ("debug", "info", "warning", "error")
_FORMAT: Final = "%(asctime)sZ %(levelname)s [%(name)s] %(message)s"


def set_up_logging(level: str, file: Path | None = None) -> None:
    """
    Configure the root logger; a second call replaces the first one's handlers.

    Parameters
    ----------
    level
        One of `LEVELS`.
    file
        Log file to append to as well.

    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        handlers.append(logging.FileHandler(file, encoding="utf-8"))
    formatter = logging.Formatter(_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    # The HTTP client logs each connection; that is noise below debug.
    logging.getLogger("urllib3").setLevel(logging.WARNING)


class Saying:
    """
    Logs once what repeats at every look at the node.

    Parameters
    ----------
    logger
        Of the module that speaks.

    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._last = ""

    def __call__(self, text: str, level: int = logging.INFO) -> None:
        """Log `text` unless it is what was said last."""
        if text != self._last:
            self._logger.log(level, "%s", text)
        self._last = text
