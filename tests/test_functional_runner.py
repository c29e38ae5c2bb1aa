"""The runner of the functional tests, on made-up scripts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "functional_tests"))

import test_runner  # type: ignore[import-not-found]  # mypy leaves functional_tests out

SLOW = """
signal.signal(signal.SIGINT, signal.default_int_handler)
print('begun', flush=True)
try:
    signal.pause()
finally:
    print('cleaned')
"""


def run(tmp_path: Path, text: str, timeout: int = 60) -> test_runner.Outcome:
    script = tmp_path / "tool_made_up.py"
    script.write_text(f"import signal, sys\n{text}\n")
    return test_runner.run_test(script, tmp_path / "scratch", 0, ["--more"], timeout)


@pytest.mark.parametrize("code", [0, 1, test_runner.SKIPPED])
def test_exit_code_and_output(tmp_path: Path, code: int) -> None:
    found = run(tmp_path, f"print('out'); print(sys.argv[3], file=sys.stderr); sys.exit({code})")
    assert (found.code, sorted(found.output.split())) == (code, ["--more", "out"])


def test_slow_test_is_stopped_as_by_hand(tmp_path: Path) -> None:
    found = run(tmp_path, SLOW, timeout=3)
    assert found.code == 1
    assert all(text in found.output for text in ("begun", "cleaned", "stopped: longer than 3 s"))


def test_areas_are_found_and_filtered() -> None:
    names = {path.name for path in test_runner.find_tests([])}
    assert {"feature_podl_chain.py", "rpc_podl.py", "tool_podl_network.py"} <= names
    assert "test_runner.py" not in names
    assert [path.name for path in test_runner.find_tests(["podl_alarm"])] == ["feature_podl_alarm.py"]
