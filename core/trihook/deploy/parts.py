"""The parts of a service: an environment, Triton, and the host in front of it.

Each is started and then asked, again and again, whether it is ready; nothing here waits. A part
that ended by itself raises :class:`PartError` when it is asked.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from trihook.deploy.environment import BUILT
from trihook.deploy.generation import Generation
from trihook.deploy.process import describe_end, kill_group, last_lines, spawn
from trihook.errors import LocalTritonError, RepositoryError, TrihookError
from trihook.local import LocalTriton

LOOPBACK = "127.0.0.1"
_REASON = re.compile(r"[\w.]*(?:Error|Exception|Interrupt|Exit|Warning): .+")
_LOGGED = re.compile(r".*\[(?:ERROR|CRITICAL)\] (.+)")
_PROBE_SECONDS = 1


class PartError(TrihookError):
    """A part of a service ended by itself, or cannot be started; the message is the reason."""

    def __init__(self, reason: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.lines = lines


class Part(Protocol):
    """What a stack is made of."""

    name: str

    @property
    def is_started(self) -> bool:
        """Whether it was started and not stopped since."""

    def start(self) -> None:
        """Start it; raises :class:`PartError`."""

    def is_ready(self) -> bool:
        """Tell whether it is ready; raises :class:`PartError` if it has ended."""

    def describe(self) -> str:
        """Say what it is doing, for the one who waits."""

    def stop(self) -> None:
        """End it and all it started, at once."""


class EnvironmentPart:
    """A Python environment with what a conda file's pip list names, built once."""

    name = "environment"

    def __init__(self, requirements: Path, folder: Path, log: Path) -> None:
        self._requirements = requirements
        self._folder = folder
        self._log = log
        self._start = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self._folder / "bin" / "python")

    @property
    def is_started(self) -> bool:
        """Whether it is built, or being built."""
        return self._process is not None or self._is_built()

    def start(self) -> None:
        """Start building it."""
        self._start = self._log.stat().st_size if self._log.exists() else 0
        self._process = spawn(
            [
                sys.executable,
                "-m",
                "trihook.deploy.environment",
                self._requirements.name,
                str(self._folder),
            ],
            self._log,
            folder=self._requirements.parent,
            environment=os.environ,
        )

    def is_ready(self) -> bool:
        """Tell whether it is built."""
        if self._process is None or self._process.poll() is None:
            return self._is_built()
        if self._process.returncode:
            lines = last_lines(self._log, self._start)
            raise PartError(lines[-1] if lines else describe_end(self._process.returncode), lines)
        return True

    def describe(self) -> str:
        """Say what is under way."""
        return "environment: installing what the conda file lists"

    def stop(self) -> None:
        """Stop building it."""
        if self._process is not None:
            kill_group(self._process)
            self._process = None

    def _is_built(self) -> bool:
        return (self._folder / BUILT).exists()


class TritonPart:
    """The embedded Triton; once started it comes back at the same port."""

    name = "Triton"

    def __init__(self, repository: Path, log: Path) -> None:
        self._repository = repository
        self._log = log
        self._port = 0
        self._was_ready = False
        self._server: LocalTriton | None = None

    @property
    def address(self) -> str:
        """``host:port`` of its HTTP service."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process id of tritonserver."""
        return self._server.pid if self._server else None

    @property
    def is_started(self) -> bool:
        """Whether it was started."""
        return self._server is not None

    def start(self) -> None:
        """Start it at the port that it had before; if that is taken, the next time at another."""
        server = LocalTriton(
            self._repository, http_port=self._port, log_file=self._log, exit_timeout=0
        )
        self._port, self._was_ready = 0, False
        try:
            server.start()
        except (LocalTritonError, RepositoryError) as exc:
            raise PartError(str(exc)) from exc
        self._server = server
        self._port = server.options.http_port

    def is_ready(self) -> bool:
        """Tell whether it and all models are ready."""
        if self._server is None:
            return False
        status = self._server.poll()
        if self._was_ready and status is None:
            return True
        try:
            self._server.wait_until_ready(timeout=0)
        except LocalTritonError as exc:
            if self._server.poll() is None:
                return False
            raise PartError(str(exc), last_lines(self._log)) from exc
        self._was_ready = True
        return True

    def describe(self) -> str:
        """Say what is under way."""
        return f"Triton: loading the models, at {self.address}"

    def stop(self) -> None:
        """Kill it."""
        if self._server is not None:
            self._server.stop()
            self._server = None


