"""The Triton of a service."""

from __future__ import annotations

from pathlib import Path

from trihook.deploy.parts import LOOPBACK, PartError
from trihook.deploy.process import last_lines
from trihook.errors import LocalTritonError, RepositoryError
from trihook.local import LocalTriton


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
