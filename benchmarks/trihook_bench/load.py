"""The load generator: wrk, one thread a connection, every reply checked."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
_TIMEOUT = "30s"


class LoadError(Exception):
    """The load generator is missing."""


@dataclass(frozen=True)
class Load:
    """What one run measured: replies in a time, their latencies, and what was wrong with them.

    ``wrong`` replies have status 200 and not the answer of their request; ``refused`` ones have
    another status; ``example`` is the first of either. ``hung`` connections never got a reply. Of
    a system that had ``ended`` by then, if only in part, no reply counts.
    """

    requests: int
    seconds: float
    rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    wrong: int = 0
    refused: int = 0
    socket_errors: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    example: str = ""
    hung: int = 0
    ended: bool = False

    @property
    def is_right(self) -> bool:
        """Whether there were replies, each was right, and the whole system was there."""
        wrong = self.wrong or self.refused or self.socket_errors
        return self.requests > 0 and not wrong and not self.ended

    @property
    def is_valid(self) -> bool:
        """Whether it is right, and every connection got replies."""
        return self.is_right and not self.hung


def run_load(plan: Path, port: int, connections: int, seconds: float) -> Load:
    """Put a plan's requests to a port of the loopback address for so many seconds.

    A port where nobody answers makes a load of no requests, which is not valid. Raises
    :class:`LoadError` if wrk is not installed.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadError("wrk is not installed: apt-get install wrk, or https://github.com/wg/wrk")
    whole = max(1, round(seconds))
    command = [wrk, f"-t{connections}", f"-c{connections}", f"-d{whole}s"]
    command += ["--timeout", _TIMEOUT, "-s", str(SCRIPT), f"http://127.0.0.1:{port}/"]
    command += ["--", str(plan), str(whole)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines or not lines[-1].startswith("{"):
        return Load(0, seconds, 0, 0, 0, 0, 0, example=(ended.stderr or ended.stdout).strip())
    return Load(**json.loads(lines[-1]))
