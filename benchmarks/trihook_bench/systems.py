"""Start systems, wait until they answer, and end them with everything they started."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trihook.local import LocalTriton

from trihook_bench import processes
from trihook_bench.environments import python_of
from trihook_bench.peers import Peer
from trihook_bench.places import LOGS
from trihook_bench.ports import count_listeners, free_port

WORKERS = 2
_PATIENCE = 120.0
_GRACE = 10.0
_SETTLE_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_REST = 0.1  # of a core


class StartError(Exception):
    """A system has ended, or does not answer."""


@dataclass(frozen=True)
class Running:
    """A system that answers at ``port``.

    ``sessions`` are its processes' sessions, ``commands`` the processes that lead them.
    """

    peer: Peer
    port: int
    sessions: tuple[int, ...]
    commands: tuple[subprocess.Popen[bytes], ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the processes of all its commands still run."""
        return all(process.poll() is None for process in self.commands)

    def cpu_seconds(self) -> float:
        """Return the CPU time that its processes have taken so far."""
        return processes.cpu_seconds(*self.sessions)

    def paused(self) -> AbstractContextManager[None]:
        """Stop its processes meanwhile, if it is one that pauses."""
        return processes.paused(*self.sessions if self.peer.pauses else ())


@dataclass(frozen=True)
class Backend:
    """The ports of the one Triton that all systems use, and its model repository."""

    http: int
    grpc: int
    repository: Path
    session: int


@contextmanager
def running_triton(repository: Path, log: Path = LOGS / "triton.log") -> Iterator[Backend]:
    """Run Triton, with HTTP and gRPC, until the block ends."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    with LocalTriton(repository, http_port=0, grpc_port=0, log_file=log) as triton:
        ports = triton.options
        yield Backend(ports.http_port, ports.grpc_port or 0, repository, os.getsid(triton.pid or 0))


@contextmanager
def running_system(peer: Peer, work: str, backend: Backend) -> Iterator[Running]:
    """Run a system for one work until the block ends; raises :class:`StartError`."""
    if not peer.commands:  # Triton itself, which runs anyway
        yield Running(peer, backend.http, (backend.session,))
        return
    port = free_port()
    values = _placeholders(peer, work, port, backend)
    environment = {**inherited(), **_fill(peer.environment, values)}
    log = LOGS / f"{peer.name}-{work}.log"
    with ExitStack() as ending:
        output = ending.enter_context(log.open("wb"))
        started = []
        for command in peer.commands:
            filled = [_replace(word, values) for word in command]
            started.append(
                ending.enter_context(running_process(filled, peer.folder, environment, output))
            )
        wait_until_ready(started, port, peer.ready, log)
        yield Running(peer, port, tuple(process.pid for process in started), tuple(started))


@contextmanager
def running_process(
    command: list[str], folder: Path, environment: Mapping[str, str], output: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own; with the block ends whatever it has started."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def wait_until_ready(
    started: list[subprocess.Popen[bytes]], port: int, path: str, log: Path
) -> None:
    """Return once a GET of the path is answered with 200, and each process listens at the port.

    Raises :class:`StartError`.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        is_ready = _answers(port, path) and count_listeners(port) >= len(started)
        ended = any(process.poll() is not None for process in started)
        if is_ready and not ended:
            return
        if ended or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise StartError(f"{'it ended' if ended else 'it does not answer'}; {log}:\n{tail}")
        time.sleep(0.05)


def settle(*sessions: int) -> None:
    """Return once the sessions' processes rest: what a load left unanswered is worked off."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    before, rests = processes.cpu_seconds(*sessions), False
    while not rests and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        now = processes.cpu_seconds(*sessions)
        rests, before = now - before <= _REST * _LOOK_SECONDS, now


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a command to end, and kill what is left of all that it started."""
    before = processes.members(process.pid)  # while parents tell whose the others are
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    processes.send(signal.SIGKILL, {**before, **processes.members(process.pid)})
    process.wait()


def _placeholders(peer: Peer, work: str, port: int, backend: Backend) -> dict[str, str]:
    python = python_of(peer)
    return {
        "python": str(python),
        "bin": str(python.parent),
        "port": str(port),
        "triton_http": str(backend.http),
        "triton_grpc": str(backend.grpc),
        "repository": str(backend.repository),
        "work": work,
        "workers": str(WORKERS),
    }


def inherited() -> dict[str, str]:
    """Return our environment without settings of the systems' own."""
    mine = ("TRIHOOK_", "PYTHON", "VIRTUAL_ENV", "AZUREML_", "AML_", "GUNICORN_", "BENTOML_")
    return {name: value for name, value in os.environ.items() if not name.startswith(mine)}


def _fill(texts: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    return {name: _replace(text, values) for name, text in texts.items()}


def _replace(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
