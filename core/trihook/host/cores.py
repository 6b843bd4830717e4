"""How many cores a process may use: those it may run on, and what its control group has of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Cores:
    """``count`` cores to run on, of whose time the control group has ``quota`` cores' worth."""

    count: int
    quota: float = math.inf

    def of_each(self, workers: int) -> int:
        """Return how many cores each of the workers has, rounded up."""
        return max(1, math.ceil(min(self.count, self.quota) / workers))

    def are_enough_to_poll(self, workers: int) -> bool:
        """Tell whether each worker may keep a core awake that others could have.

        A core is given up to whoever wants it, but a quota that is used up stops all in the
        group: so there one core's worth must be left for them.
        """
        return self.count >= max(2, workers) and self.quota >= workers + 1


def find_cores(groups: Path = _GROUPS, root: Path = _ROOT) -> Cores:
    """Return the cores of this process.

    ``groups`` lists its control groups, of version 1 or 2, whose folders are below ``root``.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        count = os.cpu_count() or 1
    return Cores(count, min(_quotas(groups, root), default=math.inf))


def _quotas(groups: Path, root: Path) -> Iterator[float]:
    """Return the quotas of the process's groups and those around them, in cores.

    In a container the paths may be those outside of it, which it does not see: then the root's.
    """
    try:
        lines = groups.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not path or (controllers and "cpu" not in controllers.split(",")):
            continue
        top = root / "cpu" if controllers else root
        folder = top / path.lstrip("/")
        for each in (folder, *folder.parents):
            quota = _quota_of_version_1(each) if controllers else _quota_of_version_2(each)
            if quota is not None:
                yield quota
            if each == top:
                break


def _quota_of_version_2(folder: Path) -> float | None:
    quota, period = (*_read(folder / "cpu.max").split(), "", "")[:2]
    return _divide(quota, period)


def _quota_of_version_1(folder: Path) -> float | None:
    quota, period = (_read(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return _divide(quota, period)


def _divide(quota: str, period: str) -> float | None:
    """Return the quota in cores; None where there is none: ``max``, ``-1`` or no file."""
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
