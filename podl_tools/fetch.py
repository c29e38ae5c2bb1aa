"""
Fetching objects by root from HTTP stores.

An object's root and exact size are known before the first request. What arrives is kept in a partial file so
that a broken transfer goes on where it stopped, and is used only after its root has been recomputed.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import requests
import urllib3

from podl_tools.files import PUBLIC, make_directory, write_file
from podl_tools.merkle import data_root
from podl_tools.tool_errors import SettingsError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Fetcher", "check_mirror"]

_LOGGER = logging.getLogger(__name__)
_PIECE: Final = 1 << 16
_TIMEOUT: Final = (5.0, 30.0)  # connect, and between two pieces
_PATIENCE: Final = 30.0  # seconds before a mirror's pace is looked at
_SLOWEST: Final = 4096  # bytes per second that a mirror has to give on average
_MAX_BREAKS: Final = 5  # transfers without a new byte before the next mirror is asked
_KEPT: Final = 32  # files in the cache
_OK: Final = 200
_PARTIAL: Final = 206
_WRONG_BYTES: Final = "it sent other bytes than the root names"
_URL: Final = re.compile(r"https?://[^\s/]+[^\s]*")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


def check_mirror(url: str) -> str:
    """
    Check the base address of an HTTP store.

    Returns
    -------
    str
        The address without a slash at its end.

    Raises
    ------
    SettingsError
        It is no http or https address.

    """
    if _URL.fullmatch(url) is None:
        raise SettingsError(f"a store is given as http://host:port, received {url!r}")
    return url.rstrip("/")


class _MirrorError(Exception):
    """A mirror cannot help; the text says why."""


class _Pace:
    """Notices a mirror that gives bytes too slowly ever to end, over all connections to it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._received = 0

    def note(self, size: int) -> None:
        """Count bytes that have arrived; raises when they are too few for the time."""
        self._received += size
        seconds = self._clock() - self._began
        if seconds > _PATIENCE and self._received < _SLOWEST * seconds:
            raise _MirrorError(f"it sent {self._received} bytes in {seconds:.0f} s, which is too slow")


@dataclass(frozen=True)
class _Wanted:
    root: bytes
    size: int
    progress: Callable[[int, int], None] | None


