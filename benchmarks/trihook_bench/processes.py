"""What the kernel says of processes: who belongs to a session, CPU time, memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def members(*sessions: int) -> list[int]:
    """Return the processes of some sessions that still run."""
    return [pid for pid, stat in _all() if int(stat[3]) in sessions and stat[0] != "Z"]


def cpu_seconds(*sessions: int) -> float:
    """Return the CPU time, of user and system, that the sessions' processes have taken."""
    taken = (int(stat[11]) + int(stat[12]) for _, stat in _all() if int(stat[3]) in sessions)
    return sum(taken) / _TICK


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    return sorted(child for child, stat in _all() if int(stat[1]) == pid)


def resident_mb(pid: int) -> float:
    """Return a process' resident memory, in units of 1,000,000 bytes; 0 if it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return 0.0
    return int(pages) * _PAGE / 1e6


def _all() -> Iterator[tuple[int, list[str]]]:
    """Yield every process and its fields."""
    for entry in Path("/proc").glob("[0-9]*"):
        if stat := _stat(entry):
            yield int(entry.name), stat


def _stat(entry: Path) -> list[str]:
    """Return the fields of ``/proc/<pid>/stat`` from the state on; none if it has ended."""
    try:
        text = (entry / "stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()
