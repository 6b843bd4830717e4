"""Write the report: every table and plot for which there is a measurement."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trihook_bench.compared import describe_comparison
from trihook_bench.sections import SECTIONS

_OPENING = """\
# Results

Written by `make bench`; the numbers are as measured, in this folder's `results/`. All systems of a
work stand side by side in front of one Triton, and wrk puts the same requests to them, one system
at a time: every round has each of them once, in an order that rotates. A figure is the median of
the rounds, with the least and the greatest in parentheses; a ratio is computed within each round,
and then its median taken. Every reply is checked against its own request; a single wrong
answer or error, or a connection that never gets any, makes a cell **INVALID**."""


def write_report(folder: Path, file: Path) -> str:
    """Write the report on what is in ``folder`` to a file, and return it."""
    records = {name: _read(folder / f"{name}.json") for name in ("comparison", *SECTIONS)}
    parts = [_OPENING, *_name_missing(records)]
    if records["comparison"]:
        parts += describe_comparison(records["comparison"])
    parts += [section(records[name]) for name, section in SECTIONS.items() if records[name]]
    text = "\n\n".join(parts) + "\n"
    file.write_text(text)
    return text


def _name_missing(records: Mapping[str, Any]) -> Iterator[str]:
    missing = [name for name, record in records.items() if not record]
    if 0 < len(missing) < len(records):
        yield f"Not measured: {', '.join(missing)}."


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None
