"""Where the real Triton of the ``nvidia-pytriton`` wheel is installed, or why it is not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trihook.errors import LocalTritonError

INSTALL = "pip install 'trihook[triton]'"
MACHINES = ("x86_64", "aarch64")
NUMPY = 1


@dataclass(frozen=True, slots=True)
class Installation:
    """The files of one installed Triton, and the environment that they need to run.

    ``backend`` and ``stub`` make up Triton's Python backend: the library that the server loads
    and the interpreter it starts for each model instance. ``libraries`` are the folders that
    the dynamic loader has to search, the interpreter's own libpython among them.
    """

    server: Path
    backend: Path
    stub: Path
    libraries: tuple[Path, ...]

    def environment(self) -> dict[str, str]:
        """Return this process's environment, extended by what Triton and its stubs need.

        The stub embeds Python, which finds its packages through the first ``python3`` on
        ``PATH``: that has to be this interpreter's.
        """
        environment = dict(os.environ)
        loader = [*map(str, self.libraries), environment.get("LD_LIBRARY_PATH", "")]
        path = [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, loader))
        environment["PATH"] = os.pathsep.join(path)
        return environment


def find_installation() -> Installation:
    """Find Triton in this interpreter's environment.

    Raises :class:`~trihook.LocalTritonError` saying what is missing and what to do about it.
    """
    _require_platform()
    package = _require_package("pytriton", "nvidia-pytriton")
    _require_package("onnxruntime", "onnxruntime")
    _require_numpy(importlib.metadata.version("numpy"))
    if shutil.which("bash") is None:
        raise LocalTritonError("bash is not on PATH: Triton starts its Python models through it")
    triton = package / "tritonserver"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = triton / "python_backend_stubs" / python / "triton_python_backend_stub"
    if not stub.is_file():
        found = sorted(folder.name for folder in stub.parent.parent.glob("3.*"))
        raise LocalTritonError(
            f"the installed nvidia-pytriton does not support Python {python}, "
            f"only {', '.join(found) or 'none that was found'}"
        )
    return Installation(
        server=triton / "bin" / "tritonserver",
        backend=triton / "backends" / "python",
        stub=stub,
        libraries=(package.parent / "nvidia_pytriton.libs", _libpython(python).parent),
    )


def _require_platform() -> None:
    system, machine = platform.system(), platform.machine()
    libc = platform.libc_ver()[0]
    if system != "Linux" or machine not in MACHINES or libc != "glibc":
        raise LocalTritonError(
            f"the embedded Triton runs on Linux with glibc on {' or '.join(MACHINES)}, "
            f"and this is {system} {machine} with {libc or 'another C library'}"
        )


def _require_package(module: str, distribution: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise LocalTritonError(
            f"the embedded Triton needs {distribution}, which is not installed: {INSTALL}"
        )
    return Path(spec.origin).parent


def _require_numpy(version: str) -> None:
    """Refuse a numpy whose arrays the stub, compiled against numpy 1, would misread unnoticed."""
    if int(version.split(".", maxsplit=1)[0]) > NUMPY:
        raise LocalTritonError(
            f"the embedded Triton needs numpy {NUMPY}, and numpy {version} is installed: "
            f"pip install 'numpy<{NUMPY + 1}'"
        )


def _libpython(python: str) -> Path:
    name = f"libpython{python}.so.1.0"
    for folder in _library_folders():
        if (folder / name).is_file():
            return folder / name
    raise LocalTritonError(
        f"{name} is not installed: Triton's Python backend needs it, and {sys.executable} is "
        "linked statically; install the shared library (on Debian the package "
        f"libpython{python}) or use an interpreter built with --enable-shared"
    )


def _library_folders() -> Iterator[Path]:
    configured = (sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LIBPL"))
    roots = (*filter(None, configured), Path(sys.base_prefix, "lib"), "/usr/lib", "/usr/local/lib")
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    for root in map(Path, roots):
        yield root
        yield root / multiarch
