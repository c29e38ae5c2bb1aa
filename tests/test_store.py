"""The HTTP store and the fetcher: ranges, sealed shards, broken transfers, wrong bytes."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.fetch import Fetcher, check_mirror
from podl_tools.merkle import data_root
from podl_tools.services import StoppedError, Wakeup
from podl_tools.store import PublicObjects, parse_range, serve
from podl_tools.tool_errors import PortInUseError, SettingsError, TransferError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 1000
ROOT = data_root(DATA)


@pytest.fixture
def objects(tmp_path: Path) -> PublicObjects:
    found = PublicObjects(tmp_path / "public")
    found.add(ROOT, DATA)
    return found


@pytest.fixture
def url(objects: PublicObjects) -> Iterator[str]:
    with serve(objects, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def scripted_server(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer each connection with the next raw answer, then close it; collects the requests."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    seen.append(connection.recv(65536))
                    connection.sendall(answer)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
        thread.join(5)


def response(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def get(url: str, path: str, **headers: str) -> requests.Response:
    return requests.get(url + path, headers=headers, timeout=5)


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, (0, 100)),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-999", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=9-3", (0, 100)),
        ("bytes=-", (0, 100)),
        ("bytes=0-1,5-6", (0, 100)),
        ("items=0-1", (0, 100)),
        ("bytes=0-" + "9" * 40, (0, 100)),
    ],
)
def test_range_header(header: str | None, span: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == span


@given(st.text(max_size=30) | st.from_regex(r"bytes=\d*-\d*", fullmatch=True), st.integers(1, 10**6))
def test_any_range_header_stays_inside_the_object(header: str, size: int) -> None:
    span = parse_range(header, size)
    assert span is None or 0 <= span[0] < span[1] <= size


def test_whole_object(url: str) -> None:
    answer = get(url, f"/v1/{ROOT.hex()}")
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(len(DATA))


def test_part_of_an_object(url: str) -> None:
    answer = get(url, f"/v1/{ROOT.hex()}", Range="bytes=1000-1999")
    assert (answer.status_code, answer.content) == (206, DATA[1000:2000])
    assert answer.headers["Content-Range"] == f"bytes 1000-1999/{len(DATA)}"


def test_range_outside_the_object(url: str) -> None:
    answer = get(url, f"/v1/{ROOT.hex()}", Range=f"bytes={len(DATA)}-")
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/", "/v1", "/v1/..", "/v1/%2e%2e/secret", f"/v1/{ROOT.hex().upper()}", f"/v1/{ROOT.hex()}/",
     f"/v2/{ROOT.hex()}", f"/v1/{ROOT.hex()}?x=1", "/v1/" + "0" * 64],
)  # fmt: skip
def test_anything_else_is_not_found(url: str, path: str) -> None:
    answer = get(url, path)
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_not_found(url: str, method: str) -> None:
    assert requests.request(method, f"{url}/v1/{ROOT.hex()}", timeout=5).status_code == 404


def test_sealed_shard_is_not_found_until_it_is_opened(
    tmp_path: Path, objects: PublicObjects, url: str
) -> None:
    shard = b"sealed" * 100
    root = data_root(shard)
    (tmp_path / root.hex()).write_bytes(shard)
    (tmp_path / "public" / "link").symlink_to(tmp_path / root.hex())
    (tmp_path / "public" / ("a" * 64)).symlink_to(tmp_path / root.hex())
    assert get(url, f"/v1/{root.hex()}").status_code == 404
    assert get(url, f"/v1/../{root.hex()}").status_code == 404
    assert get(url, f"/v1/{'a' * 64}").status_code == 404
    objects.add(root, shard)
    assert get(url, f"/v1/{root.hex()}").content == shard


def test_port_in_use(objects: PublicObjects) -> None:
    with (
        serve(objects, "127.0.0.1", 0) as port,
        pytest.raises(PortInUseError, match=str(port)),
        serve(objects, "127.0.0.1", port),
    ):
        pytest.fail("bound twice")


def test_fetch_keeps_what_it_got(tmp_path: Path, url: str) -> None:
    seen = []
    fetcher = Fetcher(tmp_path / "cache", [url])
    assert fetcher.fetch(ROOT, len(DATA), lambda done, size: seen.append((done, size))) == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert Fetcher(tmp_path / "cache", []).fetch(ROOT, len(DATA)) == DATA


def test_damaged_cache_is_fetched_again(tmp_path: Path, url: str) -> None:
    fetcher = Fetcher(tmp_path / "cache", [url])
    (tmp_path / "cache" / ROOT.hex()).write_bytes(bytes(len(DATA)))
    assert fetcher.fetch(ROOT, len(DATA)) == DATA


def test_truncated_transfer_is_resumed(tmp_path: Path) -> None:
    length = f"Content-Length: {len(DATA)}"
    first = response("200 OK", DATA[:131072], length)
    rest = response(
        "206 Partial Content",
        DATA[131072:],
        f"Content-Length: {len(DATA) - 131072}",
        f"Content-Range: bytes 131072-{len(DATA) - 1}/{len(DATA)}",
    )
    with scripted_server(first, rest) as (url, requests_seen):
        assert Fetcher(tmp_path, [url]).fetch(ROOT, len(DATA)) == DATA
    assert b"Range" not in requests_seen[0]
    assert b"Range: bytes=131072-\r\n" in requests_seen[1]


def test_transfer_goes_on_after_a_restart(tmp_path: Path, url: str) -> None:
    (tmp_path / f"{ROOT.hex()}.part").write_bytes(DATA[:100_000])
    seen: list[int] = []
    assert Fetcher(tmp_path, [url]).fetch(ROOT, len(DATA), lambda done, _: seen.append(done)) == DATA
    assert seen[0] > 100_000


def test_wrong_first_part_is_thrown_away(tmp_path: Path, url: str) -> None:
    (tmp_path / f"{ROOT.hex()}.part").write_bytes(bytes(100_000))
    assert Fetcher(tmp_path, [url]).fetch(ROOT, len(DATA)) == DATA


def test_server_without_ranges_starts_anew(tmp_path: Path) -> None:
    (tmp_path / f"{ROOT.hex()}.part").write_bytes(DATA[:1000])
    with scripted_server(response("200 OK", DATA, f"Content-Length: {len(DATA)}")) as (url, _):
        assert Fetcher(tmp_path, [url]).fetch(ROOT, len(DATA)) == DATA


def test_wrong_bytes_are_refused_and_the_next_mirror_is_asked(tmp_path: Path, url: str) -> None:
    wrong = response("200 OK", bytes(len(DATA)), f"Content-Length: {len(DATA)}")
    with scripted_server(wrong) as (bad, _), pytest.raises(TransferError) as caught:
        Fetcher(tmp_path / "a", [bad]).fetch(ROOT, len(DATA))
    assert caught.value.reason == "podl-data-root"
    assert list((tmp_path / "a").iterdir()) == []
    with scripted_server(wrong) as (bad, _):
        assert Fetcher(tmp_path / "b", [bad, url]).fetch(ROOT, len(DATA)) == DATA


@pytest.mark.parametrize(
    "answer",
    [
        response("200 OK", DATA + b"x", f"Content-Length: {len(DATA) + 1}"),
        response("200 OK", DATA + b"x"),
        response("200 OK", DATA, "Content-Encoding: gzip"),
        response("302 Found", b"", "Location: http://127.0.0.1:1/"),
        response("206 Partial Content", DATA, f"Content-Range: bytes 5-9/{len(DATA)}"),
        response("404 Not Found", b""),
    ],
    ids=["announced too long", "too long", "compressed", "redirected", "other range", "missing"],
)
def test_answers_that_cannot_be_the_object(tmp_path: Path, answer: bytes) -> None:
    with scripted_server(answer) as (url, _), pytest.raises(TransferError) as caught:
        Fetcher(tmp_path, [url]).fetch(ROOT, len(DATA))
    assert caught.value.reason == "podl-data-missing"
    assert not (tmp_path / ROOT.hex()).exists()


@contextmanager
def dripping_server(pieces: int) -> Iterator[str]:
    """Send a byte per connection, or with many pieces a byte at a time on each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        asked = re.search(rb"bytes=(\d+)-", connection.recv(65536))
                        start = int(asked[1]) if asked else 0
                        where = f"Content-Range: bytes {start}-{len(DATA) - 1}/{len(DATA)}"
                        status = "206 Partial Content" if start else "200 OK"
                        connection.sendall(response(status, b"", where))
                        for at in range(start, start + pieces):
                            connection.sendall(DATA[at : at + 1])

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize("pieces", [1, 100])
def test_mirror_that_gives_a_byte_now_and_then_is_left(tmp_path: Path, url: str, pieces: int) -> None:
    seconds = itertools.count(step=20)
    with dripping_server(pieces) as slow:
        fetcher = Fetcher(tmp_path / "a", [slow], clock=lambda: next(seconds))
        with pytest.raises(TransferError, match="too slow"):
            fetcher.fetch(ROOT, len(DATA))
        assert Fetcher(tmp_path / "a", [url]).fetch(ROOT, len(DATA)) == DATA


