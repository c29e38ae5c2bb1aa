"""Seeds of the fuzz targets `podl_rpc` and `podl_store`, over the pieces of `test/fuzz/podl_script.cpp`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dev.fuzz_scripts import AGAIN, FIRST_ROUND, MINERS, N_PIECES, RELEASE, REVEALS, SECOND_ROUND, SHARDS
from dev.fuzz_writer import Input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# As Core's table lists them; what the target finds there is what counts.
METHODS = [
    "choosepodlentry",
    "getpodlaudit",
    "getpodldata",
    "getpodlinfo",
    "getpodlschedule",
    "listpodlcandidates",
    "listpodlcommitments",
    "submitpodlaudit",
    "submitpodlcommitment",
    "submitpodldata",
    "submitpodlentry",
    "submitpodlreveal",
    "submitpodlverdict",
    "syncpodl",
]
# Caller::Step() of podl_rpc, AnyNumber(), Spoil(), AnyValue()
ANY, SPOILED, USUAL = 0, 1, 4
AS_USUAL = 2
REPLACED, AS_IT_IS = 3, 7
TEXT = 3
NAMED = (False, True)

# Samples of podl_store, and its Step()
SAMPLES = range(6)
RECORD, OBJECT, FOREIGN, ERASED, MOVED, VALUE = range(6)
TABLES = b"evokfazndcrsu"
INDEX = bytes(4)
ANY_RECORD = 0xFF  # samples are small: one byte chooses


def _method_of(piece: int) -> str:
    """Name the method that takes a piece of the script."""
    if piece in SHARDS:
        return "submitpodldata"
    if piece in REVEALS:
        return "submitpodlreveal"
    for miner in MINERS:
        if piece in miner:
            return "submitpodlcommitment" if piece == miner[0] else "submitpodldata"
    return "submitpodlentry"


def _begin(script: Input, method: str, piece: int = 0, how: int = USUAL) -> Input:
    return (
        script.number(METHODS.index(method), 0, len(METHODS) - 1)
        .number(how, 0, 4)
        .number(piece, 0, N_PIECES - 1)
    )


def _submit(script: Input, pieces: Iterable[int], *, named: bool) -> Input:
    for piece in pieces:
        method = _method_of(piece)
        _begin(script, method, piece)
        if method == "submitpodldata":
            script.number(1, 0, 1).numbers([AS_USUAL, AS_USUAL], 0, 3)
        else:
            script.number(0, 0, 4)
        script.number(0, 0, 1).number(named, 0, 1)
    return script


def _verdict(script: Input, miner: int, release: int, change: int = AS_IT_IS) -> Input:
    _begin(script, "submitpodlverdict").number(miner, 0, 3).number(release, 1, 2).number(
        miner == len(MINERS) - 1, 0, 1
    )
    script.number(50, 0, 64).numbers([AS_USUAL] * 3, 0, 3).text(b"evaluator")
    return script.number(change, 0, 7).number(5, 0, 8).number(0, 0, 1)


def _audit(script: Input, result: int) -> Input:
    _begin(script, "submitpodlaudit").number(1, 0, 3).number(result, 0, 2).text(b"auditor")
    script.number(result == 1, 0, 1)
    if result == 1:
        script.number(AS_USUAL, 0, 3)
    return script.number(AS_IT_IS, 0, 7).number(0, 0, 4).number(0, 0, 1)


def _look(script: Input, *, named: bool) -> Input:
    for method in METHODS:
        if method.startswith("submit"):
            continue
        _begin(script, method, MINERS[1][2])
        if method == "getpodldata":
            script.numbers([AS_USUAL, AS_USUAL], 0, 3)
        if method == "getpodlschedule":
            script.numbers([AS_USUAL] * 3, 0, 3)
        if method == "getpodlaudit":
            script.number(1, 0, 3)
        script.number(named, 0, 1)
    return script


def _any_call(method: str, arguments: Iterable[bytes]) -> bytes:
    script = Input().number(METHODS.index(method), 0, len(METHODS) - 1).number(ANY, 0, 4)
    for text in arguments:
        script.number(1, 0, 1).text(b"hex").number(TEXT, 0, 5).text(text)
    return script.number(0, 0, 1).number(0, 0, 1).bytes()


def rpc_calls(entries: Iterable[bytes]) -> Iterator[bytes]:
    """Play two rounds and ask for everything, then call with one mistake, then with any values."""
    for named in NAMED:
        script = _submit(Input(), FIRST_ROUND[:-1], named=named)
        _audit(_look(_verdict(script, 1, AGAIN), named=named), 0)
        _submit(script, [FIRST_ROUND[-1], *SECOND_ROUND[:-1]], named=named)
        _submit(_verdict(script, 3, RELEASE), SECOND_ROUND[-1:], named=named)
        yield _look(_audit(_audit(script, 1), 2), named=named).bytes()
    yield _verdict(_submit(Input(), FIRST_ROUND[:-1], named=True), 1, AGAIN, REPLACED).number(0, 0, 5).bytes()
    for method in METHODS:
        yield _begin(Input(), method, how=SPOILED).numbers([AS_USUAL] * 6, 0, 3).bytes()
        yield _any_call(method, [])
        yield _any_call(
            method, [b'{"verdict": {"count": 1e3}}', b"-1", b"[[], null, 18446744073709551616]", b"1.5"]
        )
    for entry in entries:
        yield _any_call("submitpodlentry", [json.dumps(entry.hex()).encode()])


def _record(script: Input, table: int, key: bytes, value: bytes) -> Input:
    return script.number(RECORD, 0, 6).number(TABLES.index(table), 0, len(TABLES) - 1).text(key).text(value)


def store_records(entries: Iterable[bytes]) -> Iterator[bytes]:
    """Take each sample as it is, without one record, with records of the others, with records of no node."""
    for sample in SAMPLES:
        yield Input().number(sample, 0, 5).bytes()
        for place in range(8):
            base = Input().number(sample, 0, 5)
            yield base.number(ERASED, 0, 6).number(place, 0, ANY_RECORD).bytes()
        mixed = Input().number(sample, 0, 5)
        for other in SAMPLES:
            mixed.number(FOREIGN, 0, 6).number(other, 0, 5).number(3, 0, ANY_RECORD)
        yield mixed.bytes()
        for table in TABLES:
            yield _record(Input().number(sample, 0, 5), table, INDEX, b"\x01").bytes()
            yield _record(Input().number(sample, 0, 5), table, bytes(32), b"\x01\x61").bytes()
        for table in b"zsd":
            yield _record(
                Input().number(sample, 0, 5), table, b"", bytes(104 if table == ord("z") else 1)
            ).bytes()
    for entry in entries:
        yield _record(Input().number(0, 0, 5), ord("e"), INDEX, entry).bytes()
