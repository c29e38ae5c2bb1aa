"""Making a chain: data sets, sealed shards, keys, signed entries, and what happens to damaged files."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from podl_tools.drafting import draft_release
from podl_tools.entry import Entry
from podl_tools.errors import RejectError
from podl_tools.example_files import load_examples
from podl_tools.files import write_file
from podl_tools.keys import SigningKey
from podl_tools.requester.book import CheckBook
from podl_tools.requester.cli import main
from podl_tools.requester.entrants import Outcome
from podl_tools.requester.prepare import deal_shards, new_chain
from podl_tools.requester.signed import SignedEntries
from podl_tools.requester.tasks import TaskShelf, own_key, read_secret, read_task
from podl_tools.schedule import Schedule
from podl_tools.tool_errors import InputFileError, SettingsError
from tests.world import OPTIONS, PROGRAMS, START, write_examples, write_ingredients

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make the data directory of a requester."""
    new_chain(tmp_path / "home", write_ingredients(tmp_path), OPTIONS, None, START)
    return tmp_path / "home"


def the_task(home: Path) -> Path:
    (found,) = (home / "tasks").iterdir()
    return found


def test_new_chain(home: Path) -> None:
    entry = Entry.parse(bytes.fromhex((home / "task.hex").read_text()))
    schedule = Schedule()
    assert schedule.submit(entry, START, lambda _: None).status.value == "accepted"
    (sealed,) = TaskShelf(home / "tasks", own_key(home).public).tasks
    assert sealed.task == entry.body
    assert (home / "chain").read_text().strip() == entry.id.hex()
    assert len(sealed.shards) == 4


