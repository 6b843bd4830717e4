"""Launch a real tritonserver on this machine, and end it with everything it started."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from trihook.errors import LocalTritonError
from trihook.local.command import ControlMode, ServerOptions
from trihook.local.installation import find_installation
from trihook.local.launch import Launch, launch
from trihook.local.marks import clear_stale
from trihook.local.ports import reserve
from trihook.local.repository import require_valid

if TYPE_CHECKING:
    from typing_extensions import Self

POLL_SECONDS = 0.05


class LocalTriton:
    """A real tritonserver, running on this machine without Docker.

    As a context manager it is ready when the block is entered, and gone, with its processes and
    its shared-memory regions, when the block is left. They go too when this process is killed,
    and when tritonserver is.

    ``http_port`` 0 picks a free port; ``grpc_port`` and ``metrics_port`` are off when None.
    ``log_file`` is appended to; without one the log goes when Triton goes. ``exit_timeout`` is
    how many seconds Triton has to finish its requests and unload its models when it is stopped,
    which takes it 3 at least; with 0 it is killed at once.

    :meth:`start` and :meth:`wait_until_ready` raise :class:`~trihook.RepositoryError` or
    :class:`~trihook.LocalTritonError`, with one line that says what is wrong.
    """

    def __init__(  # noqa: PLR0913 - each is one setting of the server, by keyword
        self,
        repository: str | os.PathLike[str],
        *,
        http_port: int = 8000,
        grpc_port: int | None = None,
        metrics_port: int | None = None,
        address: str = "127.0.0.1",
        model_control_mode: ControlMode = "none",
        load_models: Sequence[str] = (),
        log_file: str | os.PathLike[str] | None = None,
        verbose: bool = False,
        exit_timeout: int = 10,
        ready_timeout: float = 120.0,
    ) -> None:
        self._options = ServerOptions(
            repository=Path(repository).absolute(),
            address=address,
            http_port=http_port,
            grpc_port=grpc_port,
            metrics_port=metrics_port,
            model_control_mode=model_control_mode,
            load_models=tuple(load_models),
            exit_timeout=exit_timeout,
            verbose=verbose,
        )
        self._log_file = None if log_file is None else Path(log_file).absolute()
        self._ready_timeout = ready_timeout
        self._reservations = ExitStack()
        self._launch: Launch | None = None
        self._status: int | None = None
        self._owner = 0

    @property
    def options(self) -> ServerOptions:
        """How Triton runs, or is to run; once started with the ports that were picked."""
        return self._options

    @property
    def url(self) -> str:
        """``http://address:port`` of Triton's HTTP service."""
        return f"http://{self._options.address}:{self._options.http_port}"

    @property
    def pid(self) -> int | None:
        """The process id of tritonserver, or None if it is not started."""
        return self._launch.server if self._launch else None

    @property
    def log(self) -> Path | None:
        """The log file, or None if Triton is not started."""
        return self._launch.log if self._launch else None

    @property
    def mark(self) -> str | None:
        """What the names of this Triton's shared-memory regions begin with, once started."""
        return self._launch.mark if self._launch else None

    def start(self) -> None:
        """Start Triton and return; it is not ready yet."""
        if self._launch is not None:
            raise LocalTritonError(f"Triton is already started, at {self.url}")
        require_valid(self._options.repository, self._needed_models())
        installation = find_installation()
        clear_stale()
        self._status = None
        self._owner = os.getpid()
        with ExitStack() as reservations:
            self._options = _reserve_ports(reservations, self._options)
            self._launch = launch(installation, self._options, self._log_file)
            self._reservations = reservations.pop_all()

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Return once the server and every model to load are ready, within ``timeout`` seconds."""
        if self._launch is None:
            raise LocalTritonError("Triton is not started")
        seconds = self._ready_timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            if self.poll() is not None:
                reason = self._launch.explain()
                self.stop()
                raise LocalTritonError(f"tritonserver ended while starting: {reason}")
            if time.monotonic() > deadline:
                raise LocalTritonError(
                    f"Triton at {self.url} was not ready in {seconds:g} s; "
                    f"its log says: {self._launch.explain()}"
                )
            time.sleep(POLL_SECONDS)
        self._reservations.close()

    def poll(self) -> int | None:
        """Return None while Triton runs, else its exit status (128 + n for signal n)."""
        if self._launch is not None and os.getpid() == self._owner:
            self._status = self._launch.poll()
        return self._status

    def stop(self) -> None:
        """End Triton and all it started, and remove its regions. Do nothing if that is done.

        A process forked from the one that started Triton cannot stop it.
        """
        if self._launch is None or os.getpid() != self._owner:
            return
        self._launch.end(self._options.exit_timeout)
        self._status = self._launch.poll()
        self._launch = None
        self._reservations.close()

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _needed_models(self) -> tuple[str, ...] | None:
        if self._options.model_control_mode == "none":
            return None
        return tuple(name for name in self._options.load_models if name != "*")

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(
            self._options.address, self._options.http_port, timeout=1
        )
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _reserve_ports(stack: ExitStack, options: ServerOptions) -> ServerOptions:
    def bind(port: int | None) -> int | None:
        return None if port is None else reserve(stack, options.address, port)

    return replace(
        options,
        http_port=reserve(stack, options.address, options.http_port),
        grpc_port=bind(options.grpc_port),
        metrics_port=bind(options.metrics_port),
    )
