"""Settings, signals, files and exit codes that all programs share."""

from __future__ import annotations

import errno
import os
import signal
import stat
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from podl_tools.errors import ExamplesError, PodlError
from podl_tools.files import ChainMark, lock_directory, read_json, write_file, write_json
from podl_tools.services import Repeater, StoppedError, Wakeup, run_service
from podl_tools.settings import ServiceCommand, common_options, connect, node_options, option
from podl_tools.tool_errors import (
    InputFileError,
    NodeLoginError,
    NodeUnreachableError,
    NodeWarmupError,
    PodlInactiveError,
    PortInUseError,
    RefusedError,
    SettingsError,
    ToolError,
    TransferError,
    WrongChainError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHAIN = b"\1" * 32


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name in [name for name in os.environ if name.startswith("PODL_")]:
        monkeypatch.delenv(name)
    return {}


def invoke(seen: dict[str, Any], *arguments: str) -> Any:
    @click.command(cls=ServiceCommand, program="podl-test")
    @option("store", multiple=True)
    @option("level", type=int, default=1, help="A number.")
    @node_options
    @common_options("/nonexistent/podl-test")
    def command(**settings: Any) -> None:
        """Do nothing."""
        seen.update(settings)

    return CliRunner().invoke(command, arguments)


def test_flags_win_over_environment_over_file_over_defaults(
    tmp_path: Path, seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "podl-test.conf"
    datadir = f"-datadir={tmp_path}"
    assert invoke(seen, datadir).exit_code == 0
    assert (seen["level"], seen["store"], seen["rpcport"]) == (1, (), 18443)
    conf.write_text("# comment\nlevel = 2\nrpcport=99 # other\nstore = http://a http://b\n")
    invoke(seen, datadir)
    assert (seen["level"], seen["store"], seen["rpcport"]) == (2, ("http://a", "http://b"), 99)
    monkeypatch.setenv("PODL_TEST_LEVEL", "3")
    monkeypatch.setenv("PODL_TEST_STORE", "http://c http://d")
    invoke(seen, datadir)
    assert (seen["level"], seen["store"], seen["rpcport"]) == (3, ("http://c", "http://d"), 99)
    invoke(seen, datadir, "--level=4", "-store=http://e", "-rpcport", "7")
    assert (seen["level"], seen["store"], seen["rpcport"]) == (4, ("http://e",), 7)


def test_data_directory_from_the_environment_gives_the_file(
    tmp_path: Path, seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "podl-test.conf").write_text("level=5\n")
    (tmp_path / "other.conf").write_text("level=6\n")
    monkeypatch.setenv("PODL_TEST_DATADIR", str(tmp_path))
    invoke(seen)
    assert seen["level"] == 5
    monkeypatch.setenv("PODL_TEST_CONF", str(tmp_path / "other.conf"))
    invoke(seen)
    assert seen["level"] == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("levle=2", "unknown setting 'levle'"),
        ("conf=x", "unknown setting 'conf'"),
        ("level=2\nlevel=3", "'level' is set twice"),
        ("[section]\nlevel=2", "sections are not used"),
        ("[DEFAULT]\nlevel=2", "sections are not used"),
        ("[settings]\nlevel=2", "sections are not used"),
        ("level=2\njust words", "line 2 is not `name = value`"),
        ("level=many", "not a valid integer"),
        ("\xff", "not UTF-8"),
    ],
)
def test_bad_files(tmp_path: Path, seen: dict[str, Any], text: str, message: str) -> None:
    (tmp_path / "podl-test.conf").write_text(text, encoding="latin-1")
    result = invoke(seen, f"--datadir={tmp_path}")
    assert result.exit_code == 2
    assert message in result.output
    assert seen == {}


def test_password_is_not_shown_when_its_line_is_wrong(tmp_path: Path, seen: dict[str, Any]) -> None:
    (tmp_path / "podl-test.conf").write_text("rpcuser=me\nrpcpassword hunter2\n")
    result = invoke(seen, f"--datadir={tmp_path}")
    assert (result.exit_code, "line 2" in result.output, "hunter2" in result.output) == (2, True, False)


def test_named_file_must_exist(tmp_path: Path, seen: dict[str, Any]) -> None:
    result = invoke(seen, f"--conf={tmp_path / 'none'}")
    assert (result.exit_code, "No such file" in result.output) == (2, True)


