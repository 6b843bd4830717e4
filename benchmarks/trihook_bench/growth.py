"""How the cost of a request grows: with items, connections, models, plugins and bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from trihook_bench.host import VECTOR, plan_of, plan_of_bytes, plan_of_items, running_host
from trihook_bench.load import Load
from trihook_bench.places import LOGS, MODELS
from trihook_bench.repository import WIDTH, add_doubling, add_idle
from trihook_bench.rounds import Run, interleave
from trihook_bench.systems import Backend, running_triton

ITEMS = (1, 4, 16, 64, 256)
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
MODEL_COUNTS = (1, 10, 100)
PLUGIN_COUNTS = (1, 10, 50)
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)

Loads: TypeAlias = "dict[str, list[Load]]"

_PLUGIN = """\
from trihook import hookimpl


@hookimpl{marks}
def preprocess(item, model):
    return None


@hookimpl{marks}
def postprocess(outputs, model):
    return None
"""
_MARKS = "(models=lambda model: model.platform == 'another')"


def measure_growth(
    backend: Backend, rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure all six; return each one's loads, by the number that grows."""
    parts: Mapping[str, Callable[[Backend, int, float], Loads]] = {
        "items": _with_items,
        "connections": _with_connections,
        "models": _with_models,
        "plugins": partial(_with_plugins, marks=_MARKS),
        "asked": partial(_with_plugins, marks=""),
        "bytes": _with_bytes,
    }
    record = {}
    for name, part in parts.items():
        loads = part(backend, rounds, seconds)
        for count, runs in loads.items():
            say(f"{name} {count:>9}: " + ", ".join(f"{run.rate:,.0f}/s" for run in runs))
        record[name] = {count: [asdict(run) for run in runs] for count, runs in loads.items()}
    return record


def _with_items(backend: Backend, rounds: int, seconds: float) -> Loads:
    with running_host(backend) as host:
        runs = {str(n): Run(plan_of_items(n), host.port, 4) for n in ITEMS}
        return interleave(runs, rounds, seconds)


def _with_connections(backend: Backend, rounds: int, seconds: float) -> Loads:
    plan = plan_of(VECTOR.name, backend.repository)
    with running_host(backend) as host:
        runs = {str(n): Run(plan, host.port, n) for n in CONNECTIONS}
        return interleave(runs, rounds, seconds)


def _with_bytes(backend: Backend, rounds: int, seconds: float) -> Loads:
    with running_host(backend) as host:
        runs = {str(n): Run(plan_of_bytes(n), host.port, 2) for n in SIZES}
        return interleave(runs, rounds, seconds)


def _with_models(_backend: Backend, rounds: int, seconds: float) -> Loads:
    """Run a Triton and a host for each count, side by side."""
    plan = plan_of(VECTOR.name, MODELS)
    runs = {}
    with ExitStack() as ending:
        for count in MODEL_COUNTS:
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
            add_doubling(folder, VECTOR.model, WIDTH)
            for number in range(count - 1):
                add_idle(folder, f"idle{number}")
            triton = ending.enter_context(running_triton(folder, LOGS / f"triton-{count}.log"))
            host = ending.enter_context(running_host(triton))
            runs[str(count)] = Run(plan, host.port, 1)
        return interleave(runs, rounds, seconds)


def _with_plugins(backend: Backend, rounds: int, seconds: float, *, marks: str) -> Loads:
    """Run a host for each count of plugins that take nothing, side by side."""
    plan = plan_of(VECTOR.name, backend.repository)
    with ExitStack() as ending:
        hosts = {"0": ending.enter_context(running_host(backend))}
        for count in PLUGIN_COUNTS:
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
            for number in range(count):
                _add_plugin(folder, f"idle{number}", marks)
            host = running_host(backend, {"PYTHONPATH": str(folder)})
            hosts[str(count)] = ending.enter_context(host)
        runs = {count: Run(plan, host.port, 1) for count, host in hosts.items()}
        return interleave(runs, rounds, seconds)


def _add_plugin(folder: Path, name: str, marks: str) -> None:
    """Lay out a distribution with one plugin, as pip would have installed it."""
    (folder / f"{name}.py").write_text(_PLUGIN.format(marks=marks))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[trihook]\n{name} = {name}\n")
