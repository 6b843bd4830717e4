"""The systems, read from ``peers/<name>/peer.toml``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trihook_bench.places import PEERS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Target:
    """How a system is asked for one work.

    ``body`` is ``plain`` (as callers send it) or ``tensor`` (as Triton takes it); ``check`` is
    ``answer``, or ``none`` for a system that computes no answer.
    """

    path: str
    wrap: str = "{json}"
    body: str = "plain"
    check: str = "answer"
    headers: tuple[tuple[str, str], ...] = ()

    def wrapped(self, body: bytes) -> bytes:
        """Return a JSON body as the system's protocol wants it."""
        if self.wrap == "{json}":
            return body
        return self.wrap.encode().replace(b"{json}", body)


@dataclass(frozen=True)
class Peer:
    """One system: what it is called, how it is installed and started, and what it can do.

    ``role`` is ``ours``, ``ceiling``, ``peer`` or ``naive``. ``local`` are distributions of
    this repository to install beside its requirements. One that is never at rest ``pauses``
    while others are measured.
    """

    name: str
    folder: Path
    title: str
    package: str
    role: str
    settings: str
    works: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str]
    targets: Mapping[str, Target]
    ready: str
    local: tuple[str, ...]
    pauses: bool

    @property
    def requirements(self) -> Path | None:
        """The file of its requirements, or None if it runs where the benchmarks do."""
        file = self.folder / "requirements.txt"
        return file if file.exists() else None


def find_peers() -> dict[str, Peer]:
    """Read all systems there are, ours first."""
    order = ("ours", "ceiling", "naive", "peer")
    peers = [read_peer(file.parent) for file in PEERS.glob("*/peer.toml")]
    peers.sort(key=lambda peer: (order.index(peer.role), peer.name))
    return {peer.name: peer for peer in peers}


def read_peer(folder: Path) -> Peer:
    """Read the description of one system."""
    given = tomllib.loads((folder / "peer.toml").read_text("utf-8"))
    processes = given.get("process") or ([given] if given.get("command") else [])
    return Peer(
        name=folder.name,
        folder=folder,
        title=given["title"],
        package=given.get("package", ""),
        role=given["role"],
        settings=given.get("settings", ""),
        works=tuple(given["works"]),
        commands=tuple(tuple(process["command"]) for process in processes),
        environment=given.get("environment", {}),
        targets={work: _read_target(given, work) for work in given["works"]},
        ready=given.get("ready", {}).get("path", "/"),
        local=tuple(given.get("local", ())),
        pauses=given.get("pauses", False),
    )


def _read_target(given: Mapping[str, Any], work: str) -> Target:
    return Target(
        path=given["path"][work],
        wrap=given.get("wrap", {}).get(work, "{json}"),
        body=given.get("body", {}).get(work, "plain"),
        check=given.get("check", {}).get(work, "answer"),
        headers=tuple(given.get("headers", {}).get(work, {}).items()),
    )
