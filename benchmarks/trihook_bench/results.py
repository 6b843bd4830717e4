"""What the rounds of a comparison come to: medians, spreads and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from trihook_bench.load import Load

OURS = "trihook"
UNBATCHED = "trihook-unbatched"
SERIAL = "serial ceiling"
FASTEST = "fastest peer"
_RIVALS = ("peer", "naive")


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, with the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Summarize the values, of which there must be one."""
        found = sorted(values)
        return cls(median(found), found[0], found[-1])


@dataclass(frozen=True)
class Cell:
    """One work at so many connections: for each system its rounds, in order."""

    work: str
    connections: int
    rounds: Mapping[str, tuple[Load, ...]]
    roles: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its short name, such as ``vector@32``."""
        return f"{self.work}@{self.connections}"

    def is_valid(self, system: str) -> bool:
        """Whether a system was measured, every reply was right, and every connection had some.

        The last does not hold for ceilings: a connection of bare Flask gives way to no other as
        long as its client asks again at once.
        """
        runs = self.rounds.get(system, ())
        is_ceiling = self.roles.get(system) == "ceiling"
        return bool(runs) and all(load.is_right if is_ceiling else load.is_valid for load in runs)

    def spread(self, system: str, field: str = "rate") -> Spread:
        """Return what a system's rounds come to, in one of the fields of a load."""
        return Spread.of(getattr(load, field) for load in self.rounds[system])

    def fastest_peer(self) -> str | None:
        """Return the peer with the highest median rate.

        None where one of them did not start, or answered wrong: it may be the fastest.
        """
        rivals = [name for name, role in self.roles.items() if role in _RIVALS]
        if not all(self.is_valid(name) for name in rivals):
            return None
        return max(rivals, key=lambda name: self.spread(name).median, default=None)

    def rates(self, system: str) -> list[float] | None:
        """Return requests a second by round, also of the serial ceiling and the fastest peer.

        None where they were not measured, or an answer was wrong.
        """
        if system == SERIAL:
            parts = [self.rates(name) for name in ("flask", "triton")]
            if None in parts:
                return None
            together = zip(*(part or () for part in parts), strict=True)
            return [1 / (1 / flask + 1 / triton) for flask, triton in together]
        name = self.fastest_peer() if system == FASTEST else system
        if name is None or not self.is_valid(name):
            return None
        return [load.rate for load in self.rounds[name]]

    def ratio(self, other: str, field: str = "rate", ours: str = OURS) -> Spread | None:
        """Return ours against another's, computed by round; None where either is missing."""
        if field == "rate":
            mine, theirs = self.rates(ours), self.rates(other)
        else:
            mine, theirs = self._values(ours, field), self._values(other, field)
        if not mine or not theirs:
            return None
        return Spread.of(a / b for a, b in zip(mine, theirs, strict=True))

    def _values(self, system: str, field: str) -> list[float] | None:
        if not self.is_valid(system):
            return None
        return [getattr(load, field) for load in self.rounds[system]]


def read_cells(record: Mapping[str, Any]) -> list[Cell]:
    """Group the samples of a ``comparison.json``."""
    grouped: dict[tuple[str, int], dict[str, list[tuple[int, Load]]]] = {}
    for sample in record["samples"]:
        cell = grouped.setdefault((sample["work"], sample["connections"]), {})
        run = (sample["round"], Load(**sample["load"]))
        cell.setdefault(sample["system"], []).append(run)
    roles = {name: system["role"] for name, system in record["systems"].items()}
    return [
        Cell(work, connections, {name: _in_order(runs) for name, runs in cell.items()}, roles)
        for (work, connections), cell in grouped.items()
    ]


def _in_order(runs: list[tuple[int, Load]]) -> tuple[Load, ...]:
    return tuple(load for _, load in sorted(runs, key=lambda run: run[0]))
