"""The command line: ``python -m trihook_bench COMMAND``."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from trihook_bench.batches import measure_batches
from trihook_bench.beside import measure_beside
from trihook_bench.comparison import compare_all, write_json
from trihook_bench.environments import InstallError, install
from trihook_bench.growth import measure_growth
from trihook_bench.liveness import measure_liveness
from trihook_bench.memory import measure_memory
from trihook_bench.peers import Peer, find_peers
from trihook_bench.places import MODELS, QUICK, REPORT, RESULTS
from trihook_bench.plots import draw_plots
from trihook_bench.report import write_report
from trihook_bench.repository import build_repository
from trihook_bench.start import measure_start
from trihook_bench.systems import Backend, running_triton
from trihook_bench.works import WORKS

_ROUNDS = click.IntRange(1)
_SECONDS = click.IntRange(1)  # wrk knows no fractions
_FOLDER = click.Path(file_okay=False, path_type=Path)

to_folder = click.option(
    "--out", type=_FOLDER, default=QUICK, show_default=True, help="Folder for the JSON."
)
in_rounds = click.option("--rounds", default=5, show_default=True, type=_ROUNDS)


def each_for(seconds: int) -> Callable[[Any], Any]:
    """Return the option that says how long a run takes."""
    return click.option("--seconds", default=seconds, show_default=True, type=_SECONDS)


@click.group()
def cli() -> None:
    """Measure trihook beside other hosts in front of one Triton."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all systems end with us


@cli.command()
@click.option("--system", "systems", multiple=True, help="Default: all.")
def setup(systems: tuple[str, ...]) -> None:
    """Install the peers, each into an environment of its own."""
    for peer in _choose(systems):
        click.echo(f"installing {peer.name}")
        try:
            install(peer)
        except InstallError as exc:
            click.echo(f"{peer.name} cannot be installed: {exc}", err=True)


@cli.command()
@click.option("--work", "works", multiple=True, type=click.Choice([*WORKS]), help="Default: all.")
@click.option("--system", "systems", multiple=True, help="Default: all that are installed.")
@click.option("--connections", type=int, multiple=True, help="Instead of the works' own.")
@in_rounds
@each_for(4)
@to_folder
def compare(
    works: tuple[str, ...],
    systems: tuple[str, ...],
    connections: tuple[int, ...],
    rounds: int,
    seconds: float,
    out: Path,
) -> None:
    """Put works to systems, in interleaved rounds."""
    wanted = {name: connections or WORKS[name].connections for name in works or WORKS}
    compare_all(wanted, _choose(systems), rounds, seconds, out)


@cli.command()
@in_rounds
@each_for(3)
@to_folder
def beside(rounds: int, seconds: float, out: Path) -> None:
    """Bare Flask and Triton, each alone and both at once."""
    _record("beside", out, lambda triton: measure_beside(triton, rounds, seconds, click.echo))


@cli.command()
@in_rounds
@each_for(2)
@to_folder
def growth(rounds: int, seconds: float, out: Path) -> None:
    """Cost by items, connections, models, plugins and bytes."""
    _record("growth", out, lambda triton: measure_growth(triton, rounds, seconds, click.echo))


@cli.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0.1))
@to_folder
def memory(minutes: float, out: Path) -> None:
    """Memory of the workers, idle and under mixed load."""
    _record("memory", out, lambda triton: measure_memory(triton, minutes, click.echo))


@cli.command()
@click.option("--times", default=5, show_default=True, type=_ROUNDS)
@to_folder
def start(times: int, out: Path) -> None:
    """Time from the start of the process to the first answer."""
    _record("start", out, lambda triton: measure_start(triton, times, click.echo))


@cli.command()
@each_for(10)
@to_folder
def liveness(seconds: float, out: Path) -> None:
    """Liveness while large photographs are decoded."""
    _record("liveness", out, lambda triton: measure_liveness(triton, seconds, click.echo))


@cli.command()
@each_for(3)
@to_folder
def batches(seconds: float, out: Path) -> None:
    """Batches that Triton sees, by the number of callers."""
    _record("batches", out, lambda triton: measure_batches(triton, seconds, click.echo))


@cli.command()
@click.option("--results", type=_FOLDER, default=RESULTS, help="Folder with the JSON.")
@click.option("--file", type=click.Path(path_type=Path), default=REPORT, help="What to write.")
def report(results: Path, file: Path) -> None:
    """Draw the plots and write the report on what was measured."""
    draw_plots(results)
    write_report(results, file)
    click.echo(f"wrote {file}")


@cli.command()
@click.pass_context
@click.option("--minutes", default=10.0, show_default=True, help="How long memory is watched.")
def full(context: click.Context, minutes: float) -> None:
    """Install everything, measure everything, write the report."""
    _clear(RESULTS)
    context.invoke(setup)
    context.invoke(compare, out=RESULTS)
    for command in (beside, batches, growth, start, liveness):
        context.invoke(command, out=RESULTS)
    context.invoke(memory, minutes=minutes, out=RESULTS)
    context.invoke(report)


@cli.command()
def quick() -> None:
    """Take a quick look: the vector and one picture cell, with whatever is installed."""
    _clear(QUICK)
    peers = [*find_peers().values()]
    compare_all({"vector": (1, 32), "efficientnet": (16,)}, peers, 3, 1, QUICK)
    draw_plots(QUICK)
    click.echo(write_report(QUICK, QUICK / "RESULTS.md"))


def _clear(folder: Path) -> None:
    """Remove what an earlier run measured, so that a report never mixes two."""
    for path in (*folder.glob("*.json"), *folder.glob("*.svg")):
        path.unlink()


def _choose(systems: tuple[str, ...]) -> list[Peer]:
    known = find_peers()
    unknown = sorted(set(systems) - set(known))
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)} is none of {', '.join(known)}")
    return [peer for name, peer in known.items() if not systems or name in systems]


def _record(name: str, out: Path, measure: Callable[[Backend], Any]) -> None:
    with running_triton(build_repository(MODELS)) as triton:
        write_json(out / f"{name}.json", measure(triton))
