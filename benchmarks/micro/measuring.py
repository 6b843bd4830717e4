"""How a case is measured, and which cell of which table it fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pytest_benchmark.fixture import BenchmarkFixture


class Table(NamedTuple):
    """A table of the report: its title, and what its reader has to know."""

    title: str
    note: str


@dataclass(frozen=True)
class Measure:
    """Measures a function into one cell of a table."""

    benchmark: BenchmarkFixture

    def __call__(
        self,
        table: Table,
        row: str,
        column: str,
        function: Callable[..., Any],
        *arguments: Any,
        per: int = 1,
    ) -> Any:
        """Call the function over and over, and return its last result.

        One call is counted as ``per`` times what the table tells of.
        """
        self.benchmark.group = table.title
        self.benchmark.extra_info.update(note=table.note, row=row, column=column, per=per)
        return self.benchmark(function, *arguments)


def check(is_right: object) -> None:
    """Fail where a case did not do what it was to be measured at."""
    if not is_right:
        raise AssertionError("the case did something else than what it is meant to measure")
