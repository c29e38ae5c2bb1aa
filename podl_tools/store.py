"""
HTTP store: gives out the training set and opened shards by their root (docs/interfaces.md, HTTP store).

It serves files named by a root from one directory. Sealed shards lie elsewhere and are copied there when they
are opened, so no request can reach one; there is no listing.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from podl_tools.files import PUBLIC, make_directory, write_file
from podl_tools.tool_errors import PortInUseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["PublicObjects", "parse_range", "serve"]

_LOGGER = logging.getLogger(__name__)
_PATH: Final = re.compile(r"/v1/([0-9a-f]{64})")
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_MAX_CONNECTIONS: Final = 64
_IDLE_SECONDS: Final = 30


class PublicObjects:
    """
    The directory of what everybody may have.

    Parameters
    ----------
    directory
        Made when missing.

    """

    def __init__(self, directory: Path) -> None:
        make_directory(directory)
        self._directory = directory

    def path(self, root: bytes) -> Path:
        """Where the object with this root lies, if it is public."""
        return self._directory / root.hex()

    def add(self, root: bytes, data: bytes) -> None:
        """Make an object public; the caller has checked that it has this root."""
        if not self.path(root).exists():
            write_file(self.path(root), data, PUBLIC)


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """
    Read a Range header.

    Parameters
    ----------
    header
        Its text; None, several ranges and what is malformed mean the whole object, as RFC 9110 allows.
    size
        Bytes of the object, at least 1.

    Returns
    -------
    tuple of int or None
        First byte and end (exclusive); None when the range lies outside the object.

    """
    found = _RANGE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return 0, size
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) else None
    start = int(first)
    end = min(size, int(last) + 1) if last else size
    if last and int(last) < start:
        return 0, size
    return (start, end) if start < size else None


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "podl-store"
    sys_version = ""
    timeout = _IDLE_SECONDS
    objects: PublicObjects

    def do_GET(self) -> None:
        """Send an object or a part of it; anything else is 404."""
        found = _PATH.fullmatch(self.path)
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        try:
            descriptor = os.open(self.objects.path(bytes.fromhex(found[1])), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        with os.fdopen(descriptor, "rb") as file:
            self._send(file, os.fstat(descriptor).st_size)

    def _not_found(self) -> None:
        self.close_connection = True  # a body that may follow is not read
        self._refuse(HTTPStatus.NOT_FOUND)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Answer every other method like an unknown path."""
        if name.startswith("do_"):
            return self._not_found
        raise AttributeError(name)

    def _refuse(self, status: HTTPStatus, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", "0")):
            self.send_header(name, value)
        self.end_headers()

    def _send(self, file: Any, size: int) -> None:
        span = parse_range(self.headers.get("Range"), size)
        if span is None:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, ("Content-Range", f"bytes */{size}"))
            return
        start, end = span
        whole = (start, end) == (0, size)
        self.send_response(HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT)
        if not whole:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        try:
            self.connection.sendfile(file, start, end - start)
        except OSError:
            self.close_connection = True  # the client went away

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  name given by the base class
        """Log requests below the usual level."""
        _LOGGER.debug("%s %s", self.address_string(), format % args)


class _Server(ThreadingHTTPServer):
    """A threading server with an upper limit of connections."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)
        self._slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread, or hang up when too many run."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what a connection died of."""
        _LOGGER.debug("connection %s of %s failed: %r", request, client_address, sys.exc_info()[1])


@contextmanager
def serve(objects: PublicObjects, host: str, port: int) -> Iterator[int]:
    """
    Serve objects while the block runs.

    Parameters
    ----------
    objects
        What is public.
    host, port
        Where to listen; port 0 takes a free one.

    Yields
    ------
    int
        The port.

    Raises
    ------
    PortInUseError
        The address cannot be bound.

    """
    handler = type("_BoundHandler", (_Handler,), {"objects": objects})
    try:
        server = _Server((host, port), handler)
    except OSError as error:
        raise PortInUseError(f"the HTTP store cannot listen on {host}:{port}: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="store", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
