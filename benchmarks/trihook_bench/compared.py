"""The report's part on the comparison: targets, tables, systems, machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, TypeAlias

from trihook_bench.load import Load
from trihook_bench.results import OURS, SERIAL, Cell, read_cells
from trihook_bench.tables import number, picture, spread, table
from trihook_bench.targets import judge

Record: TypeAlias = "Mapping[str, Any]"

_QUANTITIES = {"rate": "rate", "p50_ms": "median latency"}


def describe_comparison(record: Record) -> Iterator[str]:
    """Yield the parts of the report, from a ``comparison.json``."""
    cells = read_cells(record)
    yield from _warn(cells, record)
    yield "## Targets\n\n" + _targets(cells)
    yield f"## Requests a second\n\n{picture('rates')}{_by_system(cells, record, _rate)}"
    yield "## Latency, median and 99th percentile\n\n" + _by_system(cells, record, _latency)
    yield f"## trihook against each, ratio of rates\n\n{_by_system(cells, record, _ratio)}"
    yield "## The systems\n\n" + _systems(record)
    yield "## The machine\n\n" + _machine(record)


def _warn(cells: list[Cell], record: Record) -> Iterator[str]:
    for cell in cells:
        for name, runs in cell.rounds.items():
            bad = [load for load in runs if not load.is_valid]
            where = f"{cell.name}, {record['systems'][name]['title']}"
            if not cell.is_valid(name):
                yield f"> **INVALID: {where}**: {_faults(bad)}"
            elif bad:
                hung = ", ".join(str(load.hung) for load in bad)
                yield (
                    f"> {where}: in {len(bad)} of {len(runs)} rounds some of the connections "
                    f"({hung}) got no reply at all; as a ceiling it counts all the same."
                )
    for work, absent in record["absent"].items():
        for name in absent:
            yield f"> **{record['systems'][name]['title']} did not start** for {work}."
    if record["not_installed"]:
        yield f"> Not installed, and so not measured: {', '.join(record['not_installed'])}."


def _faults(bad: Sequence[Load]) -> str:
    counts = {
        "wrong": sum(load.wrong for load in bad),
        "refused": sum(load.refused for load in bad),
        "socket errors": sum(load.socket_errors for load in bad),
        "connections without any reply": sum(load.hung for load in bad),
    }
    said = ", ".join(f"{count} {fault}" for fault, count in counts.items())
    example = next((f". First: `{load.example[:120]}`" for load in bad if load.example), "")
    ended = "; a process of it had ended" if any(load.ended for load in bad) else ""
    return f"{said}, of {sum(load.requests for load in bad)} replies{ended}{example}"


def _targets(cells: list[Cell]) -> str:
    rows = [
        (
            verdict.goal.cell,
            f"{_QUANTITIES[verdict.goal.field]}, trihook / {verdict.against}",
            f"{verdict.goal.is_met_by} {verdict.goal.bound:g}",
            spread(verdict.ratio),
            str(verdict),
        )
        for verdict in judge(cells)
    ]
    return table(["cell", "ratio", "target", "measured", ""], rows, texts=2)


def _by_system(cells: list[Cell], record: Record, write: Callable[[Cell, str], str]) -> str:
    names = {name: system["title"] for name, system in record["systems"].items()}
    if write is not _latency:
        names[SERIAL] = "serial ceiling: bare Flask, then Triton alone"
    rows = [(title, *(write(cell, name) for cell in cells)) for name, title in names.items()]
    return table(["", *(cell.name for cell in cells)], rows)


def _rate(cell: Cell, system: str) -> str:
    if system == SERIAL:
        rates = cell.rates(SERIAL)
        return number(median(rates)) if rates else "-"
    if system not in cell.rounds:
        return "-"
    return spread(cell.spread(system)) if cell.is_valid(system) else "**INVALID**"


def _latency(cell: Cell, system: str) -> str:
    if system not in cell.rounds:
        return "-"
    if not cell.is_valid(system):
        return "**INVALID**"
    middle, late = (cell.spread(system, field).median for field in ("p50_ms", "p99_ms"))
    return f"{number(middle)} / {number(late)} ms"


def _ratio(cell: Cell, system: str) -> str:
    return "1" if system == OURS else spread(cell.ratio(system))


def _systems(record: Record) -> str:
    rows = []
    for name, system in record["systems"].items():
        package = f"{system['package']} {system['version']}".strip() or "-"
        shares = [work[name] for work in record["idle"].values() if name in work]
        idle = f"{max(shares):.3f}" if shares else "-"
        rows.append((system["title"], package, system["settings"], idle))
    return table(["", "package", "how it is set up", "CPU when idle, s/s"], rows, texts=3)


def _machine(record: Record) -> str:
    machine = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    loads = ", ".join(map(str, machine["load_average"]))
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB",
        f"Linux {machine['kernel']}; load average before: {loads}",
        f"Python {machine['python']}; {versions}",
        f"{record['rounds']} rounds of {record['seconds']:g} s",
        "load generator, hosts and Triton share the cores",
    ]
    return "\n".join(f"- {line}" for line in lines)