def test_cache_is_bounded_whole_or_not(tmp_path: Path, url: str) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for number in range(100):
        path = cache / f"{number:064x}{'.part' if number % 2 else ''}"
        path.write_bytes(b"old")
        os.utime(path, (number, number))
    assert Fetcher(cache, [url]).fetch(ROOT, len(DATA)) == DATA
    kept = {path.name[:64] for path in cache.iterdir()}
    assert kept == {ROOT.hex(), *(f"{number:064x}" for number in range(69, 100))}


def test_transfer_can_be_stopped(tmp_path: Path, url: str) -> None:
    wakeup = Wakeup()
    wakeup.check()
    wakeup.stop()
    with pytest.raises(StoppedError):
        Fetcher(tmp_path / "a", [url], wakeup.check).fetch(ROOT, len(DATA))
    wakeup.close()


def test_no_mirror_and_unreachable_mirror(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="no store is configured"):
        Fetcher(tmp_path, []).fetch(ROOT, len(DATA))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransferError, match="broke off"):
        Fetcher(tmp_path, [f"http://127.0.0.1:{port}"]).fetch(ROOT, len(DATA))


@pytest.mark.parametrize("address", ["file:///etc/passwd", "127.0.0.1:8000", "http://", "ftp://x/"])
def test_addresses_that_are_no_store(address: str) -> None:
    with pytest.raises(SettingsError):
        check_mirror(address)
