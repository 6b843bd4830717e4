"""A process of a service, with all that it starts, its log and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from trihook.deploy import _activate

_TAIL_BYTES = 16_384
_TAIL_LINES = 20


def spawn(
    command: Sequence[str],
    log: Path,
    *,
    folder: Path,
    environment: Mapping[str, str],
    sockets: Sequence[socket.socket] = (),
) -> subprocess.Popen[bytes]:
    """Start a command that leads a group of its own and gets SIGTERM when this process ends."""
    numbers = [listener.fileno() for listener in sockets]
    shim = [sys.executable, "-I", "-S", _activate.__file__, str(os.getpid())]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command
            [*shim, ",".join(map(str, numbers)), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=dict(environment),
            pass_fds=numbers,
            start_new_session=True,
        )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all of its group, also what it left behind, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def describe_end(status: int) -> str:
    """Say how a process ended, by its exit status or the signal that killed it."""
    return f"ended with status {status}" if status >= 0 else f"was killed by signal {-status}"


def last_lines(log: Path, start: int = 0) -> tuple[str, ...]:
    """Return a log's last lines that say something, of what was written after ``start``."""
    if not log.exists():
        return ()
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return tuple(line for line in lines if line.strip())[-_TAIL_LINES:]
