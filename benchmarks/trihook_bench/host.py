"""trihook by itself, with further models, plugins or settings, and what is sent to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from trihook_bench.peers import Target, find_peers
from trihook_bench.places import PLANS
from trihook_bench.plans import write_plan
from trihook_bench.results import OURS
from trihook_bench.systems import Backend, Running, running_system
from trihook_bench.works import WORKS, Case

VECTOR = WORKS["vector"]
_TRITON = "triton"


@contextmanager
def running_host(
    backend: Backend, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run trihook as in the comparison, but for further environment variables."""
    peer = find_peers()[OURS]
    peer = replace(peer, environment={**peer.environment, **(environment or {})})
    with running_system(peer, "vector", backend) as running:
        yield running


def plan_of(work: str, repository: Path) -> Path:
    """Write the plan of one of the works for trihook."""
    target = find_peers()[OURS].targets[work]
    cases = WORKS[work].make(repository)
    return write_plan(PLANS / "host" / work, WORKS[work], cases, target)


def plan_of_triton(work: str, repository: Path) -> Path:
    """Write the plan of one of the works for Triton itself, with the tensors ready."""
    target = find_peers()[_TRITON].targets[work]
    cases = WORKS[work].make(repository)
    return write_plan(PLANS / "host" / f"{work}-direct", WORKS[work], cases, target)


def plan_of_items(items: int) -> Path:
    """Write a plan of requests with so many vectors each."""
    instances = [[0.0, *range(1, 8)]] * items
    body = json.dumps({"instances": instances}).encode()
    return _plan(f"items-{items}", body, "/score/vector", nonces=64)


def plan_of_bytes(size: int) -> Path:
    """Write a plan of requests with one vector each, whose bodies have about so many bytes."""
    body = json.dumps([0.0, *np.tile([1.5, 2.25, -3.125, 42.0], size // 24).tolist()]).encode()
    return _plan(f"bytes-{size}", body, "/score/wide", nonces=4)


def _plan(name: str, body: bytes, path: str, nonces: int) -> Path:
    return write_plan(PLANS / "host" / name, VECTOR, [Case(body, {}, "", {})], Target(path), nonces)
