"""What trihook is to reach against others, and whether it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trihook_bench.results import FASTEST, SERIAL, UNBATCHED, Cell, Spread

_WHOLE = 0.01  # smaller gaps are written with a decimal


@dataclass(frozen=True)
class Goal:
    """A ratio of ours to another's: of rates at least ``bound``, of latencies at most."""

    cell: str
    against: str
    bound: float
    field: str = "rate"

    @property
    def is_met_by(self) -> str:
        """How the bound is to be read."""
        return "≥" if self.field == "rate" else "≤"


GOALS = (
    Goal("vector@32", "flask", 0.70),
    Goal("vector@32", "azml-tutorial", 5),
    Goal("vector@32", "azml-improved", 3.3),
    Goal("vector@32", "litserve", 2.4),
    Goal("vector@32", "kserve", 2),
    Goal("vector@1", "kserve", 1.6),
    Goal("vector@1", "azml-improved", 1.9),
    Goal("vector@1", UNBATCHED, 1.05, "p50_ms"),
    Goal("efficientnet@16", SERIAL, 1.00),
    Goal("efficientnet@16", FASTEST, 1.2),
    Goal("efficientnet@16", "azml-tutorial", 9),
    Goal("densenet@16", SERIAL, 0.98),
    Goal("bidaf@8", SERIAL, 0.85),
    Goal("bidaf@8", FASTEST, 1.4),
    Goal("bidaf@8", "azml-tutorial", 2.3),
)


@dataclass(frozen=True)
class Verdict:
    """A goal and the ratio that was measured, None where it could not be; and against whom."""

    goal: Goal
    ratio: Spread | None
    against: str

    @property
    def is_met(self) -> bool:
        """Whether the median of the ratios reaches the bound."""
        if self.ratio is None:
            return False
        reached, bound = self.ratio.median, self.goal.bound
        return reached >= bound if self.goal.field == "rate" else reached <= bound

    def __str__(self) -> str:
        if self.ratio is None:
            return "not measured"
        if self.is_met:
            return "met"
        gap = abs(self.ratio.median / self.goal.bound - 1)
        return f"**missed** by {gap:.0%}" if gap >= _WHOLE else f"**missed** by {gap:.1%}"


def judge(cells: Sequence[Cell], goals: Iterable[Goal] = GOALS) -> list[Verdict]:
    """Hold the measured ratios against the goals."""
    named = {cell.name: cell for cell in cells}
    verdicts = []
    for goal in goals:
        cell = named.get(goal.cell)
        ratio = cell.ratio(goal.against, goal.field) if cell else None
        verdicts.append(Verdict(goal, ratio, _name_rival(goal, cell)))
    return verdicts


def _name_rival(goal: Goal, cell: Cell | None) -> str:
    fastest = cell.fastest_peer() if cell and goal.against == FASTEST else None
    return f"{goal.against} ({fastest})" if fastest else goal.against
