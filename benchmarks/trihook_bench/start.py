"""How soon after its process begins trihook answers its first request."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from trihook_bench.places import LOGS
from trihook_bench.ports import free_port
from trihook_bench.systems import WORKERS, Backend, inherited, running_process

_PATIENCE = 30.0


def measure_start(backend: Backend, times: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Start the host so many times, with Triton ready; return the seconds to the first answer."""
    seconds = [_start(backend) for _ in range(times)]
    say(f"first answers after {', '.join(f'{s:.2f}' for s in seconds)} s")
    return {"seconds": seconds, "median": median(seconds), "max": max(seconds)}


def _start(backend: Backend) -> float:
    port = free_port()
    command = [sys.executable, "-m", "trihook", "serve", "--port", str(port)]
    command += ["--workers", str(WORKERS), "--triton-url", f"127.0.0.1:{backend.http}"]
    with (LOGS / "start.log").open("wb") as log:
        begin = time.monotonic()
        with running_process(command, LOGS, inherited(), log):
            while not _scores(port):
                if time.monotonic() - begin > _PATIENCE:
                    raise TimeoutError("trihook does not answer; see start.log")
                time.sleep(0.01)
            return time.monotonic() - begin


def _scores(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        body = json.dumps([21.0, *range(1, 8)])
        connection.request("POST", "/score/vector", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status == 200 and b"42.0" in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
