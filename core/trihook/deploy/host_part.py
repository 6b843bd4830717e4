"""The scoring host of a service."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from trihook.config import FILE_NAME, Settings, load_settings
from trihook.deploy.generation import Generation
from trihook.deploy.parts import LOOPBACK, PROBE_SECONDS, PartError, reason_in
from trihook.deploy.process import describe_end, kill_group, last_lines, spawn
from trihook.deploy.triton_part import TritonPart
from trihook.errors import ConfigError

# with -m the current folder, which is the script's, would come before the standard library
_RUN = "import sys; sys.path = [*filter(None, sys.path)]; from trihook.__main__ import main; main()"


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
        self.has_answered = False
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
            raise PartError(f"{describe_end(status)}{reason_in(lines)}", lines)
        if self._triton_address != self._triton.address and self._triton.is_started:
            raise PartError(f"Triton has moved to {self._triton.address}")
        self._was_ready = self._was_ready or self._answers()
        return self._was_ready

    def describe(self) -> str:
        """Say what is under way, and what it said last if that is not that it is ready."""
        script = self._generation.spec.entry_script
        what = f"running init() of {script}" if script else "loading the plugins"
        return f"host: {what}{f' ({self._said})' if self._said else ''}"

    @property
    def patience(self) -> float:
        """How many seconds it gives the requests under way when it is to end."""
        config = self._generation.app / FILE_NAME
        try:
            settings = load_settings({}, self._environment(), config if config.exists() else None)
        except ConfigError:
            settings = Settings.model_validate({})
        return settings.graceful_timeout

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
        command = [self.python, "-c", _RUN, "serve", "--host", LOOPBACK, "--port", "0"]
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
            environment.setdefault("TRIHOOK_DEFAULT_MODEL", default_model)
        return environment

    def _answers(self) -> bool:
        path = "/" if self._generation.spec.entry_script else "/v2/health/ready"
        port = self._private.getsockname()[1]
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_SECONDS)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        self.has_answered = True
        self._said = "" if answer.status == 200 else _reasons(body)
        return answer.status == 200


def _reasons(body: bytes) -> str:
    try:
        return "; ".join(json.loads(body)["reasons"])
    except (ValueError, LookupError, TypeError):
        return "it is not ready"
