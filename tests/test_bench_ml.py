"""The benchmark of exact learning: speech features, what is hashed, and the way from answers to tables."""

from __future__ import annotations

import json
import wave
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from dev.bench_ml import results as kept
from dev.bench_ml.__main__ import main
from dev.bench_ml.bits import hash_exact
from dev.bench_ml.nets import LARGE, NETS
from dev.bench_ml.results import Case, Results
from dev.bench_ml.setting import Setting
from dev.bench_ml.speech import BANDS, FRAMES, features, load_spoken_digits, make_tables
from dev.bench_ml.timing import in_turn
from podl_tools.dataset import serialize_examples
from podl_tools.ml.graph import Graph
from tests.ml_helpers import backend

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "fsdd" / "recordings"
RATE = 8000


def tone(hertz: float, samples: int, loudness: float = 8000) -> np.ndarray:
    wave_form = loudness * np.sin(2 * np.pi * hertz / RATE * np.arange(samples))
    return np.asarray(wave_form, dtype=np.int16)


def test_features_of_a_tone() -> None:
    tables = make_tables()
    found = features(tone(1000, RATE), tables)
    assert found.shape == (FRAMES, BANDS)
    assert found.dtype == np.int8
    assert 60 < found.max() <= 127
    assert (found.argmax(axis=1) == found[0].argmax()).all()
    higher = features(tone(2000, RATE), tables)
    assert higher[0].argmax() > found[0].argmax()
    louder = features(tone(1000, RATE, 16000), tables)
    assert louder.max() - found.max() == 8  # four times the power: two bits, each 64/16 units
    assert not features(np.zeros(RATE, dtype=np.int16), tables).any()


def test_short_recordings_start_with_silence_and_long_ones_lose_their_start() -> None:
    tables = make_tables()
    short = features(tone(1000, 1000), tables)
    assert not short[: FRAMES - 8].any()
    assert short[-1].any()
    signal = tone(700, 2 * RATE)
    assert np.array_equal(features(signal, tables), features(signal[-5216:], tables))


def test_recordings_are_split_by_number(tmp_path: Path) -> None:
    for number in (0, 4, 5, 12):
        with wave.open(str(tmp_path / f"7_anna_{number}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(tone(300 + number, 3000).tobytes())
    training, test = load_spoken_digits(tmp_path)
    assert (len(training), len(test)) == (2, 2)
    assert set(training.labels) == {7}
    (tmp_path / "7_anna_1.wav").write_bytes(b"RIFF")
    with pytest.raises(click.ClickException, match="7_anna_1"):
        load_spoken_digits(tmp_path)


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not beside the project")
def test_published_features() -> None:
    parts = load_spoken_digits(RECORDINGS)
    digest = sha256(b"".join(map(serialize_examples, parts))).hexdigest()
    assert digest == "f1acdb4c28076b40cc88ba77a19aba4b2946460d2e87a68c97a674c3c2d47246"


def test_settings_leave_the_hash_alone() -> None:
    backend("tensorflow").network(NETS["digits MLP"].program)  # sets the threads
    settings = (Setting("numpy", 1), Setting("numpy", 0, permuted=True), Setting("numpy", 0, parts=4))
    found = [hash_exact("digits MLP", setting, epochs=1, fsdd=None)["hash"] for setting in settings]
    assert len(set(found)) == 1
    assert hash_exact("digits MLP", settings[0], epochs=2, fsdd=None)["hash"] != found[0]


def test_micro_batches_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    whole = Graph.gradients

    def note(self: Graph, weights: Any, inputs: Any, labels: Any) -> Any:
        sizes.append(len(labels))
        return whole(self, weights, inputs, labels)

    monkeypatch.setattr(Graph, "gradients", note)
    hash_exact("digits MLP", Setting("numpy", 0, parts=4), epochs=1, fsdd=None)
    assert sizes[-4 * 31 :] == [8] * 4 * 31  # before come the steps of the self-test


def test_sides_take_turns() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = in_turn({"a": lambda: side("a"), "b": lambda: side("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [1, 4, 5], "b": [2, 3, 6]}


ANSWERS: dict[str, Any] = {
    "accuracy": {"exact": 90, "float32": 88, "samples": 100},
    "training": {
        "kernel": "K",
        "self-test": 1.0,
        "first": {"exact": 0.1, "float32": 0.2, "float32 XLA": 0.3},
        "rounds": {"exact": [3.0, 4.0], "float32": [2.0, 2.0], "float32 XLA": [1.0, 1.0]},
    },
    "evaluation": {
        "kernel": "K",
        "found": {"exact": {"count": 1, "rank_sum": 2}, "C++": {"count": 1, "rank_sum": 2}},
        "rounds": {"exact": [1.0, 1.0], "float32": [2.0, 2.0], "C++": [1.0, 1.5]},
    },
    "referee": {"found": {}, "rounds": {"NumPy int64": [9.0]}},
    "exact hash": {"hash": "5b36bf3acca504c5" + "0" * 48, "computed by": "K"},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Requests of the workers, which answer at once; float32 has another hash each time."""
    requests: list[dict[str, Any]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        request = json.loads(command[-1])
        requests.append(request)
        answer = ANSWERS.get(request["do"]) or {"hash": f"{len(requests):064x}"}
        return SimpleNamespace(returncode=0, stdout=f"chatter\n{json.dumps(answer)}\n", stderr="")

    monkeypatch.setattr("dev.bench_ml.results.subprocess.run", run)
    return requests


def test_tables_and_what_a_second_run_measures(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    options = ["--out", str(tmp_path), "--seeds", "2", "--rounds", "2", "--steps", "2", "--net", "digits MLP"]
    result = CliRunner().invoke(main, options, catch_exceptions=False)
    assert result.exit_code == 0
    lines = {" ".join(line.replace("│", " ").split()) for line in result.output.splitlines()}
    assert "digits MLP 8970 2 90.00 88.00 +2.00 0.00 no" in lines
    assert "digits MLP 1 1750.00 1000.00 500.00 1.75 1.50-2.00 1.2 no 3.50" in lines
    assert "C++ 1 1.250 0.62 0.50-0.75" in lines
    assert "exact 2 1.000 0.50 0.50-0.50 1 yes" in lines
    assert "4 exact ways count the same yes" in lines
    hashed = [request for request in asked if request["do"] == "float hash"]
    assert any(f"{len(hashed)} in {len(hashed)} settings" in line for line in lines)
    assert "digits MLP: the published one yes" in lines
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    before = len(asked)
    CliRunner().invoke(main, options, catch_exceptions=False)
    assert len(asked) == before
    CliRunner().invoke(main, [*options, "--seeds", "3"], catch_exceptions=False)
    assert [request["seed"] for request in asked[before:]] == ["s2"]


def test_failures_are_shown_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = SimpleNamespace(returncode=1, stdout="", stderr="no such luck")
    monkeypatch.setattr("dev.bench_ml.results.subprocess.run", lambda *_, **__: done)
    options = ["--out", str(tmp_path), "--part", "evaluation"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 1
    assert "no such luck" in result.output
    assert "3 measurements failed" in result.output


def test_an_answer_belongs_to_its_circumstances(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    del asked
    case = Case("accuracy", "x", {"do": "accuracy", "net": next(iter(LARGE))})
    results = Results(tmp_path / "r.json")
    assert results.measure(case) == ""
    again = Results(tmp_path / "r.json")
    assert again.find(case) == ANSWERS["accuracy"]
    assert again.find(Case("accuracy", "x", case.request, (("A", "1"),))) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "circumstances", lambda: {"processor": "another"})
        assert again.find(case) is None
