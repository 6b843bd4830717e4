"""The memory of trihook's workers: idle, and while all sorts of requests come in."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from trihook_bench.host import plan_of, running_host
from trihook_bench.load import run_load
from trihook_bench.processes import children, resident_mb
from trihook_bench.systems import Backend

MIX = {"vector": 4, "efficientnet": 4, "bidaf": 2}
FLAT_MB_A_MINUTE = 0.2
_SETTLE_SECONDS = 2.0


def measure_memory(backend: Backend, minutes: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Sample each worker's resident memory, in MB, during so many minutes of mixed load.

    The slope is that of a line through the second half, in MB a minute.
    """
    plans = {work: plan_of(work, backend.repository) for work in MIX}
    seconds = minutes * 60
    with running_host(backend) as host, ThreadPoolExecutor(len(MIX)) as pool:
        time.sleep(_SETTLE_SECONDS)
        workers = children(host.sessions[0])
        idle = [resident_mb(pid) for pid in workers]
        say(f"idle: {', '.join(f'{mb:.0f} MB' for mb in idle)}")
        loads = [
            pool.submit(run_load, plans[work], host.port, count, seconds)
            for work, count in MIX.items()
        ]
        times, samples = _sample(workers, seconds)
        done = [load.result() for load in loads]
        replaced = children(host.sessions[0]) != workers
    slopes = [_slope(times, series) for series in samples]
    say(f"slopes of the second half: {', '.join(f'{s:+.2f} MB/min' for s in slopes)}")
    return {
        "minutes": minutes,
        "idle_mb": idle,
        "seconds": times,
        "workers_mb": samples,
        "slopes_mb_a_minute": slopes,
        "requests": sum(load.requests for load in done),
        "valid": all(load.is_valid for load in done) and not replaced,
    }


def _sample(workers: list[int], seconds: float) -> tuple[list[float], list[list[float]]]:
    interval = max(0.25, seconds / 300)
    begin = time.monotonic()
    times: list[float] = []
    samples: list[list[float]] = [[] for _ in workers]
    while (now := time.monotonic() - begin) < seconds:
        times.append(now)
        for series, pid in zip(samples, workers, strict=True):
            series.append(resident_mb(pid))
        time.sleep(interval)
    return times, samples


def _slope(times: list[float], series: list[float]) -> float:
    half = len(times) // 2
    return float(np.polyfit(np.array(times[half:]) / 60, series[half:], 1)[0])