class Fetcher:
    """
    Gets objects from mirrors and keeps them.

    Parameters
    ----------
    directory
        Cache, made when missing; one file per root.
    mirrors
        Base addresses, asked in this order.
    on_piece
        Called whenever bytes have arrived; an exception it raises ends the transfer.
    clock
        Steady clock in seconds.

    """

    def __init__(
        self,
        directory: Path,
        mirrors: Sequence[str],
        on_piece: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        make_directory(directory)
        self._directory = directory
        self._mirrors = tuple(check_mirror(url) for url in mirrors)
        self._on_piece = on_piece
        self._clock = clock
        self._session = requests.Session()
        # No proxy and no .netrc: the addresses in the settings are the whole story.
        self._session.trust_env = False

    def cached(self, root: bytes, size: int) -> bytes | None:
        """Object from the cache, if it is there and still has its root."""
        path = self._path(root)
        if not path.exists() or path.stat().st_size != size:
            return None
        data = path.read_bytes()
        if data_root(data) != root:
            _LOGGER.warning("%s in the cache is damaged and removed", path.name)
            path.unlink()
            return None
        path.touch()
        return data

    def keep(self, root: bytes, data: bytes) -> None:
        """Put an object whose root has been checked into the cache; the longest unused ones make room."""
        write_file(self._path(root), data, PUBLIC)
        self._make_room()

    def _make_room(self) -> None:
        """Keep the files used last, be they whole or the first part of something."""
        held = sorted(self._directory.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in held[:-_KEPT]:
            path.unlink()

    def fetch(self, root: bytes, size: int, progress: Callable[[int, int], None] | None = None) -> bytes:
        """
        Get an object from the cache or a mirror.

        Parameters
        ----------
        root
            Its Merkle root.
        size
            Its exact length in bytes.
        progress
            Called with bytes so far and bytes in all.

        Raises
        ------
        TransferError
            No mirror had it (`podl-data-missing`), or only with other bytes (`podl-data-root`).

        """
        data = self.cached(root, size)
        if data is not None:
            return data
        wanted = _Wanted(root, size, progress)
        failures: list[str] = []
        for mirror in self._mirrors:
            data = self._try_mirror(mirror, wanted, failures)
            if data is not None:
                return data
        why = "; ".join(failures) or "no store is configured"
        raise TransferError(
            f"object {root.hex()} of {size} bytes could not be fetched: {why}",
            reason="podl-data-root" if _WRONG_BYTES in why else "podl-data-missing",
        )

    def _try_mirror(self, mirror: str, wanted: _Wanted, failures: list[str]) -> bytes | None:
        try:
            return self._from_mirror(mirror, wanted)
        except _MirrorError as error:
            failures.append(f"{mirror}: {error}")
            return None

    def _path(self, root: bytes) -> Path:
        return self._directory / root.hex()

    def _from_mirror(self, mirror: str, wanted: _Wanted) -> bytes:
        partial = self._path(wanted.root).with_suffix(".part")
        resumed = partial.exists() and partial.stat().st_size > 0
        self._transfer(mirror, wanted, partial)
        data = partial.read_bytes()
        if data_root(data) != wanted.root:
            partial.unlink()
            if resumed:  # the first part may have been another mirror's
                return self._from_mirror(mirror, wanted)
            raise _MirrorError(_WRONG_BYTES)
        partial.replace(self._path(wanted.root))
        self._make_room()
        return data

    def _transfer(self, mirror: str, wanted: _Wanted, partial: Path) -> None:
        breaks, pace = 0, _Pace(self._clock)
        while True:
            start = partial.stat().st_size if partial.exists() else 0
            if start > wanted.size:
                partial.unlink()
                start = 0
            if start == wanted.size:
                return
            try:
                self._request(mirror, wanted, partial, start, pace)
            except requests.RequestException as error:
                grown = partial.exists() and partial.stat().st_size > start
                breaks = 0 if grown else breaks + 1
                absent = isinstance(error, (requests.ConnectionError, requests.Timeout))
                if breaks >= _MAX_BREAKS or (absent and not grown):
                    raise _MirrorError(f"the transfer broke off ({type(error).__name__})") from error

    def _request(self, mirror: str, wanted: _Wanted, partial: Path, start: int, pace: _Pace) -> None:
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        url = f"{mirror}/v1/{wanted.root.hex()}"
        with self._session.get(
            url, headers=headers, stream=True, timeout=_TIMEOUT, allow_redirects=False
        ) as response:
            begin = _checked_start(response, wanted.size, start)
            with partial.open("ab") as file:
                file.truncate(begin)
                done = begin
                for piece in _pieces(response):
                    self._on_piece()
                    pace.note(len(piece))
                    done += len(piece)
                    if done > wanted.size:
                        raise _MirrorError(f"it sends more than the {wanted.size} bytes expected")
                    file.write(piece)
                    if wanted.progress is not None:
                        wanted.progress(done, wanted.size)
            if done < wanted.size:
                raise requests.exceptions.ChunkedEncodingError("short transfer")


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """
    Give what arrives as it arrives; `iter_content` waits for whole pieces, however slowly they come.

    Raises
    ------
    requests.RequestException
        As `iter_content` does.

    """
    try:
        while piece := response.raw.read1(_PIECE, decode_content=False):
            yield piece
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ConnectionError(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error


def _checked_start(response: requests.Response, size: int, start: int) -> int:
    """Offset that the answer begins at; refuses answers that cannot be the object."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _MirrorError("it sends a compressed answer that was not asked for")
    if response.status_code == _OK:
        length = response.headers.get("Content-Length", str(size))
        if length != str(size):
            raise _MirrorError(f"it has {length:.20} bytes, expected {size}")
        return 0
    if response.status_code == _PARTIAL:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != start or int(found[3]) != size:
            raise _MirrorError("it sent another range than asked for")
        return start
    raise _MirrorError(f"status {response.status_code}")
