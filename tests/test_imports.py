"""Imports point one way, and importing trihook is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import trihook
from trihook import errors, types

ROOT = Path(trihook.__file__).parent

LAYERS = {
    # what a layer holds: what it may import, besides itself
    "errors": set(),
    "deadline": set(),
    "types": set(),
    "fields": set(),
    "setting_types": set(),
    "marks": {"types"},
    "hookspecs": {"types", "marks"},
    "trihook": {"errors", "types", "hookspecs"},
    "triton": {"errors", "types", "deadline"},
    "calls": {"errors"},
    "chains": {"types", "marks", "calls"},
    "hooks": {"errors", "types", "fields", "calls", "chains"},
    "replies": {"errors", "types"},
    "runtime": {"deadline"},
    "hook_checks": {"errors", "hookspecs", "hooks"},
    "plugins": {"errors", "hookspecs", "hooks", "hook_checks"},
    "defaults": {"errors", "types", "hookspecs", "replies", "triton"},
    "config": {"errors", "types", "setting_types"},
    "local": {"errors"},
}
LAYERS["outcome"] = {"errors", "types", "triton"}
LAYERS["items"] = {"errors", "types", "calls", "hooks", "outcome", "plugins", "replies", "triton"}
LAYERS["pipeline"] = {
    "errors", "types", "calls", "deadline", "hooks", "items", "outcome", "plugins", "runtime",
    "triton",
}  # fmt: skip
LAYERS["service"] = LAYERS["pipeline"] | {"config", "defaults", "pipeline", "replies"}
LAYERS["host"] = LAYERS["service"] | {"service"}
LAYERS["fake_triton"] = {"errors", "types", "deadline", "triton"}
LAYERS["testing"] = LAYERS["service"] | {"service", "fake_triton"}
LAYERS["generate"] = LAYERS["service"]
LAYERS["client"] = {"errors", "types", "fields"}
LAYERS["deploy"] = {"errors", "config", "local", "generate"}
LAYERS["cli"] = set(LAYERS) - {"testing", "fake_triton"}
LAYERS["__main__"] = {"cli"}

MODULES = sorted(ROOT.rglob("*.py"))


def _layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "trihook"


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = (ROOT.parent / inner.replace(".", "/")).with_suffix(".py").exists()
                found.add(inner if is_module else node.module)
    return found


def _own(path: Path) -> set[str]:
    return {name for name in _imports(path) if name.partition(".")[0] == "trihook"}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_imports_only_what_lies_below_it(path):
    layer = _layer(_name(path))
    assert {_layer(name) for name in _own(path)} - {layer} <= LAYERS[layer]


def test_no_two_layers_import_each_other():
    for layer, below in LAYERS.items():
        for other in below:
            assert layer not in LAYERS[other], (layer, other)


@pytest.mark.parametrize("path", sorted((ROOT / "triton").glob("*.py")), ids=_name)
def test_the_way_to_triton_knows_neither_pluggy_nor_flask(path):
    assert not {"flask", "pluggy"} & {name.partition(".")[0] for name in _imports(path)}


def test_importing_trihook_is_cheap():
    heavy = "flask tritonclient PIL numpy gevent pydantic gunicorn"
    code = f"import sys, trihook; print(*set('{heavy}'.split()) & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""


def test_all_is_sorted_and_exists():
    assert trihook.__all__ == sorted(trihook.__all__)
    assert all(hasattr(trihook, name) for name in trihook.__all__)


def test_all_holds_every_public_class_and_the_marker():
    classes = {
        name
        for module in (errors, types)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    assert set(trihook.__all__) == classes | {"hookimpl"}


def _undocumented(path: Path) -> list[str]:
    """Return what is public in a file and has no docstring."""
    tree = ast.parse(path.read_text())
    missing = [] if ast.get_docstring(tree) else [_name(path)]
    kinds = (ast.FunctionDef, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            inner = node.body if isinstance(node, ast.ClassDef) else []
            for each in (node, *inner):
                is_public = isinstance(each, kinds) and not each.name.startswith("_")
                if is_public and not ast.get_docstring(each):
                    missing.append(f"{_name(path)}.{each.name}")
    return missing


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_what_is_public_is_documented(path):
    assert _undocumented(path) == []
