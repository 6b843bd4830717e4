"""What the kernel says of processes: who belongs to a session, CPU time, memory; signals to them.

To a session belongs also what its processes have started, in whatever session: some systems give
each of their workers one of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_BEGAN = 19  # where the fields of a process say when it began
_PAGE = os.sysconf("SC_PAGE_SIZE")


def members(*sessions: int) -> dict[int, int]:
    """Return the processes of some sessions that still run, and when each began.

    The time, in ticks of the machine, tells a process from a later one with its number.
    """
    tree = _tree(sessions)
    return {pid: int(stat[_BEGAN]) for pid, stat in tree.items() if stat[0] != "Z"}


def send(number: signal.Signals, to: Mapping[int, int]) -> None:
    """Send a signal to those of some :func:`members` that still run."""
    for pid, began in to.items():
        stat = _stat(Path(f"/proc/{pid}"))
        if stat and int(stat[_BEGAN]) == began:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def paused(*sessions: int) -> Iterator[None]:
    """Stop the processes of some sessions until the block ends."""
    stopped = members(*sessions) if sessions else {}
    try:
        send(signal.SIGSTOP, stopped)
        yield
    finally:
        send(signal.SIGCONT, stopped)


def cpu_seconds(*sessions: int) -> float:
    """Return the CPU time, of user and system, that the sessions' processes have taken."""
    return sum(int(stat[11]) + int(stat[12]) for stat in _tree(sessions).values()) / _TICK


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


def _tree(sessions: tuple[int, ...]) -> dict[int, list[str]]:
    """Return the processes of some sessions and their descendants, with their fields."""
    everyone = dict(_all())
    started: dict[int, list[int]] = {}
    for pid, stat in everyone.items():
        started.setdefault(int(stat[1]), []).append(pid)
    found: dict[int, list[str]] = {}
    left = [pid for pid, stat in everyone.items() if int(stat[3]) in sessions]
    while left:
        pid = left.pop()
        if pid not in found:
            found[pid] = everyone[pid]
            left += started.get(pid, ())
    return found


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