def test_secrets_are_private(home: Path) -> None:
    for path in [home / "requester.key", *the_task(home).iterdir(), *(home / "entries").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_second_requester_in_one_directory_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds a requester already"):
        new_chain(home, write_ingredients(tmp_path), OPTIONS, None, START)


def test_shards_are_dealt_without_loss_or_repetition(tmp_path: Path) -> None:
    test = load_examples(write_examples(tmp_path / "t.npz", 1, 300))
    shards = deal_shards(test, 4, 64)
    rows = [row.tobytes() for shard in shards for row in shard.samples]
    pairs = {(row.tobytes(), int(label)) for row, label in zip(test.samples, test.labels, strict=True)}
    dealt = {
        (row.tobytes(), int(label))
        for shard in shards
        for row, label in zip(shard.samples, shard.labels, strict=True)
    }
    assert len(set(rows)) == 256
    assert dealt <= pairs
    assert rows != [row.tobytes() for row in test.samples[:256]]
    with pytest.raises(SettingsError, match="need 320 samples, there are 300"):
        deal_shards(test, 5, 64)


def test_samples_of_the_training_set_must_not_be_in_a_shard(tmp_path: Path) -> None:
    ingredients = write_ingredients(tmp_path)
    with pytest.raises(RejectError) as caught:
        new_chain(tmp_path / "home", replace(ingredients, test=ingredients.training), OPTIONS, None, START)
    assert caught.value.reason == "podl-data-overlap"
    assert not (tmp_path / "home" / "task.hex").exists()


@pytest.mark.parametrize("name", ["task", "training", "shard0", "shards.json"])
@pytest.mark.parametrize("change", ["missing", "shorter", "changed", "nonsense"])
def test_damaged_tasks_are_noticed(home: Path, name: str, change: str) -> None:
    path = the_task(home) / name
    data = path.read_bytes()
    if change == "missing":
        path.unlink()
    else:
        flipped = bytes([data[0] ^ 1]) + data[1:]
        path.write_bytes({"shorter": data[:-2], "changed": flipped, "nonsense": b'{"shards": [1]}'}[change])
    with pytest.raises(InputFileError):
        read_task(the_task(home))


def test_task_of_another_key(home: Path) -> None:
    with pytest.raises(InputFileError, match="another requester key"):
        TaskShelf(home / "tasks", SigningKey(b"\1" * 32).public)
    with pytest.raises(InputFileError, match="podl-requester init"):
        TaskShelf(home / "nowhere", b"")


@pytest.mark.parametrize("data", [b"", b"zz", b"00" * 32, b"11" * 31, b"\xff" * 64])
def test_bad_keys(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "key").write_bytes(data)
    with pytest.raises(InputFileError, match="expected a secret key"):
        read_secret(tmp_path / "key")


def test_a_slot_is_signed_once(home: Path) -> None:
    log = Schedule()
    log.submit(Entry.parse(bytes.fromhex((home / "task.hex").read_text())), START, lambda _: None)
    signed = SignedEntries(home / "entries", own_key(home))
    sealed, time = TaskShelf(home / "tasks", own_key(home).public).tasks[0], START + OPTIONS.min_commit
    body = draft_release(log, sealed, b"\1" * 32, [b"\2" * 32])
    first = signed.sign(log, time, body)
    assert signed.sign(log, time + 1, replace(body, listed=(b"\3" * 32,))) == first
    assert SignedEntries(home / "entries", own_key(home)).for_slot(log.last_id) == first
    assert signed.for_slot(b"\7" * 32) is None


def test_what_nodes_would_refuse_does_not_take_up_a_slot(home: Path) -> None:
    log = Schedule()
    log.submit(Entry.parse(bytes.fromhex((home / "task.hex").read_text())), START, lambda _: None)
    sealed = TaskShelf(home / "tasks", own_key(home).public).tasks[0]
    signed = SignedEntries(home / "entries", own_key(home))
    body = draft_release(log, sealed, b"\1" * 32, [b"\2" * 32])
    with pytest.raises(RejectError, match="podl-release-time"):
        signed.sign(log, START, body)
    assert signed.for_slot(log.last_id) is None


@pytest.mark.parametrize("change", ["damaged", "other slot", "other key"])
def test_damaged_signed_entries_stop_everything(home: Path, change: str) -> None:
    key = own_key(home)
    signed = SignedEntries(home / "entries", key)
    entry = signed.for_slot(bytes(32))
    assert entry is not None
    slot = b"\7" * 32
    other = Entry.sign(SigningKey(b"\1" * 32), entry.chain_id, slot, entry.time, entry.body)
    data = {"damaged": b"junk", "other slot": entry.serialize(), "other key": other.serialize()}[change]
    write_file(home / "entries" / slot.hex(), data)
    with pytest.raises(InputFileError):
        signed.for_slot(slot)


def test_outcomes_survive_but_missing_bytes_are_asked_for_again(tmp_path: Path) -> None:
    now = [0.0]
    book = CheckBook(tmp_path / "checked.json", lambda: now[0])
    book.note_outcome(b"\1" * 32, Outcome.MISMATCH)
    book.note_outcome(b"\2" * 32, Outcome.GOOD)
    book.note_outcome(b"\3" * 32, Outcome.NOT_SERVED)
    assert CheckBook(tmp_path / "checked.json", lambda: now[0]).failed == {b"\1" * 32}
    assert book.failed == {b"\1" * 32}


def test_outcomes_of_decided_heights_are_forgotten(tmp_path: Path) -> None:
    book = CheckBook(tmp_path / "checked.json", lambda: 0.0)
    for number in range(9):
        book.note_outcome(bytes([number]) * 32, Outcome.MISMATCH)
    book.keep_only([b"\7" * 32], b"")
    book.note_outcome(b"\x09" * 32, Outcome.INVALID)
    assert CheckBook(tmp_path / "checked.json", lambda: 0.0).failed == {b"\7" * 32, b"\x09" * 32}


@pytest.mark.parametrize("data", ["no json", "[]", '{"zz": "good"}', '{"00": "fine"}'])
def test_damaged_outcomes_are_named(tmp_path: Path, data: str) -> None:
    (tmp_path / "checked.json").write_text(data)
    with pytest.raises(InputFileError, match=r"checked\.json"):
        CheckBook(tmp_path / "checked.json", lambda: 0.0)


def arguments(tmp_path: Path, **changes: str) -> list[str]:
    ingredients = write_ingredients(tmp_path)
    settings = {
        "datadir": str(tmp_path / "home"),
        "training": str(ingredients.training),
        "test": str(ingredients.test),
        "program": PROGRAMS[0],
        "shards": "4",
        "shardsize": "64",
        "firstheight": "5",
        **changes,
    }
    return [f"-{name}={value}" for name, value in settings.items()]


def test_init_from_the_command_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["init", *arguments(tmp_path)])
    assert result.exit_code == 0, result.output
    entry = Entry.parse(bytes.fromhex((tmp_path / "home" / "task.hex").read_text()))
    assert f"chain {entry.id.hex()}\n" in result.output


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"training": "/nonexistent.npz"}, 3, "data set /nonexistent.npz: No such file or directory"),
        ({"program": "input 6, dense 9"}, 1, "output"),
        ({"shardsize": "65"}, 2, "need 260 samples"),
        ({"bmax": "16"}, 1, "b_max must be 1..15"),
        ({"keyfile": "/nonexistent"}, 3, "/nonexistent: No such file"),
        ({"firstheigth": "5"}, 2, "firstheigth"),
        ({"conf": "/nonexistent"}, 2, "No such option '--conf'"),
    ],
)
def test_init_explains_itself_in_one_line(
    tmp_path: Path, changes: dict[str, str], code: int, message: str
) -> None:
    result = CliRunner().invoke(main, ["init", *arguments(tmp_path, **changes)])
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


def test_run_without_the_signed_entries(home: Path) -> None:
    for path in (home / "entries").iterdir():
        path.unlink()
    login = ["-rpcuser=u", "-rpcpassword=p", "-rpcport=1", "-storeport=0", "-backend=numpy"]
    result = CliRunner().invoke(main, ["run", f"-datadir={home}", *login])
    assert result.exit_code == 3
    assert "the chain's first signed entry is missing" in result.output


def test_run_without_a_requester(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["run", f"-datadir={tmp_path}"])
    assert result.exit_code == 3
    assert f"`podl-requester init --datadir={tmp_path}`" in result.output
