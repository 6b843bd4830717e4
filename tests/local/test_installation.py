"""Where Triton is installed, and what is said where it is not or cannot be."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from trihook import LocalTritonError
from trihook.local import installation
from trihook.local.installation import find_installation


def test_the_installed_triton_is_found_with_all_it_needs() -> None:
    found = find_installation()
    assert os.access(found.server, os.X_OK)
    assert (found.backend / "libtriton_python.so").is_file()
    assert found.stub.parent.name == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert list(found.libraries[0].glob("libtritonserver*.so"))
    assert list(found.libraries[1].glob("libpython3*.so.1.0"))


def test_its_environment_extends_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/mine")
    monkeypatch.setenv("OTHER", "kept")
    found = find_installation()
    environment = found.environment()
    assert environment["OTHER"] == "kept"
    assert environment["LD_LIBRARY_PATH"].split(":") == [*map(str, found.libraries), "/mine"]
    assert environment["PATH"].startswith(f"{Path(sys.executable).parent}:")


@pytest.mark.parametrize(
    ("function", "value", "named"),
    [
        ("system", "Darwin", "Darwin"),
        ("machine", "riscv64", "riscv64"),
        ("libc_ver", ("musl", "1.2"), "musl"),
    ],
)
def test_another_platform_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, function: str, value: Any, named: str
) -> None:
    monkeypatch.setattr(platform, function, lambda: value)
    with pytest.raises(LocalTritonError, match=rf"runs on Linux .*and this is .*{named}"):
        find_installation()


@pytest.mark.parametrize(
    ("module", "distribution"), [("pytriton", "nvidia-pytriton"), ("onnxruntime", "onnxruntime")]
)
def test_a_missing_package_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, module: str, distribution: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else find_spec(name)
    )
    with pytest.raises(LocalTritonError, match=rf"{distribution}, .*: pip install 'trihook\[tri"):
        find_installation()


def test_a_python_without_a_stub_is_named_with_those_that_have_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Version(tuple[int, ...]):
        major, minor = 3, 99

    monkeypatch.setattr(sys, "version_info", Version((3, 99)))
    with pytest.raises(LocalTritonError, match=r"does not support Python 3\.99, only .*3\.11"):
        find_installation()


def test_an_interpreter_without_libpython_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_library_folders", lambda: iter([Path("/nowhere")]))
    with pytest.raises(LocalTritonError, match=r"libpython3\.\d+\.so\.1\.0 is not installed"):
        find_installation()


def test_a_machine_without_bash_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(LocalTritonError, match="bash is not on PATH"):
        find_installation()


def test_a_numpy_that_the_stub_would_misread_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.5.5")
    with pytest.raises(LocalTritonError, match=r"needs numpy 1, and numpy 2\.5\.5 is installed"):
        find_installation()
