"""Pack distributions that were installed from this machine as wheels."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trihook.errors import ConfigError, PluginError
from trihook.generate.azureml.requirements import Requirement

_AT_A_TIME = 2  # half of each build is waiting for an index
_EPOCH = "315532800"  # 1980-01-01, the first date that a zip can hold


def pack_wheels(requirements: Iterable[Requirement]) -> dict[str, bytes]:
    """Return a wheel, by file name, for each requirement that came from this machine.

    The same source gives the same bytes, with the same build tools. Nothing is written to its
    folder but the metadata that its build tool keeps there. Raises
    :class:`trihook.ConfigError` if the package ``build`` is not installed and
    :class:`trihook.PluginError` if a wheel cannot be built.
    """
    sources = {each.name: each.folder for each in requirements if each.folder is not None}
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return dict(pool.map(_pack, sources.keys(), sources.values()))


def _pack(name: str, source: Path) -> tuple[str, bytes]:
    if not source.exists():
        raise PluginError(f"distribution {name!r} was installed from {source}, which is gone")
    if source.suffix == ".whl":
        return source.name, source.read_bytes()
    if not source.is_dir():
        raise PluginError(
            f"distribution {name!r} was installed from {source}: expected a folder or a wheel"
        )
    if importlib.util.find_spec("build") is None:
        raise ConfigError(
            f"distribution {name!r} was installed from {source}, and packing it as a wheel needs "
            "the package build: pip install 'trihook[azure]'"
        )
    return _build(name, source)


def _build(name: str, source: Path) -> tuple[str, bytes]:
    """Build by way of a source distribution, as a stale ``build`` folder may lie in the source."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - this interpreter, on a folder installed before
            [sys.executable, "-m", "build", "--outdir", folder, str(source)],
            cwd=folder,
            env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            said = done.stdout.strip().splitlines() or ["nothing"]
            raise PluginError(
                f"distribution {name!r} cannot be packed from {source}: "
                f"building its wheel ended with: {said[-1].strip()}"
            )
        return wheels[0].name, wheels[0].read_bytes()
