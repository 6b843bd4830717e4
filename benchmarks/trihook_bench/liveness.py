"""Whether trihook says that it is alive while its workers decode large photographs."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from trihook_bench.host import running_host
from trihook_bench.load import run_load
from trihook_bench.peers import find_peers
from trihook_bench.places import PLANS
from trihook_bench.plans import write_plan
from trihook_bench.results import OURS
from trihook_bench.systems import Backend
from trihook_bench.works import WORKS, photograph

CLIENTS = 8
SIZE = (4000, 3000)
_WORK = "efficientnet"
_INTERVAL = 0.01
_PER_CONNECTION = 100


def measure_liveness(
    backend: Backend, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Ask for liveness every 10 ms meanwhile; return the answers' latencies, in milliseconds.

    They count from when a question was due, also where the one before was answered late. A new
    connection is made for every hundred questions, so that all workers are asked.
    """
    work = WORKS[_WORK]
    first = work.make(backend.repository)[0]
    photo = replace(first, body=photograph("chelsea.png", SIZE))
    plan = write_plan(PLANS / "host" / "large", work, [photo], find_peers()[OURS].targets[_WORK])
    with running_host(backend) as host, ThreadPoolExecutor(1) as pool:
        idle, _ = _ask(host.port, 2)
        run_load(plan, host.port, CLIENTS, 1)
        posting = pool.submit(run_load, plan, host.port, CLIENTS, seconds + 3)  # to the very end
        time.sleep(0.5)
        busy, failed = _ask(host.port, seconds)
        load = posting.result()
    record = {"idle": _summary(idle), "busy": _summary(busy), "failed": failed}
    say(f"liveness: {record['busy']}; {load.rate:.1f} photographs/s")
    return {**record, "photographs": load.rate, "bytes": len(photo.body), "valid": load.is_valid}


def _ask(port: int, seconds: float) -> tuple[list[float], int]:
    latencies: list[float] = []
    failed = 0
    due = time.perf_counter()
    end = due + seconds
    while due < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            for _ in range(_PER_CONNECTION):
                time.sleep(max(0.0, due - time.perf_counter()))
                _once(connection)
                latencies.append((time.perf_counter() - due) * 1000)
                due += _INTERVAL
        except (OSError, http.client.HTTPException):
            failed += 1
            due = time.perf_counter() + _INTERVAL
        finally:
            connection.close()
    return latencies, failed


def _once(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/v2/health/live")
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise http.client.HTTPException(f"status {answer.status}")


def _summary(latencies: list[float]) -> dict[str, float]:
    p50, p99, most = np.percentile(latencies, [50, 99, 100])
    return {"count": len(latencies), "p50_ms": p50, "p99_ms": p99, "max_ms": most}
