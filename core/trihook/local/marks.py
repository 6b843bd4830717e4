"""Marks: names by which everything that belongs to one launch of Triton can be told.

A mark names the launcher by process id and start time within its process-id namespace, so that
a later launch can tell, without any file of records, which launches are over and may be cleared
away. ``/dev/shm`` may be shared with containers whose process ids mean nothing here: marks of
another namespace are left alone.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trihook.local._supervisor import SHARED_MEMORY, sweep

_MARK = re.compile(r"trihook\.(?P<namespace>\d+)\.(?P<pid>\d+)\.(?P<started>\d+)\.[0-9a-f]{8}\.")


def new_mark() -> str:
    """Return a new mark for a launch by this process."""
    pid = os.getpid()
    return f"trihook.{_namespace()}.{pid}.{_started(pid)}.{secrets.token_hex(4)}."


def clear_stale() -> None:
    """Remove what launches left behind whose launcher and supervisor were both killed."""
    for mark in {*_stale(SHARED_MEMORY), *_stale(Path(tempfile.gettempdir()))}:
        sweep(mark)
        shutil.rmtree(Path(tempfile.gettempdir(), mark), ignore_errors=True)


def _stale(folder: Path) -> Iterator[str]:
    for path in folder.glob("trihook.*"):
        match = _MARK.match(path.name)
        if match is None or int(match["namespace"]) != _namespace():
            continue
        if _started(int(match["pid"])) != int(match["started"]):
            yield match.group()


def _namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino


def _started(pid: int) -> int:
    """Return when a process started, in clock ticks since boot, or 0 if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])  # field 22 of proc(5), 2 of which are gone
