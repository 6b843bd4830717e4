"""One launch of Triton: its supervisor process, and what it is known by."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from trihook.errors import LocalTritonError, describe_os_error
from trihook.local import _supervisor
from trihook.local.command import ServerOptions, prepare
from trihook.local.installation import Installation
from trihook.local.log import explain_failure, read_tail
from trihook.local.marks import new_mark

GRACE_SECONDS = 5
"""How long the supervisor waits for Triton, and the launcher for the supervisor, over time."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A running supervisor and the tritonserver below it.

    ``server`` is the process id of tritonserver. ``mark`` begins the names of its shared-memory
    regions; ``folder`` holds its backends. ``log`` is written to from ``log_start`` on.
    """

    supervisor: subprocess.Popen[bytes]
    server: int
    mark: str
    folder: Path
    log: Path
    log_start: int

    def explain(self) -> str:
        """Say in one line what the log gives as the reason why Triton ended, or is not ready."""
        return explain_failure(read_tail(self.log, self.log_start))

    def poll(self) -> int | None:
        """Return None while Triton runs, else its exit status, 128 + n for signal n."""
        status = self.supervisor.poll()
        return status if status is None or status >= 0 else 128 - status

    def end(self, exit_timeout: int) -> None:
        """End everything and clean up."""
        self.supervisor.terminate()
        try:
            self.supervisor.wait(exit_timeout + 2 * GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            self.supervisor.wait()
        _supervisor.sweep(self.mark)  # finds something only where the supervisor was killed
        shutil.rmtree(self.folder, ignore_errors=True)


def launch(installation: Installation, options: ServerOptions, log_file: Path | None) -> Launch:
    """Start Triton under a supervisor, and return without waiting until it is ready.

    Raises :class:`LocalTritonError`, also where there is no room, or no way to write the log.
    """
    try:
        return _launch(installation, options, log_file)
    except OSError as exc:
        raise LocalTritonError(f"Triton cannot be started: {describe_os_error(exc)}") from exc


def _launch(installation: Installation, options: ServerOptions, log_file: Path | None) -> Launch:
    mark = new_mark()
    folder = Path(tempfile.gettempdir(), mark)
    folder.mkdir(mode=0o700)
    try:
        command = prepare(installation, options, folder, mark)
        log = log_file or folder / "tritonserver.log"
        log_start = log.stat().st_size if log.exists() else 0
        grace = options.exit_timeout and options.exit_timeout + GRACE_SECONDS
        charge = [str(os.getpid()), mark, str(folder), str(grace), *command]
        supervisor, server = _spawn(charge, log, log_start, installation.environment())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Launch(supervisor, server, mark, folder, log, log_start)


def _spawn(
    charge: list[str], log: Path, log_start: int, environment: dict[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the supervisor; return it and the process id of its Triton."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, log.open("ab") as output:
        try:
            supervisor = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
                [sys.executable, "-I", "-S", _supervisor.__file__, *charge],
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            server = pipe.readline()
        except BaseException:  # Ctrl-C
            supervisor.terminate()
            supervisor.wait()
            raise
    if not server:
        supervisor.wait()
        reason = explain_failure(read_tail(log, log_start))
        raise LocalTritonError(f"tritonserver could not be started: {reason}")
    return supervisor, int(server)
