"""How the cost of a request grows: with items, connections, models, plugins and bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from trihook_bench.host import (
    VECTOR,
    plan_of,
    plan_of_bytes,
    plan_of_items,
    plan_of_triton,
    running_host,
)
from trihook_bench.load import Load
from trihook_bench.places import LOGS, MODELS
from trihook_bench.repository import WIDTH, add_doubling, add_ensemble, add_idle
from trihook_bench.rounds import Run, interleave
from trihook_bench.systems import Backend, Running, running_triton

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
_OTHERS = "(models=lambda model: model.platform == 'another')"
_QUICK = "(quick_below=65536)"


def measure_growth(
    backend: Backend, rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure all of them; return each one's loads, by the number that grows."""
    record = {}
    for name, loads in _measure_parts(backend, rounds, seconds):
        for count, runs in loads.items():
            say(f"{name} {count:>9}: " + ", ".join(f"{run.rate:,.0f}/s" for run in runs))
        record[name] = {count: [asdict(run) for run in runs] for count, runs in loads.items()}
    return record


def _measure_parts(backend: Backend, rounds: int, seconds: float) -> Iterator[tuple[str, Loads]]:
    yield "items", _with_items(backend, rounds, seconds)
    yield "connections", _with_connections(backend, rounds, seconds)
    yield "models", _with_models(rounds, seconds)
    yield from _with_processes(rounds, seconds).items()
    yield "plugins", _with_plugins(backend, rounds, seconds, _OTHERS)
    yield "quick", _with_plugins(backend, rounds, seconds, _QUICK)
    yield "asked", _with_plugins(backend, rounds, seconds, "")
    yield "bytes", _with_bytes(backend, rounds, seconds)


def _with_items(backend: Backend, rounds: int, seconds: float) -> Loads:
    """Measure in more rounds and longer ones: the target is that a vector costs no more at all."""
    with running_host(backend) as host:
        runs = {str(n): _run(plan_of_items(n), host, backend, 4) for n in ITEMS}
        return interleave(runs, 2 * rounds + 1, seconds + 1)


def _with_connections(backend: Backend, rounds: int, seconds: float) -> Loads:
    plan = plan_of(VECTOR.name, backend.repository)
    with running_host(backend) as host:
        runs = {str(n): _run(plan, host, backend, n) for n in CONNECTIONS}
        return interleave(runs, rounds, seconds)


def _with_bytes(backend: Backend, rounds: int, seconds: float) -> Loads:
    with running_host(backend) as host:
        runs = {str(n): _run(plan_of_bytes(n), host, backend, 2) for n in SIZES}
        return interleave(runs, rounds, seconds)


def _with_models(rounds: int, seconds: float) -> Loads:
    """Run a Triton and a host for each count; all models but one are ensembles.

    While one pair is measured the others are stopped, or it would share the cores with theirs.
    """
    plan = plan_of(VECTOR.name, MODELS)
    with ExitStack() as ending:
        runs = {}
        for count in MODEL_COUNTS:
            triton = ending.enter_context(
                _triton_with(count, partial(add_ensemble, of=VECTOR.model))
            )
            host = ending.enter_context(running_host(triton))
            runs[str(count)] = _run(plan, host, triton, 1)
        return interleave(runs, rounds, seconds, alone=True)


def _with_processes(rounds: int, seconds: float) -> dict[str, Loads]:
    """Do the same with models that are processes, and ask each Triton directly as well."""
    plan, direct = plan_of(VECTOR.name, MODELS), plan_of_triton(VECTOR.name, MODELS)
    with ExitStack() as ending:
        runs = {}
        for count in MODEL_COUNTS:
            triton = ending.enter_context(_triton_with(count, add_idle))
            host = ending.enter_context(running_host(triton))
            runs[f"processes {count}"] = _run(plan, host, triton, 1)
            runs[f"direct {count}"] = Run(direct, triton.http, 1, (triton.session,))
        loads = interleave(runs, rounds, seconds, alone=True)
    return {
        name: {str(count): loads[f"{name} {count}"] for count in MODEL_COUNTS}
        for name in ("processes", "direct")
    }


@contextmanager
def _triton_with(count: int, add: Callable[[Path, str], None]) -> Iterator[Backend]:
    """Run a Triton with so many models, of which ``add`` writes all but the vector's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        add_doubling(folder, VECTOR.model, WIDTH)
        for number in range(count - 1):
            add(folder, f"idle{number}")
        with running_triton(folder, LOGS / f"triton-{count}.log") as triton:
            yield triton


def _with_plugins(backend: Backend, rounds: int, seconds: float, marks: str) -> Loads:
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
        runs = {count: _run(plan, host, backend, 1) for count, host in hosts.items()}
        return interleave(runs, rounds, seconds)


def _run(plan: Path, host: Running, backend: Backend, connections: int) -> Run:
    return Run(plan, host.port, connections, (*host.sessions, backend.session))


def _add_plugin(folder: Path, name: str, marks: str) -> None:
    """Lay out a distribution with one plugin, as pip would have installed it."""
    (folder / f"{name}.py").write_text(_PLUGIN.format(marks=marks))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[trihook]\n{name} = {name}\n")
