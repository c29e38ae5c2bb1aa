"""`__all__` says exactly what a module offers."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "podl_tools"
# Not the modules of ml: they may load TensorFlow, which takes seconds.
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if "__all__ =" in path.read_text() and path.name != "__init__.py" and path.parent.name != "ml"
)


def defined(name: str) -> set[str]:
    """Public functions and classes that the module's own text defines at its top level."""
    module = import_module(name)
    assert module.__file__
    body = ast.parse(Path(module.__file__).read_text()).body
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in body if isinstance(node, kinds) and not node.name.startswith("_")}


@pytest.mark.parametrize("name", MODULES)
def test_exports_are_complete_and_exist(name: str) -> None:
    module = import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    assert [export for export in module.__all__ if not hasattr(module, export)] == []
    assert defined(name) <= set(module.__all__)
