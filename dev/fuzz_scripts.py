"""Seeds of the fuzz targets with state: whole rounds, as `test/fuzz/podl_script.cpp` has made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.fuzz_writer import Input

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Places in Script::m_pieces: entries, four pieces per miner, reveals, shards.
TASK, RELEASE, AGAIN, FINAL, SECOND, SECOND_FINAL = range(6)
MINERS = [range(6 + 4 * miner, 10 + 4 * miner) for miner in range(4)]  # header, body, weights, model
REVEALS = range(22, 27)
SHARDS = range(27, 30)
N_PIECES = 30

# Two rounds without a mistake.
FIRST_ROUND = [
    *(miner[0] for miner in MINERS[:3]),
    RELEASE,
    *REVEALS[:2],
    SHARDS[0],
    AGAIN,
    *REVEALS[2:4],
    SHARDS[1],
    *MINERS[1][1:],
    *MINERS[2][1:],
    FINAL,
]
SECOND_ROUND = [MINERS[3][0], SECOND, REVEALS[4], SHARDS[2], *MINERS[3][1:], SECOND_FINAL]

# Driver::Step() of podl_manager
SUBMIT, PIECES, _RAW, VERDICT, AUDIT, CHAIN, CLOCK, WORK, LOOK = 0, 2, 3, 4, 5, 6, 7, 8, 9
# Driver::Step() of podl_net
CONNECT, RIGHT, SPOILED, LOCAL, TICK = 0, 2, 5, 7, 8
INV_ALL, INV, GETDATA, CHUNK, NOT_FOUND, GETSCHEDULE, PAGE = range(7)


def _submit(script: Input, pieces: Sequence[int], edits: int = 0) -> Input:
    for piece in pieces:
        script.number(SUBMIT, 0, 9).number(piece, 0, N_PIECES - 1).number(edits, 0, 4)
        for _ in range(edits):
            script.number(80, 0, 0xFFFF).number(3, 0, 3).number(1, 0, 255)  # an entry has more than 256 bytes
    return script


def _verdict(script: Input, miner: int, release: int) -> Input:
    script.number(VERDICT, 0, 9).number(miner, 0, 3)
    script.number(min(release, 2), 1, 2).number(release == SECOND, 0, 1)
    return script.number(1, 0, 15).number(1, 0, 1).number(1, 0, 1).text(b"evaluator").number(0, 0, 1)


def _rounds(*, working: bool) -> Input:
    script = Input()
    for pieces, miner, release in ((FIRST_ROUND, 1, AGAIN), (SECOND_ROUND, 3, SECOND)):
        _submit(script, pieces[:-1])
        _verdict(script, miner, release)
        script.number(LOOK, 0, 9)
        _submit(script, pieces[-1:])
        if working:
            script.number(WORK, 0, 9)
    return script


def manager_scripts() -> Iterator[bytes]:
    """Play rounds in order, with and without the worker, from the entries alone, and spoiled ones."""
    yield _rounds(working=False).bytes()
    yield _rounds(working=True).bytes()
    yield _submit(Input(), range(6)).number(WORK, 0, 9).bytes()
    yield _submit(Input(), range(5, -1, -1)).bytes()
    yield _submit(_submit(Input(), range(N_PIECES)), range(N_PIECES)).bytes()
    for entry in range(1, 6):
        yield _submit(_submit(Input(), range(entry)), [entry], edits=2).bytes()
    audit = _rounds(working=False).number(AUDIT, 0, 9).text(b"auditor").number(0, 0, 2).number(1, 0, 3)
    yield audit.bytes()
    clock = Input().number(CLOCK, 0, 9).number(-100_000, -200_000, 200_000)
    yield _submit(clock, FIRST_ROUND).number(CHAIN, 0, 9).number(1, 0, 3).number(2, 0, 2).bytes()
    yield _submit(Input(), FIRST_ROUND[:12]).number(PIECES, 0, 9).number(MINERS[1][2], 0, 29).bytes()


def _right(script: Input, piece: int, what: int) -> Input:
    script.number(RIGHT, 0, 9).number(piece, 0, N_PIECES - 1).number(what, 0, 6)
    if what == GETSCHEDULE:
        script.number(0, 0, 1)
    if what == PAGE:
        script.number(0, 0, 5).number(6, 1, 6)
    return script


def _exchange(pieces: Sequence[int]) -> Input:
    script = Input().number(1, 0, 15)  # the first peer speaks PoDL
    _right(script, 0, INV_ALL).number(TICK, 0, 9)
    for piece in pieces:
        _right(script, piece, CHUNK).number(TICK, 0, 9)
    return script


def net_scripts() -> Iterator[bytes]:
    """Be a peer that gives everything, one that gives the schedule as a page, one that asks."""
    order = [*FIRST_ROUND, *SECOND_ROUND]
    yield _exchange(order).bytes()
    page = _right(Input().number(1, 0, 15).number(TICK, 0, 9), 0, PAGE).number(TICK, 0, 9)
    yield page.bytes()
    asking = Input().number(1, 0, 15)
    for piece in order:
        asking.number(LOCAL, 0, 9).number(piece, 0, N_PIECES - 1)
    for piece in range(N_PIECES):
        _right(asking, piece, GETDATA).number(TICK, 0, 9)
    yield _right(asking, 0, GETSCHEDULE).bytes()
    yield _right(_right(_exchange(order[:6]), 0, NOT_FOUND), RELEASE, INV).number(SPOILED, 0, 9).bytes()
