"""What a service's supervisor says of itself, and whether there is one."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from trihook.deploy.records import read_record
from trihook.deploy.storage import opened, write_file

Phase = Literal["starting", "running", "failed", "stopping"]

_STATUS = "status.json"
LOCK = "lock"
"""The file in a service's folder that its supervisor has locked."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Which part of a generation failed, why, and the last lines of the part's log."""

    generation: int = 0
    part: str = ""
    reason: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The supervisor's last word.

    ``generation`` is the one that answers, 0 before there is one. ``step`` says what is under
    way. ``failure`` is the last generation that did not come up; in phase ``failed`` it is what
    ended the deployment. ``recoveries`` counts the restarts of parts that ended by themselves.
    """

    phase: Phase = "starting"
    generation: int = 0
    step: str = "starting"
    supervisor: int = 0
    triton_url: str = ""
    triton: int | None = None
    host: int | None = None
    recoveries: int = 0
    failure: Failure = Failure()


def read_status(folder: Path) -> Status:
    """Return what the supervisor wrote last; the defaults where it never did.

    Raises ``OSError`` also where that is damaged.
    """
    try:
        return read_record(folder / _STATUS, Status)
    except FileNotFoundError:
        return Status()


def write_status(folder: Path, status: Status) -> None:
    """Replace what was said before."""
    write_file(folder / _STATUS, json.dumps(asdict(status)).encode())


def lock(folder: Path) -> int:
    """Lock a service that nobody else knows yet, and return the lock, to hand on or to close."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def is_supervised(folder: Path) -> bool:
    """Tell whether a process has the service's lock; the kernel takes it from the dead."""
    with opened(folder / LOCK) as handle:
        return handle is not None and not take(handle, fcntl.LOCK_SH)


def take(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take a lock for as long as the handle is open; return False where another process has it."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
