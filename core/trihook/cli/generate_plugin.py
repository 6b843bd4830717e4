"""``trihook generate plugin``: a distribution with a new plugin."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click

from trihook.cli.options import usage_errors


@click.command()
@click.argument("name")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write to.  [default: trihook-NAME]",
)
@click.option("--force", is_flag=True, help="Overwrite files that differ.")
def plugin(name: str, output: Path | None, force: bool) -> None:
    """Write the distribution trihook-NAME, whose plugin works and has tests.

    It takes plain texts; put in what yours takes. Prints the files that are new or have
    changed.
    """
    from trihook.generate.plugin import render_plugin  # noqa: PLC0415 - jinja2 takes its time
    from trihook.generate.writing import write_files  # noqa: PLC0415

    with usage_errors():
        files = render_plugin(name, version("trihook"))
    folder = output or Path(f"trihook-{name.removeprefix('trihook-')}")
    for path in write_files(files, folder, force=force):
        click.echo(path)
