"""Wait for what a service's supervisor does, and tell how it went."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from trihook.deploy.launching import SUPERVISOR
from trihook.deploy.logs import read_logs
from trihook.deploy.status import LOCK, Failure, is_supervised, read_status, take
from trihook.deploy.storage import explained, is_still, opened
from trihook.errors import DeploymentError

_POLL_SECONDS = 0.1
_STOP_SECONDS = 30
_PROBE_SECONDS = 5
_LITTLE_BYTES = 65_536


def print_line(line: str) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def wait_for_generation(folder: Path, generation: int, say: Callable[[str], object] | None) -> None:
    """Return once the service in the folder runs that generation, or a later one.

    ``say`` is told each step. Raises :class:`trihook.DeploymentError` where it fails.
    """
    with opened(folder) as found:
        said = ""
        while True:
            with explained(DeploymentError, f"service {folder.name!r} cannot be read"):
                supervised = is_supervised(folder)  # before the status, which it ends with
                status = read_status(folder)
            if not is_still(found, folder):
                how = "replaced" if folder.is_dir() else "deleted"
                raise DeploymentError(f"service {folder.name!r} was {how} meanwhile")
            if say and status.step not in ("", said):
                said = status.step
                say(said)
            if status.failure.generation == generation:
                raise DeploymentError(_explain(folder.name, status.failure))
            if status.generation >= generation:
                return
            if not supervised:
                raise DeploymentError(_explain_silence(folder))
            time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def stopped(folder: Path) -> Iterator[bool]:
    """End a supervisor, which ends the rest; where that hangs, the kernel ends it.

    Yields whether the folder is still there, and the one that it was: another process may have
    removed that, and a third have put one in its place. Meanwhile it is locked.
    Raises :class:`trihook.DeploymentError` where the lock is held all the same: by a deployment
    that was halted before there was a supervisor, say.
    """
    with opened(folder) as found, opened(folder / LOCK, os.O_RDWR) as handle:
        if handle is not None:
            _end_supervisor(folder, handle)
        yield is_still(found, folder)


def _end_supervisor(folder: Path, handle: int) -> None:
    """Ask whoever has the lock to end, until it is ours, or that of a folder which is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _STOP_SECONDS
        asked = False
        while time.monotonic() < deadline:
            if take(handle) or not is_still(handle, folder / LOCK):
                return
            asked = asked or _signal(read_status(folder).supervisor, number, folder)
            time.sleep(_POLL_SECONDS)
    raise DeploymentError(
        f"service {folder.name!r} does not end: its lock is held: {folder}/{LOCK}"
    )


def _signal(process: int, number: int, folder: Path) -> bool:
    """Send a signal to a process; return False if it is not the folder's supervisor.

    That may have written its number not yet, or in another container; or one that is gone has
    left its own, and whoever has the lock is but looking.
    """
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        names = [Path(os.fsdecode(argument)).name for argument in command]
        if SUPERVISOR not in names or folder.name not in names:
            return False
        os.kill(process, number)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True


def answers(url: str) -> bool:
    """Tell whether a server answers with status 200."""
    parts = urlsplit(url)
    if not parts.hostname:
        return False
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", parts.path, headers={"Connection": "close"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _explain_silence(folder: Path) -> str:
    try:
        free = shutil.disk_usage(folder).free
    except FileNotFoundError:
        return f"service {folder.name!r} was deleted meanwhile"
    if free < _LITTLE_BYTES:
        return f"service {folder.name!r} failed: no space left on the disk of {folder}"
    lines = [line for part, line in read_logs(folder) if part == "service"]
    said = f": {lines[-1]}" if lines else " without a word"
    return f"service {folder.name!r} failed: its supervisor ended{said}"


def _explain(name: str, failure: Failure) -> str:
    reason = f"service {name!r} failed: the {failure.part} {_verb(failure.reason)}"
    return "\n".join((reason, *(f"  {line}" for line in failure.lines)))


def _verb(reason: str) -> str:
    """Let a reason follow the part's name: most are sentences of their own."""
    is_predicate = reason.startswith(("ended ", "was "))
    return reason if is_predicate else f"does not start: {reason}"
