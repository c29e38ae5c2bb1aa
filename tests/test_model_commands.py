"""`podl model` from end to end: fetch from a node, inspect, predict, and one line for every error."""

from __future__ import annotations

import json
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner

from podl_tools.cli import main
from podl_tools.commands import model as commands
from podl_tools.dataset import parse_examples
from podl_tools.ml.evaluation import evaluate
from podl_tools.recipe import Recipe
from podl_tools.stored_model import read_folder, write_folder
from tests.ml_helpers import backend, start_tensorflow
from tests.rounds import last_final, open_round
from tests.stored_models import TEXT, stored
from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

LOGIN = ["--rpcuser=u", "--rpcpassword=p"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "won", stored())
    return tmp_path / "won"


def podl(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["model", *map(str, arguments)])


def write_samples(path: Path, **more: Any) -> Path:
    np.savez(path, samples=np.random.default_rng(3).integers(-127, 128, (50, 6)).astype(np.int8), **more)
    return path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a chain with one won block."""
    made = World(tmp_path)
    requester, miners = open_round(made, "a", "b")
    for miner in miners.values():
        miner.step()
    made.later(10, requester.step, requester.step)
    monkeypatch.setattr(commands, "connect", lambda _settings: made.node)
    return made


def test_fetched_model_is_the_one_that_won(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = podl("fetch", *LOGIN, f"--out={out}")
    assert result.exit_code == 0, result.output
    final, found = last_final(world), read_folder(out)
    opening = final.disclosure.opening
    assert (found.weights_root, found.model_root) == (opening.weights_root, opening.model_root)
    assert found.origin is not None
    assert (found.origin.height, found.origin.claim) == (final.height, final.claim)
    assert found.origin.block == final.disclosure.header.hash[::-1].hex()
    task = world.task_entry.body
    assert found.program == task.loaded_programs[Recipe.parse(final.disclosure.recipe).architecture]  # type: ignore[union-attr]
    shard = world.fake.objects["shard", bytes.fromhex(found.origin.test_root)]
    examples = parse_examples(shard, found.origin.samples, (6,), 3)
    assert evaluate(found.program, found.weights, examples, backend("numpy")).count == final.claim
    assert podl("fetch", *LOGIN, f"--out={tmp_path / 'other'}", f"--height={final.height}").exit_code == 0
    assert read_folder(tmp_path / "other") == found


def test_model_bytes_may_be_gone(world: World, tmp_path: Path) -> None:
    del world.fake.objects["model", last_final(world).disclosure.opening.model_root]
    result = podl("fetch", *LOGIN, f"--out={tmp_path / 'out'}")
    assert (result.exit_code, "weights alone" in result.output) == (0, True)
    assert read_folder(tmp_path / "out").model is None


@pytest.mark.parametrize(
    ("height", "code", "message"), [("4", 2, "height 4 has no final; there are 5 to 5"), ("0", 2, "0 is not")]
)
def test_heights_without_a_final(world: World, tmp_path: Path, height: str, code: int, message: str) -> None:
    del world
    result = podl("fetch", *LOGIN, f"--out={tmp_path / 'out'}", f"--height={height}")
    assert (result.exit_code, message in result.output) == (code, True)


def test_weights_that_no_node_holds(world: World, tmp_path: Path) -> None:
    del world.fake.objects["weights", last_final(world).disclosure.opening.weights_root]
    result = podl("fetch", *LOGIN, f"--out={tmp_path / 'out'}")
    assert (result.exit_code, "Error: getpodldata" in result.output) == (6, True)
    assert not (tmp_path / "out").exists()


def test_no_model_has_won_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    monkeypatch.setattr(commands, "connect", lambda _settings: world.node)
    result = podl("fetch", *LOGIN, f"--out={tmp_path / 'out'}")
    assert (result.exit_code, "no model has won" in result.output) == (2, True)


def test_inspect(folder: Path) -> None:
    result = podl("inspect", folder, "--json")
    assert result.exit_code == 0
    found, model = json.loads(result.output), stored()
    assert found["weights_root"] == model.weights_root.hex()
    assert (found["parameters"], found["macs"], found["chain"]["height"]) == (83, 83, 7)
    hidden = model.matrices[0]
    assert found["layers"][0] == {
        "layer": "dense 8",
        "input": [6],
        "output": [8],
        "f": 5,
        "fan_in": 6,
        "parameters": 56,
        "macs": 56,
        "lowest": hidden.min(),
        "highest": hidden.max(),
        "saturated": sum(abs(int(value)) == 127 for value in hidden.flat),
        "zeros": sum(value == 0 for value in hidden.flat),
    }
    shown = podl("inspect", folder).output
    assert all(word in shown for word in (TEXT, "dense 8", found["weights_root"], found["model_root"]))


def test_layers_without_weights_are_shown(tmp_path: Path) -> None:
    write_folder(tmp_path / "won", stored("input 4x4x2, conv2d 3x3x3, maxpool 2, flatten, output 3"))
    layers = json.loads(podl("inspect", tmp_path / "won", "--json").output)["layers"]
    assert [layer["output"] for layer in layers] == [[4, 4, 3], [2, 2, 3], [12], [3]]
    assert "f" not in layers[1]
    assert podl("inspect", tmp_path / "won").exit_code == 0


@pytest.mark.parametrize("where", ["numpy", "tensorflow"])
def test_predict(folder: Path, tmp_path: Path, where: str) -> None:
    labels = (np.arange(50) % 3).astype(np.uint8)
    path = write_samples(tmp_path / "s.npz", labels=labels)
    result = podl("predict", folder, path, f"--backend={where}", "--json")
    found, model = json.loads(result.stdout), stored()
    samples = np.load(path)["samples"]
    logits = backend("numpy").network(model.program).logits(model.matrices, samples)
    assert found["classes"] == [row.index(max(row)) for row in logits.tolist()]
    assert (found["count"], found["samples"]) == ((np.array(found["classes"]) == labels).sum(), 50)
    assert found["device"].lower().startswith(where)
    lines = podl("predict", folder, path)
    assert lines.stdout.split() == [str(found) for found in found["classes"]]
    assert lines.stderr == f"{found['count']} of 50 correct, rank sum {found['rank_sum']}\n"


def test_predict_without_labels(folder: Path, tmp_path: Path) -> None:
    result = podl("predict", folder, write_samples(tmp_path / "s.npz"), "--json")
    assert sorted(json.loads(result.output)) == ["classes", "device"]


def test_ties_go_to_the_lowest_class(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(bytes(83))
    del folder
    result = podl("predict", tmp_path / "w", write_samples(tmp_path / "s.npz"), f"--program={TEXT}")
    assert set(result.stdout.split()) == {"0"}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
@pytest.mark.parametrize("name", ["onnx", "keras"])
def test_export(folder: Path, tmp_path: Path, name: str) -> None:
    start_tensorflow()
    out = tmp_path / f"model.{name}"
    result = podl("export", folder, f"--format={name}", f"--out={out}")
    assert result.exit_code == 0, result.output
    assert stored().weights_root.hex() in result.output
    samples = np.load(write_samples(tmp_path / "s.npz"))["samples"].astype(np.float32)
    if name == "onnx":
        session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
        logits = session.run(["logits"], {"samples": samples})[0]
    else:
        logits = keras.ops.convert_to_numpy(keras.models.load_model(out)(samples))
    lines = podl("predict", folder, tmp_path / "s.npz").stdout
    assert [row.index(max(row)) for row in logits.tolist()] == [int(line) for line in lines.split()]


def test_export_without_onnx(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "podl_tools.ml.onnx_export", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_NoOnnx(), *sys.meta_path])
    for name in [name for name in sys.modules if name.split(".")[0] == "onnx"]:
        monkeypatch.delitem(sys.modules, name)
    result = podl("export", folder, "--format=onnx", f"--out={tmp_path / 'm.onnx'}")
    assert (result.exit_code, "pip install 'podl[onnx]'" in result.output) == (2, True), result.output
    assert not (tmp_path / "m.onnx").exists()


class _NoOnnx(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "onnx":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")


@pytest.mark.parametrize("name", ["weights", "model"])
def test_bare_files_with_the_task(world: World, tmp_path: Path, folder: Path, name: str) -> None:
    task = f"--task={world.home / 'task.hex'}"
    result = podl(
        "inspect", folder / name, task, f"--root={getattr(stored(), f'{name}_root').hex()}", "--json"
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["program"] == TEXT
    result = podl("inspect", folder / name, task, "--architecture=1")
    assert (result.exit_code, "must have 21 or 84 bytes" in result.output) == (3, True)
    result = podl("inspect", folder / name, task, "--architecture=2")
    assert (result.exit_code, "the task has 2 layer programs" in result.output) == (2, True)
    result = podl("inspect", folder / name, task, f"--root={'00' * 32}")
    assert (result.exit_code, f"not {'00' * 32}" in result.output) == (3, True)
    (tmp_path / "final.hex").write_text(world.fake.schedule.entries[-1].serialize().hex())
    result = podl("inspect", folder / name, f"--task={tmp_path / 'final.hex'}")
    assert (result.exit_code, "an entry, but no task" in result.output) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["inspect", "{0}/weights"], 2, "give either --program or --task"),
        (["inspect", "{0}/none", "--program=input 6, output 3"], 3, "none: No such file"),
        (["inspect", "{0}/weights", "--program=input 6, output"], 1, "not understood"),
        (
            ["inspect", "{0}/weights", "--program=input 6, output 3", "--root=55"],
            2,
            "--root is 32 bytes in hex",
        ),
        (["inspect", "{0}/weights", "--task={0}/model.json"], 3, "expected a task entry in hex"),
        (["inspect", "{0}/weights", "--task={0}/model"], 3, "expected a task entry in hex"),
        (["inspect", "{0}", "--program=input 6, output 3"], 2, "a folder says what is in it"),
        (["inspect", "{0}/.."], 3, "model.json: No such file"),
        (["predict", "{0}", "{0}/model.json"], 3, "neither a .npz nor a .npy file"),
        (["predict", "{0}", "{0}/wide.npy"], 1, "samples must have 6 values, received 7"),
        (["predict", "{0}", "{0}/labels.npz"], 1, "labels must be below 3, received 3"),
        (["export", "{0}", "--format=onnx", "--out={0}/m.keras"], 2, "--out must end in .onnx"),
        (["export", "{0}", "--format=onnx", "--out={0}/none/m.onnx"], 1, "none/m.onnx: No such file"),
        (["export", "{0}", "--format=keras", "--out={0}/none/m.keras"], 1, "m.keras: No such file"),
        (["fetch", "--out={0}/out"], 2, "give either --rpccookiefile"),
        (["fetch", "--out={0}/out", *LOGIN, "--rpcport=1"], 6, "cannot be reached"),
    ],
)
def test_errors_are_one_line(folder: Path, arguments: list[str], code: int, message: str) -> None:
    np.save(folder / "wide.npy", np.zeros((2, 7), np.int8))
    write_samples(folder / "labels.npz", labels=np.full(50, 3, np.uint8))
    result = podl(*(argument.format(folder) for argument in arguments))
    assert (result.exit_code, message in result.output) == (code, True), result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