def test_unknown_names_elsewhere(seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No such option '--levle'" in invoke(seen, "-levle=3").output
    monkeypatch.setenv("PODL_TEST_LEVLE", "3")
    result = invoke(seen)
    assert (result.exit_code, "PODL_TEST_LEVLE" in result.output) == (2, True)
    assert "Show this message" in invoke(seen, "-help").output


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"rpcuser": "u"},
        {"rpcpassword": "p"},
        {"rpccookiefile": "/c", "rpcuser": "u", "rpcpassword": "p"},
    ],
)
def test_login_is_one_of_two(settings: dict[str, Any]) -> None:
    nothing = {"rpccookiefile": None, "rpcuser": None, "rpcpassword": None}
    rest = {"rpcconnect": "::1", "rpcport": 1, "rpcclienttimeout": 1.0}
    with pytest.raises(SettingsError, match="either --rpccookiefile"):
        connect({**nothing, **rest, **settings})


def raising(error: Exception) -> Callable[[Wakeup], None]:
    def body(_: Wakeup) -> None:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PodlError("x"), 1),
        (ExamplesError("x"), 1),
        (SettingsError("x"), 2),
        (InputFileError("x"), 3),
        (WrongChainError("x"), 4),
        (PortInUseError("x"), 5),
        (NodeLoginError("x"), 6),
        (PodlInactiveError("x"), 7),
        (TransferError("x"), 8),
        (RefusedError("x\ny"), 9),
    ],
)
def test_exit_codes(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_service(raising(error)) == code
    assert capsys.readouterr().err == f"Error: {' '.join(str(error).split())}\n"


def test_full_disk_is_explained_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    write_file(path, b"before")
    monkeypatch.setattr(os, "fsync", full)
    assert run_service(lambda _: write_file(path, b"after")) == 1
    assert capsys.readouterr().err == f"Error: {path}: No space left on device\n"
    assert [(found, found.read_bytes()) for found in tmp_path.iterdir()] == [(path, b"before")]


def test_no_memory_is_explained_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def greedy(_: Wakeup) -> None:
        raise MemoryError

    assert run_service(greedy) == 1
    assert capsys.readouterr().err == "Error: out of memory\n"


def test_exit_codes_are_distinct() -> None:
    own = [found for found in ToolError.__subclasses__() if "exit_code" in vars(found)]
    assert len({found.exit_code for found in own}) == len(own)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put back what a stopped service leaves ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_cleanly(number: signal.Signals) -> None:
    def body(wakeup: Wakeup) -> None:
        def step() -> None:
            os.kill(os.getpid(), number)

        Repeater(wakeup, step, wakeup.wait, 60).run()
        raise StoppedError("stopped")

    assert run_service(body) == 0
    os.kill(os.getpid(), number)  # a second one comes too late to do harm


@pytest.mark.usefixtures("handlers")
def test_signals_are_as_before_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert run_service(raising(PodlError("x"))) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_node_restarts_are_survived() -> None:
    wakeup = Wakeup()
    script: list[Any] = [NodeUnreachableError("down"), NodeWarmupError("soon"), 3.0, None, "stop"]
    waits: list[float] = []

    def step() -> float | None:
        found = script.pop(0)
        if isinstance(found, Exception):
            raise found
        if found == "stop":
            wakeup.stop()
            return None
        due: float | None = found
        return due

    Repeater(wakeup, step, waits.append, 0.05).run()
    assert waits == [0.05, 0.05]
    assert script == []
    wakeup.close()


def test_other_errors_of_the_node_end_the_loop() -> None:
    wakeup = Wakeup()

    def step() -> None:
        raise NodeLoginError("refused")

    with pytest.raises(NodeLoginError):
        Repeater(wakeup, step, wakeup.wait, 1).run()
    wakeup.close()


def test_wakeups_do_not_pile_up() -> None:
    wakeup = Wakeup()
    for _ in range(100_000):
        wakeup.wake()
    wakeup.wait(60)
    wakeup.wait(0.01)
    wakeup.close()


def test_files_are_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff"])
def test_damaged_json(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    write_file(path, data)
    with pytest.raises(InputFileError):
        read_json(path)


def test_one_program_per_data_directory(tmp_path: Path) -> None:
    with lock_directory(tmp_path), pytest.raises(SettingsError, match="in use"), lock_directory(tmp_path):
        pytest.fail("locked twice")
    with lock_directory(tmp_path):
        pass


def test_data_directory_keeps_its_chain(tmp_path: Path) -> None:
    ChainMark(tmp_path).check(CHAIN)
    mark = ChainMark(tmp_path)
    mark.check(CHAIN)
    with pytest.raises(WrongChainError, match=CHAIN.hex()):
        mark.check(bytes(32))
    with pytest.raises(WrongChainError):
        ChainMark(tmp_path).check(bytes(32))
    write_file(tmp_path / "chain", b"nonsense")
    with pytest.raises(InputFileError):
        ChainMark(tmp_path).check(CHAIN)
