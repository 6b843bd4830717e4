"""``trihook delete``: the end of a local service."""

from __future__ import annotations

from pathlib import Path

import click

from trihook.cli.options import home_option, read_home


@click.command()
@click.argument("name")
@home_option
def delete(name: str, home: Path | None) -> None:
    """End the local service NAME and remove all of it; registered models stay."""
    from trihook.deploy import LocalService  # noqa: PLC0415 - only these commands need it

    LocalService.find(name, home=read_home(home).folder).delete()
    click.echo(f"deleted {name}")
