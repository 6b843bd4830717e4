"""Measure systems in turn: every round each of them once, in an order that rotates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trihook_bench.load import Load, run_load
from trihook_bench.peers import Peer
from trihook_bench.places import PLANS
from trihook_bench.plans import write_plan
from trihook_bench.processes import paused
from trihook_bench.systems import Backend, Running, StartError, running_system, settle
from trihook_bench.works import Work

_WARM_SECONDS = 2
_IDLE_SECONDS = 3.0
_BREATH = 0.1  # seconds in which stopped workers give their masters a sign of life

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sample:
    """What one system did in one round, at so many connections."""

    work: str
    connections: int
    system: str
    round: int
    load: Load

    def as_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return asdict(self)


@dataclass(frozen=True)
class Run:
    """What to put to which port, at how many connections, and whose processes then work."""

    plan: Path
    port: int
    connections: int
    sessions: tuple[int, ...] = ()


@dataclass(frozen=True)
class Measured:
    """All samples of a work, what idle systems took of the CPU, and what did not start."""

    samples: list[Sample]
    idle: dict[str, float]
    absent: dict[str, str]


def measure(
    work: Work,
    peers: Sequence[Peer],
    backend: Backend,
    rounds: int,
    seconds: float,
    connections: Sequence[int],
    say: Say,
) -> Measured:
    """Measure one work on all systems, which run side by side meanwhile.

    What does not start is left out. ``say`` is told of each sample.
    """
    cases = work.make(backend.repository)
    with ExitStack() as ending:
        running, absent = _start(work, peers, backend, ending, say)
        plans = {
            name: write_plan(PLANS / work.name / name, work, cases, system.peer.targets[work.name])
            for name, system in running.items()
        }
        for name, system in running.items():
            run_load(plans[name], system.port, max(connections), _WARM_SECONDS)
            settle(backend.session, *system.sessions)
        idle = _measure_idle(running)
        samples = []
        for sample in _rounds(work, running, plans, backend, rounds, seconds, connections):
            say(_describe(sample))
            samples.append(sample)
    return Measured(samples, idle, absent)


def interleave(
    runs: Mapping[str, Run], rounds: int, seconds: float, *, alone: bool = False
) -> dict[str, list[Load]]:
    """Make all runs once a round, after a second each to warm up; return each one's loads.

    During a run that is ``alone``, the processes of the others are stopped.
    """
    others = {name: _others(run, runs) if alone else () for name, run in runs.items()}
    for name, run in runs.items():
        _load(run, 1, others[name])
    loads: dict[str, list[Load]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in rotated(list(runs), number):
            loads[name].append(_load(runs[name], seconds, others[name]))
    return loads


def _others(run: Run, runs: Mapping[str, Run]) -> tuple[int, ...]:
    """Return the sessions of all runs that are not those of this one too."""
    return tuple(
        {session for other in runs.values() for session in other.sessions}.difference(run.sessions)
    )


def _load(run: Run, seconds: float, others: tuple[int, ...]) -> Load:
    with paused(*others):
        load = run_load(run.plan, run.port, run.connections, seconds)
        settle(*run.sessions)
    if others:
        time.sleep(_BREATH)
    return load


def rotated(names: Sequence[str], by: int) -> list[str]:
    """Return the names, beginning further on by so many places."""
    start = by % len(names) if names else 0
    return [*names[start:], *names[:start]]


def _start(
    work: Work, peers: Sequence[Peer], backend: Backend, ending: ExitStack, say: Say
) -> tuple[dict[str, Running], dict[str, str]]:
    running, absent = {}, {}
    for peer in peers:
        if work.name not in peer.works:
            continue
        try:
            running[peer.name] = ending.enter_context(running_system(peer, work.name, backend))
        except (StartError, OSError) as exc:
            absent[peer.name] = str(exc)
            say(f"{peer.name} does not start: {exc}")
    return running, absent


def _measure_idle(running: dict[str, Running]) -> dict[str, float]:
    """Return the CPU seconds that each system takes in a second without requests."""
    before = {name: system.cpu_seconds() for name, system in running.items()}
    time.sleep(_IDLE_SECONDS)
    return {
        name: (system.cpu_seconds() - before[name]) / _IDLE_SECONDS
        for name, system in running.items()
    }


def _rounds(
    work: Work,
    running: dict[str, Running],
    plans: dict[str, Path],
    backend: Backend,
    rounds: int,
    seconds: float,
    connections: Sequence[int],
) -> Iterator[Sample]:
    for number in range(rounds):
        for count in connections:
            for name in rotated(list(running), number):
                with ExitStack() as others:
                    for other in running.values():
                        if other is not running[name]:
                            others.enter_context(other.paused())
                    load = run_load(plans[name], running[name].port, count, seconds)
                    settle(backend.session, *running[name].sessions)
                load = replace(load, ended=not running[name].is_whole)
                yield Sample(work.name, count, name, number, load)


def _describe(sample: Sample) -> str:
    load = sample.load
    line = (
        f"{sample.work}@{sample.connections} round {sample.round + 1} {sample.system:18} "
        f"{load.rate:9,.0f}/s  p50 {load.p50_ms:.2f} ms  p99 {load.p99_ms:.2f} ms"
    )
    if load.is_valid:
        return line
    ended = "a process of it has ended, " if load.ended else ""
    return (
        f"{line}  NOT VALID: {ended}{load.wrong} wrong, {load.refused} refused, {load.hung} hung, "
        f"{load.socket_errors} socket errors; first: {load.example}"
    )
