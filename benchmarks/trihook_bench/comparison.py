"""Compare systems on works, and leave what was measured as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from trihook_bench.environments import is_installed, version_of
from trihook_bench.machine import describe_machine
from trihook_bench.peers import Peer
from trihook_bench.places import MODELS
from trihook_bench.repository import build_repository
from trihook_bench.rounds import measure
from trihook_bench.systems import running_triton
from trihook_bench.works import WORKS


def compare_all(
    works: Mapping[str, Sequence[int]],
    peers: Sequence[Peer],
    rounds: int,
    seconds: float,
    out: Path,
) -> None:
    """Measure works on all systems installed; write ``comparison.json`` after each.

    ``works`` are names, each with the numbers of connections it is measured at.
    """
    installed = [peer for peer in peers if is_installed(peer)]
    record: dict[str, Any] = {
        "machine": describe_machine(),
        "systems": {peer.name: _describe(peer) for peer in installed},
        "not_installed": [peer.name for peer in peers if peer not in installed],
        "rounds": rounds,
        "seconds": seconds,
        "idle": {},
        "absent": {},
        "samples": [],
    }
    with running_triton(build_repository(MODELS)) as backend:
        for name, connections in works.items():
            measured = measure(
                WORKS[name], installed, backend, rounds, seconds, tuple(connections), click.echo
            )
            record["idle"][name] = measured.idle
            record["absent"][name] = measured.absent
            record["samples"] += [sample.as_json() for sample in measured.samples]
            write_json(out / "comparison.json", record)


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON, making the folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def _describe(peer: Peer) -> dict[str, str]:
    return {
        "title": peer.title,
        "role": peer.role,
        "package": peer.package,
        "version": version_of(peer),
        "settings": peer.settings,
    }
