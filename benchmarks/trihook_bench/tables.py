"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trihook_bench.results import Spread


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """Return a table whose first ``texts`` columns are texts, and the rest numbers."""
    rules = ["---" if column < texts else "--:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *rows))


def number(value: float) -> str:
    """Write a number with three significant digits, or whole."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: Spread | None) -> str:
    """Write a median with its range."""
    if values is None:
        return "-"
    return f"{number(values.median)} ({number(values.least)}…{number(values.greatest)})"


def picture(name: str) -> str:
    """Return the link to a plot."""
    return f"![{name}](results/{name}.svg)\n\n"
