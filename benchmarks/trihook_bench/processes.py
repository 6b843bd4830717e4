"""What the kernel says of processes: who belongs to a session, CPU time, memory."""

from __future__ import annotations

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def members(session: int) -> list[int]:
    """Return the processes of a session that still run."""
    found = ((int(entry.name), _stat(entry)) for entry in Path("/proc").glob("[0-9]*"))
    return [pid for pid, stat in found if stat and int(stat[3]) == session and stat[0] != "Z"]


def cpu_seconds(session: int) -> float:
    """Return the CPU time, of user and system, that a session's processes have taken."""
    stats = (_stat(Path(f"/proc/{pid}")) for pid in members(session))
    return sum(int(stat[11]) + int(stat[12]) for stat in stats if stat) / _TICK


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    found = ((int(entry.name), _stat(entry)) for entry in Path("/proc").glob("[0-9]*"))
    return sorted(child for child, stat in found if stat and int(stat[1]) == pid)


def resident_mb(pid: int) -> float:
    """Return a process' resident memory, in units of 1,000,000 bytes; 0 if it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return 0.0
    return int(pages) * _PAGE / 1e6


def _stat(entry: Path) -> list[str]:
    """Return the fields of ``/proc/<pid>/stat`` from the state on; none if it has ended."""
    try:
        text = (entry / "stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()
