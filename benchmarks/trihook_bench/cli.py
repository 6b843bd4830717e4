"""The command line: ``python -m trihook_bench COMMAND``."""

from __future__ import annotations

from pathlib import Path

import click

from trihook_bench.comparison import compare_all
from trihook_bench.peers import find_peers
from trihook_bench.places import QUICK
from trihook_bench.works import WORKS


@click.group()
def cli() -> None:
    """Measure trihook beside other hosts in front of one Triton."""


@cli.command()
@click.option("--work", "works", multiple=True, type=click.Choice([*WORKS]), help="Default: all.")
@click.option("--system", "systems", multiple=True, help="Default: all that are installed.")
@click.option("--connections", type=int, multiple=True, help="Instead of the works' own.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=4.0, show_default=True, type=click.FloatRange(1))
@click.option("--out", type=click.Path(path_type=Path), default=QUICK, help="Folder for the JSON.")
def compare(
    works: tuple[str, ...],
    systems: tuple[str, ...],
    connections: tuple[int, ...],
    rounds: int,
    seconds: float,
    out: Path,
) -> None:
    """Put works to systems, in interleaved rounds."""
    known = find_peers()
    unknown = sorted(set(systems) - set(known))
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)} is none of {', '.join(known)}")
    chosen = [peer for name, peer in known.items() if not systems or name in systems]
    compare_all(works or tuple(WORKS), chosen, rounds, seconds, connections, out)
