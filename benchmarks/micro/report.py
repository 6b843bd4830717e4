"""Write the report of a run: ``python -m micro.report pytest-benchmark.json RESULTS.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
import orjson
from trihook_bench.machine import describe_machine
from trihook_bench.tables import number, table

Case = Mapping[str, Any]

_HEAD = """# What the framework costs by itself

Microseconds of processor time: of the medians of five passes over all cases the median and, in
brackets, the least. One process, no HTTP server, no Triton. Made by `make bench-micro`; all that
was measured is in `build/bench/micro.json`. Where a median is far above its least, other programs
used the cores meanwhile, and the least is the figure to compare.
"""


@click.command()
@click.argument("measured", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("report", type=click.Path(path_type=Path, dir_okay=False))
def main(measured: Path, report: Path) -> None:
    """Write REPORT from what pytest-benchmark MEASURED."""
    run = orjson.loads(measured.read_bytes())
    tables = [_describe_table(title, cases) for title, cases in _by_title(run["benchmarks"])]
    report.write_text("\n".join([_HEAD, _describe_run(run), *tables]), "utf-8")
    click.echo(f"wrote {report}")


def _describe_run(run: Mapping[str, Any]) -> str:
    """Say what was measured, on what, and how far the rounds lay apart."""
    machine = describe_machine()
    packages = ("numpy", "pillow", "orjson", "flask", "gevent", "tritonclient")
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in packages)
    commit = run["commit_info"]
    state = " with uncommitted changes" if commit.get("dirty") else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, Linux {machine['kernel']}, "
        f"Python {machine['python']}; {versions}.\n"
        f"Commit {commit.get('id', 'unknown')[:12]}{state}, {run['datetime'][:10]}.\n"
    )


def _by_title(cases: Sequence[Case]) -> Iterator[tuple[str, list[Case]]]:
    for title in dict.fromkeys(case["group"] for case in cases):
        yield title, [case for case in cases if case["group"] == title]


def _describe_table(title: str, cases: Sequence[Case]) -> str:
    rows = dict.fromkeys(case["extra_info"]["row"] for case in cases)
    columns = dict.fromkeys(case["extra_info"]["column"] for case in cases)
    cells = {(row, column): _cell(cases, row, column) for row in rows for column in columns}
    lines = [[row, *(cells[row, column] for column in columns)] for row in rows]
    note = cases[0]["extra_info"]["note"]
    return f"## {title}\n\n{note}\n\n{table(['µs', *columns], lines)}\n"


def _cell(cases: Sequence[Case], row: str, column: str) -> str:
    """Write the median and the least of the passes' medians, by what a call counts as."""
    place = {"row": row, "column": column}
    passes = [
        case["stats"]["median"] * 1e6 / case["extra_info"]["per"]
        for case in cases
        if place.items() <= case["extra_info"].items()
    ]
    return f"{number(median(passes))} ({number(min(passes))})" if passes else "-"


if __name__ == "__main__":
    main()
