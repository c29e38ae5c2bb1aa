"""
Write seed inputs for the fuzz targets of the overlay, made from the test vectors.

Run from the project's root: `python -m dev.fuzz_seeds FOLDER`; each target gets a folder of its own. The
inputs have the layout that the targets in `bitcoin-patch/overlay/src/test/fuzz/` read, most of them with
libFuzzer's FuzzedDataProvider: byte strings are taken from the front, integers from the end, last byte first.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from bitcoin.core.serialize import BytesSerializer

from dev.fuzz_calls import rpc_calls, store_records
from dev.fuzz_scripts import manager_scripts, net_scripts
from dev.fuzz_writer import Input
from podl_tools.constants import CHUNK_SIZE
from podl_tools.program.program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
ENTRY_HEAD = 74  # version, type, chain id, predecessor, time
SIGNATURE = 64
PROGRAM_HEAD = 8  # bytes in front of the last layer, at least
SHORT = 100  # bytes of a chunk that is worth a seed
MAX_PROGRAM = 512  # of podl_evaluator
MAX_DIM = 64
MAX_VALUES = 2000  # of one evaluation, where a seed has all of them
BODY, WEIGHTS, MODEL, SHARD = range(4)  # podl::ObjectKind
ENTRY, COMMITMENT, REVEAL, _, DATA = range(1, 6)  # podl::ObjectType
HANDSHAKE, INV, GETDATA, CHUNK, GETSCHEDULE, SCHEDULE = range(6)  # of the target podl_net_messages


def vectors(name: str) -> Any:
    """One file of vectors."""
    return json.loads((VECTORS / f"{name}.json").read_text())


def hex_of(name: str, *keys: str, field: str = "hex") -> Iterator[bytes]:
    """Bytes of all rows under some keys of a file."""
    found = vectors(name)
    return (bytes.fromhex(row[field]) for key in keys for row in found[key])


def task_bodies() -> Iterator[bytes]:
    """Bodies of task entries, right and wrong ones."""
    for entry in hex_of("task", "valid", "invalid"):
        yield entry[ENTRY_HEAD:-SIGNATURE]


def commitments() -> Iterator[bytes]:
    """Headers as they are handed in, and openings."""
    yield from hex_of("opening", "commitments", "commitments_invalid", "valid", "invalid", "null")


def recipes() -> Iterator[bytes]:
    """Each recipe in front of a task."""
    found = vectors("recipe")
    task = bytes.fromhex(found["task"])[ENTRY_HEAD:-SIGNATURE]
    for row in [*found["valid"], *found["invalid"]]:
        yield bytes.fromhex(row["hex"]) + task
    for row in found["bounds"]:
        yield bytes.fromhex(row["recipe"]) + task


def program_input(program: bytes) -> Input:
    """Shape and classes as the program itself has them, where it is long enough to tell."""
    dims = [int.from_bytes(program[at : at + 2], "little") for at in range(2, 2 + 2 * min(program[1], 3), 2)]
    return Input().number(len(dims), 0, 3).numbers(dims, 0, 0xFFFF).number(classes_of(program), 0, 0xFFFF)


def classes_of(program: bytes) -> int:
    """Columns of the output layer, the last of eight bytes each."""
    return int.from_bytes(program[-6:-4], "little")


def programs() -> Iterator[bytes]:
    """Layer programs against their own shape."""
    found = vectors("arithmetic")
    for row in [*found["programs"], *found["programs_invalid"]]:
        program = bytes.fromhex(row["bytes"])
        if len(program) > PROGRAM_HEAD:
            yield program_input(program).front(program).bytes()


def evaluations() -> Iterator[bytes]:
    """Every kind of layer, each with random operands and with operands at their bounds."""
    for row in vectors("arithmetic")["forward"]:
        data = bytes.fromhex(row["program"])
        program = Program.parse(data)
        dims, n = program.dims, min(row["n"], 40)
        if max(dims) > MAX_DIM or len(data) > MAX_PROGRAM:
            continue
        for rule in (1, 2, 3):
            written = Input().number(len(dims), 1, 3).numbers(dims, 1, MAX_DIM)
            written.number(classes_of(data), 2, 256).number(n, 0, 40).text(data)
            noise = hashlib.shake_256(data + bytes([rule]))
            sizes = (program.n_params, n * program.sample_size)
            if rule == 1 and sum(sizes) > MAX_VALUES:
                continue
            for size in sizes:
                written.number(rule, 0, 3).front(noise.digest(size if rule == 1 else 0)).front(
                    noise.digest(32)
                )
            yield written.front(bytes(label % classes_of(data) for label in row["labels"][:n])).bytes()


def data_input(kind: int, count: int, data: bytes, dims: int = 16, classes: int = 4) -> bytes:
    """Bytes of one kind for so many parameters or samples."""
    head = Input().number(kind, 0, 3).number(count, 0, 0xFFFF).number(dims, 1, 300).number(classes, 2, 256)
    return head.front(data).bytes()


def data() -> Iterator[bytes]:
    """Shards, weights, models and bodies."""
    for row in vectors("dataset")["shards"]:
        yield data_input(SHARD, row["n"], bytes.fromhex(row["hex"]))
    for row in vectors("arithmetic")["weights_invalid"]:
        kind = WEIGHTS if row["kind"] == "weights" else MODEL
        yield data_input(kind, 6, bytes.fromhex(row["bytes"]))
    yield data_input(WEIGHTS, 6, bytes([127, 129, 0, 1, 255, 2]))
    yield data_input(
        MODEL, 2, (127 << 16).to_bytes(4, "little") + (-127 << 16 & 0xFFFFFFFF).to_bytes(4, "little")
    )
    payout = bytes.fromhex(vectors("coinbase")["payout"])
    for block in hex_of("block", "valid", "invalid"):
        yield data_input(BODY, len(payout), payout + block)


def proof_input(leaf: str, index: int, n_leaves: int, size: int, path: list[str], root: str) -> bytes:
    """One proof."""
    head = Input().number(index, 0, 2**64 - 1).number(n_leaves, 0, 2**32 - 1).number(size, 0, 2**64 - 1)
    head.number(len(path), 0, 40)
    return head.front(bytes.fromhex(root + leaf + "".join(path))).bytes()


def proofs() -> Iterator[bytes]:
    """Proofs of trees, right and wrong ones."""
    found = vectors("merkle")
    for row in found["tree"]:
        leaves = row["leaves"]
        for index, (leaf, path) in enumerate(zip(leaves, row["proofs"], strict=True)):
            yield proof_input(leaf, index, len(leaves), 32 * len(leaves), path, row["root"])
    for row in found["tree_invalid"]:
        yield proof_input(
            row["leaf"], row["index"], row["n_leaves"], 32 * row["n_leaves"], row["path"], row["root"]
        )


def counted(data: bytes) -> bytes:
    """Bytes behind their compact size."""
    return bytes(BytesSerializer.serialize(data))


def wrap(kind: int, payload: bytes) -> bytes:
    """Payload of one message."""
    return Input().number(kind, 0, 5).front(payload).bytes()


def chunk_message(kind: int, root: bytes, index: int, size: int, path: bytes, chunk: bytes) -> bytes:
    """Payload of podldata."""
    head = bytes([kind]) + root + index.to_bytes(4, "little") + b"\0" + size.to_bytes(8, "little")
    return wrap(CHUNK, head + bytes([len(path) // 32]) + path + counted(chunk))


def requests() -> Iterator[bytes]:
    """Messages that carry ids alone."""
    ids = [bytes([n]) * 32 for n in range(1, 6)]
    yield wrap(HANDSHAKE, (1).to_bytes(4, "little") + ids[0])
    yield wrap(INV, bytes([5]) + b"".join(bytes([n + 1]) + ids[n] for n in range(5)))
    yield wrap(INV, b"\0")
    for kind in (ENTRY, COMMITMENT, REVEAL, DATA):
        yield wrap(GETDATA, bytes([kind]) + ids[0] + bytes(4))
        yield wrap(CHUNK, bytes([kind]) + ids[0] + bytes(4) + b"\1")
    yield wrap(GETDATA, bytes([DATA]) + ids[0] + (7).to_bytes(4, "little"))
    yield wrap(GETSCHEDULE, ids[0])


def messages() -> Iterator[bytes]:
    """Every message with what it carries; of long data the last, short chunk."""
    yield from requests()
    entries = list(hex_of("entries", "valid"))
    for page in (entries[:1], entries):
        yield wrap(SCHEDULE, bytes([len(page) > 1, len(page)]) + b"".join(map(counted, page)))
    small = {ENTRY: entries, REVEAL: hex_of("reveal", "valid"), COMMITMENT: hex_of("opening", "commitments")}
    for kind, objects in small.items():
        for found in objects:
            yield chunk_message(kind, bytes([kind]) * 32, 0, len(found), b"", found)
    for row in vectors("merkle")["data"]:
        last = row["size"] - (row["n_leaves"] - 1) * CHUNK_SIZE
        if last <= SHORT:
            path = bytes.fromhex("".join(row["proofs"][-1]))
            root = bytes.fromhex(row["root"])
            yield chunk_message(DATA, root, row["n_leaves"] - 1, row["size"], path, bytes(last))


SEEDS: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "podl_commitment": commitments,
    "podl_data": data,
    "podl_entry": lambda: hex_of("entries", "valid", "same_id", "invalid"),
    "podl_evaluator": evaluations,
    "podl_manager": manager_scripts,
    "podl_merkle": proofs,
    "podl_net": net_scripts,
    "podl_net_messages": messages,
    "podl_program": programs,
    "podl_recipe": recipes,
    "podl_reveal": lambda: hex_of("reveal", "valid", "invalid"),
    "podl_rpc": lambda: rpc_calls(hex_of("entries", "valid")),
    "podl_store": lambda: store_records(hex_of("entries", "valid")),
    "podl_task": task_bodies,
}


@click.command(help="Write seed inputs for the fuzz targets, a folder for each.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write all."""
    for target, build in SEEDS.items():
        place = folder / target
        place.mkdir(parents=True, exist_ok=True)
        for seed in build():
            (place / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    main()
