"""
What programs read from disk and what people type: any bytes give the value or the one named error.

The objects of the protocol have their own tests of that kind, beside their other tests.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podl_tools.chain.template import read_transaction
from podl_tools.commands.opening import read_task_file
from podl_tools.commitment import Opening
from podl_tools.errors import PodlError, ProgramError
from podl_tools.files import read_json, write_file, write_json
from podl_tools.merkle import data_root
from podl_tools.program import format_program, parse_program
from podl_tools.requester.prepare import new_chain
from podl_tools.requester.tasks import read_secret, read_task
from podl_tools.stored_model import read_bytes, read_folder, write_folder
from podl_tools.tool_errors import InputFileError, NodeAnswerError
from podl_tools.trainer.job import JobStore, read_checkpoints, write_checkpoints
from tests.stored_models import stored
from tests.strategies import mutations
from tests.world import OPTIONS, START, write_ingredients

if TYPE_CHECKING:
    from collections.abc import Callable


ROOT = Path(__file__).parent.parent / "vectors"
MODEL = stored()
STATES = [(bytes([n]) * 32, bytes([n + 9]) * 32) for n in range(3)]
TRANSACTION = bytes.fromhex(json.loads((ROOT / "coinbase.json").read_text())["cases"][0]["tx"])
FILES = {"model": b"a model", "weights": b"its weights"}
OPENING = replace(
    Opening.parse(bytes(329)),
    model_root=data_root(FILES["model"]),
    weights_root=data_root(FILES["weights"]),
)
RECORD = {
    "opening": OPENING.serialize().hex(),
    "recipe": json.loads((ROOT / "recipe.json").read_text())["valid"][0]["hex"],
    "payout": "51",
    "reveal_secret": "11" * 32,
}
ANY_FIELD = st.one_of(st.none(), st.integers(), st.text(max_size=8), st.binary(max_size=400).map(bytes.hex))
WORDS = [
    "input ",
    "8x8x1",
    "6",
    ",",
    " conv2d 3x3x2",
    " maxpool 2",
    " gain 1",
    " flatten",
    " dense 4",
    " output 3",
    "x",
]
ValueT = TypeVar("ValueT")

any_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def taken(read: Callable[[], ValueT], error: type[PodlError]) -> ValueT | None:
    """Return the value, None when it is refused by name; any other error is a bug."""
    try:
        return read()
    except error:
        return None


def spoiled(path: Path, data: st.DataObject) -> bytes:
    """Put other bytes in place of a file's, changed ones or unlike ones, and return the right ones."""
    right = path.read_bytes()
    path.write_bytes(data.draw(st.one_of(st.binary(max_size=200), mutations(st.just(right)))))
    return right


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("requester")
    new_chain(folder / "home", write_ingredients(folder), OPTIONS, None, START)
    return folder / "home"


@any_file
@given(data=st.binary(max_size=100))
def test_json(tmp_path: Path, data: bytes) -> None:
    write_file(tmp_path / "any", data)
    found = taken(lambda: read_json(tmp_path / "any"), InputFileError)
    assert found is None or isinstance(found, dict)


def test_json_without_end(tmp_path: Path) -> None:
    write_file(tmp_path / "deep", b'{"a":' * 100_000)
    with pytest.raises(InputFileError, match="not valid JSON"):
        read_json(tmp_path / "deep")


@pytest.mark.parametrize("name", ["task", "shards.json", "shard0", "training"])
@any_file
@given(data=st.data())
def test_sealed_tasks(home: Path, name: str, data: st.DataObject) -> None:
    (folder,) = (home / "tasks").iterdir()
    sealed = read_task(folder)
    right = spoiled(folder / name, data)
    found = taken(lambda: read_task(folder), InputFileError)
    write_file(folder / name, right)
    # Roots bind the data; the other values of a task are bound by its signed entry.
    assert found is None or (found.training, found.shards) == (sealed.training, sealed.shards)


@pytest.mark.parametrize(("name", "read"), [("task.hex", read_task_file), ("requester.key", read_secret)])
@any_file
@given(data=st.data())
def test_task_files_and_keys(
    home: Path, name: str, read: Callable[[Path], object], data: st.DataObject
) -> None:
    right = spoiled(home / name, data)
    taken(lambda: read(home / name), InputFileError)
    write_file(home / name, right)


@pytest.mark.parametrize("name", ["model.json", "weights", "model"])
@any_file
@given(data=st.data())
def test_stored_models(tmp_path: Path, name: str, data: st.DataObject) -> None:
    folder = tmp_path / "won"
    if not folder.exists():
        write_folder(folder, MODEL)
    right = spoiled(folder / name, data)
    found = taken(lambda: read_folder(folder), InputFileError)
    bare = taken(lambda: read_bytes(folder / name, MODEL.program, None), InputFileError)
    write_file(folder / name, right)
    assert found is None or found.weights == MODEL.weights
    assert bare is None or len(bare.weights) == MODEL.program.n_params


@any_file
@given(data=st.data())
def test_checkpoints(tmp_path: Path, data: st.DataObject) -> None:
    write_checkpoints(tmp_path, STATES)
    (path,) = tmp_path.iterdir()
    root = bytes.fromhex(path.name)
    assert read_checkpoints(tmp_path, root) == tuple(STATES)
    right = spoiled(path, data)
    assert read_checkpoints(tmp_path, root) in {None, tuple(STATES)}
    write_file(path, right)


@any_file
@given(st.dictionaries(st.sampled_from(sorted(RECORD)), ANY_FIELD, max_size=2))
def test_jobs(tmp_path: Path, changes: dict[str, object]) -> None:
    store = JobStore(tmp_path / "jobs")
    (tmp_path / "jobs" / "1").mkdir(exist_ok=True)
    for name, content in FILES.items():
        write_file(tmp_path / "jobs" / "1" / name, content)
    write_json(tmp_path / "jobs" / "1" / "job.json", RECORD | changes)
    found = taken(store.load, InputFileError)
    assert found is not None or changes


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map("".join)))
def test_programs_as_text(text: str) -> None:
    found = taken(lambda: parse_program(text), ProgramError)
    assert found is None or parse_program(format_program(found)) == found


@given(st.one_of(st.binary(max_size=200), mutations(st.just(TRANSACTION))))
def test_transactions_of_a_template(data: bytes) -> None:
    taken(lambda: read_transaction(data), NodeAnswerError)
