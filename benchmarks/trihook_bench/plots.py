"""The report's plots, as SVG."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from trihook_bench.load import Load
from trihook_bench.results import Cell, read_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record: TypeAlias = "Mapping[str, Any]"

_COLOURS = {"ours": "#2a78b5", "ceiling": "#9aa5b1", "peer": "#d98c3f", "naive": "#c0504d"}
_HEADROOM = 1.1  # above the highest point
_AXES = {
    "items": ("vectors in a request", "µs a vector"),
    "connections": ("connections", "requests/s"),
    "models": ("models loaded", "ms a request"),
    "processes": ("models that are processes", "ms a request"),
    "direct": ("models that are processes, Triton itself asked", "ms a request"),
    "plugins": ("plugins for other models", "ms a request"),
    "quick": ("quick plugins that take nothing", "ms a request"),
    "asked": ("plugins without marks that take nothing", "ms a request"),
    "bytes": ("bytes in a request", "ms a request"),
}


def draw_plots(folder: Path) -> None:
    """Draw a plot for each measurement that the folder holds."""
    for name, draw in _DRAWINGS.items():
        file = folder / f"{name}.json"
        if file.exists():
            draw(folder, json.loads(file.read_text()))


def _draw_rates(folder: Path, record: Record) -> None:
    cells = read_cells(record)
    with _Figure(folder / "rates.svg", len(cells), 2.6) as plots:
        for axes, cell in zip(plots, cells, strict=True):
            _draw_cell(axes, cell, record["systems"])


def _draw_cell(axes: Axes, cell: Cell, systems: Record) -> None:
    names = [name for name in systems if cell.is_valid(name)][::-1]
    rates = [cell.spread(name) for name in names]
    middles = [rate.median for rate in rates]
    ranges = [
        [rate.median - rate.least for rate in rates],
        [rate.greatest - rate.median for rate in rates],
    ]
    colours = [_COLOURS[systems[name]["role"]] for name in names]
    titles = [systems[name]["title"] for name in names]
    axes.barh(titles, middles, xerr=ranges, color=colours, ecolor="#444444", capsize=2)
    axes.set_title(f"{cell.name}: requests/s, median and range", fontsize=10)


def _draw_growth(folder: Path, record: Record) -> None:
    for name, (x_label, y_label) in _AXES.items():
        if name not in record:
            continue
        counts = [int(count) for count in record[name]]
        loads = [[Load(**run) for run in runs] for runs in record[name].values()]
        rates = [median(run.rate for run in runs) for runs in loads]
        times = [median(run.p50_ms for run in runs) for runs in loads]
        values = times
        if name == "items":
            values = [1e6 / (rate * count) for rate, count in zip(rates, counts, strict=True)]
        elif name == "connections":
            values = rates
        with _Figure(folder / f"{name}.svg", 1, 2.8) as (axes,):
            axes.plot(counts, values, "o-", color=_COLOURS["ours"])
            axes.set(xlabel=x_label, ylabel=y_label, xscale="symlog")
            _tick(axes, counts)
            if name in ("items", "bytes"):
                axes.set_yscale("log")
            else:
                axes.set_ylim(0, _HEADROOM * max(values))


def _draw_batches(folder: Path, record: Record) -> None:
    counts = [int(count) for count in record]
    with _Figure(folder / "batches.svg", 1, 2.8) as (axes,):
        for field, label in (("request_batch", "one request"), ("execution_batch", "execution")):
            axes.plot(counts, [entry[field] for entry in record.values()], "o-", label=label)
        axes.set(xlabel="connections", ylabel="vectors", xscale="log")
        _tick(axes, counts)
        axes.legend()


def _tick(axes: Axes, counts: Sequence[int]) -> None:
    """Mark what was measured on the horizontal axis, and nothing between."""
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()


def _draw_memory(folder: Path, record: Record) -> None:
    minutes = [second / 60 for second in record["seconds"]]
    with _Figure(folder / "memory.svg", 1, 2.8) as (axes,):
        for number, series in enumerate(record["workers_mb"], 1):
            axes.plot(minutes, series, label=f"worker {number}")
        axes.set(xlabel="minutes of mixed load", ylabel="resident MB", ylim=(0, None))
        axes.legend()


class _Figure:
    """Axes below each other, saved to a file at the end of the block."""

    def __init__(self, file: Path, count: int, height: float) -> None:
        import matplotlib as mpl  # noqa: PLC0415 - only where there is something to draw

        mpl.use("svg")
        mpl.rcParams["svg.hashsalt"] = "trihook"  # the same drawing, the same file
        from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

        self._file = file
        self._figure, axes = plt.subplots(
            count, 1, figsize=(8, height * count), squeeze=False, layout="constrained"
        )
        self._axes = list(axes[:, 0])

    def __enter__(self) -> list[Axes]:
        return self._axes

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if exc_type is None:
            self._figure.savefig(self._file, metadata={"Date": None})


_DRAWINGS: dict[str, Callable[[Path, Record], None]] = {
    "comparison": _draw_rates,
    "growth": _draw_growth,
    "batches": _draw_batches,
    "memory": _draw_memory,
}