class HostPart:
    """The scoring host, at the service's socket and at one of its own to be asked through."""

    name = "host"

    def __init__(
        self, generation: Generation, listener: socket.socket, log: Path, triton: TritonPart
    ) -> None:
        self._generation = generation
        self._private = socket.create_server((LOOPBACK, 0))
        self._sockets = (listener, self._private)
        self._log = log
        self._start = 0
        self._triton = triton
        self._triton_address = ""
        self._was_ready = False
        self._said = ""
        self._process: subprocess.Popen[bytes] | None = None
        self.python = sys.executable

    @property
    def pid(self) -> int | None:
        """The process id of Gunicorn's master."""
        return self._process.pid if self._process else None

    @property
    def is_started(self) -> bool:
        """Whether it was started, for the Triton that runs now."""
        return self._process is not None

    def start(self) -> None:
        """Start it."""
        self._start = self._log.stat().st_size if self._log.exists() else 0
        self._triton_address = self._triton.address
        self._was_ready = False
        self._process = spawn(
            self._command(),
            self._log,
            folder=self._generation.app,
            environment=self._environment(),
            sockets=self._sockets,
        )

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        if self._process is None:
            return False
        if (status := self._process.poll()) is not None:
            lines = last_lines(self._log, self._start)
            raise PartError(f"{describe_end(status)}{_reason_in(lines)}", lines)
        if self._triton_address != self._triton.address and self._triton.is_started:
            raise PartError(f"Triton has moved to {self._triton.address}")
        self._was_ready = self._was_ready or self._answers()
        return self._was_ready

    def describe(self) -> str:
        """Say what is under way, and what it said last if that is not that it is ready."""
        script = self._generation.spec.entry_script
        what = f"running init() of {script}" if script else "loading the plugins"
        return f"host: {what}{f' ({self._said})' if self._said else ''}"

    def drain(self) -> None:
        """Let it end the requests that it has accepted, and take no others."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def is_drained(self) -> bool:
        """Tell whether it has ended."""
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        """Kill it with its workers."""
        if self._process is not None:
            kill_group(self._process)
            self._process = None

    def close(self) -> None:
        """Give up its own socket."""
        self._private.close()

    def _command(self) -> list[str]:
        spec = self._generation.spec
        command = [self.python, "-m", "trihook", "serve", "--port", "0"]
        command += ["--triton-url", self._triton_address, "--workers", str(spec.workers)]
        if spec.entry_script:
            command += ["--entry-script", spec.entry_script]
            command += ["--model-dir", str(self._generation.model_dir)]
        return command

    def _environment(self) -> dict[str, str]:
        """Return this process's environment, with what the entry script's settings are under."""
        theirs = {"TRIHOOK_CONFIG", "TRIHOOK_HOME", "TRIHOOK_HOST", "TRIHOOK_PORT"}
        if self._generation.spec.environment:
            theirs |= {"PYTHONPATH", "PYTHONHOME"}
        environment = {name: value for name, value in os.environ.items() if name not in theirs}
        environment["TRIHOOK_TRITON_URL"] = self._triton_address
        if default_model := self._generation.spec.default_model:
            environment["TRIHOOK_DEFAULT_MODEL"] = default_model
        return environment

    def _answers(self) -> bool:
        path = "/" if self._generation.spec.entry_script else "/v2/health/ready"
        port = self._private.getsockname()[1]
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        self._said = "" if answer.status == 200 else _reasons(body)
        return answer.status == 200


def _reasons(body: bytes) -> str:
    try:
        return "; ".join(json.loads(body)["reasons"])
    except (ValueError, LookupError, TypeError):
        return "it is not ready"


def _reason_in(lines: tuple[str, ...]) -> str:
    """Return the last exception in a log, or else the last error, to stand after how it ended."""
    exceptions = [line for line in lines if _REASON.fullmatch(line)]
    errors = [match[1] for line in lines if (match := _LOGGED.match(line))]
    for found in (exceptions, errors):
        if found:
            return f": {found[-1]}"
    return ""
