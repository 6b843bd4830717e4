"""What becomes of the serial ceiling's two parts when both compute at the same time.

The ceiling adds up what bare Flask and Triton take when each has the caches to itself. No host in
front of Triton has: here both run at once, with no connection between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from trihook_bench.load import Load, run_load
from trihook_bench.peers import find_peers
from trihook_bench.places import PLANS
from trihook_bench.plans import write_plan
from trihook_bench.rounds import Run
from trihook_bench.systems import Backend, running_system
from trihook_bench.works import WORKS

_WORKS = ("efficientnet", "bidaf")  # whose shares come out near those of one request each
_FLASK, _TRITON = "flask", "triton"
AS_MANY = "alone_at_as_many"
_AT_ONCE = {_FLASK: 2, _TRITON: 4}  # connections: one a worker, two an instance


def measure_beside(
    backend: Backend, rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return for each work, by round, the share of its own rate that each has beside the other.

    And that which it has alone, with no more connections than beside the other.
    """
    record = {}
    for work in _WORKS:
        peers = find_peers()
        with running_system(peers[_FLASK], work, backend) as flask:
            ports = {_FLASK: flask.port, _TRITON: backend.http}
            cases = WORKS[work].make(backend.repository)
            plans = {
                name: write_plan(PLANS / work / name, WORKS[work], cases, peers[name].targets[work])
                for name in ports
            }
            connections = max(WORKS[work].connections)
            alone = {name: Run(plans[name], ports[name], connections) for name in ports}
            both = {name: Run(plans[name], ports[name], _AT_ONCE[name]) for name in ports}
            for run in alone.values():
                _load(run, 1)
            record[work] = [_shares(alone, both, seconds) for _ in range(rounds)]
        sums = (shares[_FLASK] + shares[_TRITON] for shares in record[work])
        say(f"{work}: " + ", ".join(f"{total:.2f}" for total in sums))
    return record


def _shares(alone: Mapping[str, Run], both: Mapping[str, Run], seconds: float) -> dict[str, Any]:
    own, few = (
        {name: _rate(_load(run, seconds)) for name, run in runs.items()} for runs in (alone, both)
    )
    as_many = {name: few[name] / own[name] for name in both}
    with ThreadPoolExecutor(len(both)) as threads:
        loads = threads.map(lambda run: _load(run, seconds), both.values())
        shares = {name: _rate(load) / own[name] for name, load in zip(both, loads, strict=True)}
    return {**shares, AS_MANY: as_many}


def _load(run: Run, seconds: float) -> Load:
    return run_load(run.plan, run.port, run.connections, seconds)


def _rate(load: Load) -> float:
    if not load.is_right:
        raise ValueError(f"a wrong answer, or none: {load.example}")
    return load.rate
