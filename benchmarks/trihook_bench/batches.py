"""The batches that Triton sees, by how many callers there are at once."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from trihook_bench.host import VECTOR, plan_of, running_host
from trihook_bench.load import run_load
from trihook_bench.systems import Backend

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)


def measure_batches(
    backend: Backend, seconds: float, say: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Return, by connections, Triton's requests, their mean batch and that of its executions.

    A request's batch is its batch dimension: how many vectors the host sent in one inference.
    An execution's is what Triton's own batcher made of those.
    """
    plan = plan_of(VECTOR.name, backend.repository)
    record = {}
    with running_host(backend) as host:
        run_load(plan, host.port, max(CONNECTIONS), 1)
        for count in CONNECTIONS:
            before = _statistics(backend)
            load = run_load(plan, host.port, count, seconds)
            taken = {name: value - before[name] for name, value in _statistics(backend).items()}
            record[str(count)] = {
                "rate": load.rate,
                "valid": load.is_valid,
                "requests": taken["requests"],
                "request_batch": taken["items"] / max(1, taken["requests"]),
                "execution_batch": taken["items"] / max(1, taken["executions"]),
            }
            say(f"{count:3} connections: mean batch {record[str(count)]['request_batch']:.2f}")
    return record


def _statistics(backend: Backend) -> dict[str, int]:
    url = f"http://127.0.0.1:{backend.http}/v2/models/{VECTOR.model}/stats"
    with urllib.request.urlopen(url) as answer:
        entry: Any = json.load(answer)["model_stats"][0]
    return {
        "items": int(entry["inference_count"]),
        "executions": int(entry["execution_count"]),
        "requests": int(entry["inference_stats"]["success"]["count"]),
    }
