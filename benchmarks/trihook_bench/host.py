"""trihook by itself, with further models, plugins or settings, and what is sent to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    """Write a plan of requests with so many vectors each, all of them different."""
    vectors = np.arange(items)[:, np.newaxis] + np.arange(8.0)
    body = json.dumps({"instances": vectors.tolist()})
    replies = [{"outputs": {"y": (2 * vector).tolist()}} for vector in vectors]
    return _plan(f"items-{items}", body, {"predictions": replies}, "/score/vector", nonces=64)


def plan_of_bytes(size: int) -> Path:
    """Write a plan of requests with one vector each, whose bodies have about so many bytes."""
    values = np.array([0.0, *np.tile([1.5, 2.25, -3.125, 42.0], size // 24)])
    reply = {"outputs": {"y": (2 * values).tolist()}}
    return _plan(f"bytes-{size}", json.dumps(values.tolist()), reply, "/score/wide", nonces=4)


def _plan(name: str, body: str, reply: Any, path: str, nonces: int) -> Path:
    """Write a plan of one template; ``reply`` is what comes where the nonce is 0."""
    ending = json.dumps(reply, separators=(",", ":")).partition("0.0")[2]
    case = Case(body.encode(), {}, "", {}, ending)
    return write_plan(PLANS / "host" / name, VECTOR, [case], Target(path), nonces)
