"""
Data flows one way: dataset, task, training, commitment, header, reveal, validation, chain, workers, commands.

A module imports only from its left and from the ground. Packages count as one module.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "podl_tools"

# From left to right, also within a layer.
LAYERS = {
    "ground": ("errors", "arithmetic", "prng", "constants", "hashing", "codec", "merkle", "keys"),
    "dataset": ("program", "examples", "dataset", "digits"),
    "task": ("task", "sealing", "recipe"),
    "training": ("ml",),
    "commitment": ("commitment", "coinbase"),
    "header": ("header", "block", "bitcoinlib", "disclosure"),
    "reveal": ("reveal", "entry"),
    "validation": ("schedule", "winner", "drafting", "training_run"),
    "tools": (
        "tool_errors",
        "measuring",
        "log",
        "progress",
        "files",
        "example_files",
        "stored_model",
        "services",
        "fetch",
        "store",
    ),
    "chain": ("chain", "settings"),
    "workers": ("trainer", "validator", "requester"),
    "commands": ("commands", "cli"),
}
ORDER = [module for modules in LAYERS.values() for module in modules]
# What opens sockets, and who may.
SOCKETS = {"socket", "socketserver", "ssl", "asyncio", "http", "urllib", "requests", "zmq", "bitcoin.rpc"}
# What can run code that a file holds.
LOADERS = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "torch", "yaml"}
SOCKET_USERS = {"chain", "fetch", "store"}


def unit(path: Path) -> str:
    """Module or package below podl_tools that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def units_imported(path: Path) -> set[str]:
    """Our own modules and packages that a file imports."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("podl_tools.")}
    return {name for name in names if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
IDS = [str(path.relative_to(PACKAGE)) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports_go_to_the_left(path: Path) -> None:
    name = unit(path)
    assert name in ORDER, f"{name} has no place in LAYERS"
    right = [other for other in units_imported(path) - {name} if ORDER.index(other) > ORDER.index(name)]
    assert right == []


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_workers_never_meet(path: Path) -> None:
    if unit(path) not in LAYERS["commands"]:  # a command may read a worker's files
        assert units_imported(path) & set(LAYERS["workers"]) <= {unit(path)}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_only_ml_imports_a_framework(path: Path) -> None:
    if unit(path) != "ml":
        assert not [name for name in imports(path) if name.split(".")[0] in {"tensorflow", "keras", "jax"}]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_only_chain_store_and_fetch_open_sockets(path: Path) -> None:
    if unit(path) not in SOCKET_USERS:
        assert not [name for name in imports(path) if {name, name.split(".")[0]} & SOCKETS]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_nothing_that_executes_is_read(path: Path) -> None:
    """Models and data sets come from strangers: no format that can carry code, and no code from text."""
    assert not [name for name in imports(path) if name.split(".")[0] in LOADERS]
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        assert name not in {"eval", "exec", "compile", "__import__"}
        if name in {"np.load", "numpy.load"}:
            assert any(
                option.arg == "allow_pickle" and not ast.literal_eval(option.value)
                for option in node.keywords
            )


def test_every_place_is_taken() -> None:
    missing = [
        name for name in ORDER if not (PACKAGE / name).is_dir() and not (PACKAGE / f"{name}.py").is_file()
    ]
    assert missing == []


def test_the_protocol_loads_without_tensorflow_or_a_network_library() -> None:
    """What a lazy or indirect import would hide from the text of the files."""
    pure = [
        name
        for layer in ("ground", "dataset", "task", "commitment", "header", "reveal")
        for name in LAYERS[layer]
    ]
    pure += ["schedule", "winner", "drafting"]
    lines = [f"import podl_tools.{name}" for name in pure if name != "digits"]
    lines += ["import sys", "print(sorted({'tensorflow', 'jax', 'requests', 'zmq'} & set(sys.modules)))"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]"
