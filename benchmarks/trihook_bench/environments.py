"""A virtual environment for each peer, made once from its requirements."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from trihook_bench.peers import Peer
from trihook_bench.places import ENVIRONMENTS, ROOT

_MARK = ".installed"


class InstallError(Exception):
    """A peer cannot be installed."""


def python_of(peer: Peer) -> Path:
    """Return the interpreter that a system runs with: ours, if it has no requirements."""
    if peer.requirements is None:
        return Path(sys.executable)
    return ENVIRONMENTS / peer.name / "bin" / "python"


def is_installed(peer: Peer) -> bool:
    """Tell whether a system's environment is there, and is what its requirements ask for."""
    if peer.requirements is None:
        return True
    mark = ENVIRONMENTS / peer.name / _MARK
    return mark.exists() and mark.read_text() == _fingerprint(peer)


def install(peer: Peer) -> None:
    """Make a system's environment, unless it is there; raises :class:`InstallError`."""
    if is_installed(peer):
        return
    folder = ENVIRONMENTS / peer.name
    (folder / _MARK).unlink(missing_ok=True)
    pip = [str(python_of(peer)), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([*pip, "-r", str(peer.requirements)])
    for path in peer.local:
        # a copy of the metadata would go stale, and its requirements would change the peer's
        source = ROOT if path == "core" else ROOT / path
        _run([*pip, "--no-deps", "-e", str(source)])
    (folder / _MARK).write_text(_fingerprint(peer))


def version_of(peer: Peer) -> str:
    """Return the installed version of the package that a peer names, or ``""``."""
    if not peer.package:
        return ""
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    command = [str(python_of(peer)), "-c", code, peer.package]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _fingerprint(peer: Peer) -> str:
    content = peer.requirements.read_bytes() if peer.requirements else b""
    return hashlib.sha256(content + repr((peer.local, sys.version)).encode()).hexdigest()


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise InstallError(f"{' '.join(command)}:\n{ended.stdout}{ended.stderr}")
