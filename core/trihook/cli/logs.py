"""``trihook logs``: what a local service wrote."""

from __future__ import annotations

from pathlib import Path

import click

from trihook.cli.options import home_option, read_home


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on until the service is deleted.")
@home_option
def logs(name: str, follow: bool, home: Path | None) -> None:
    """Print the logs of the local service NAME, each line with the part that wrote it."""
    from trihook.deploy import LocalService  # noqa: PLC0415 - only these commands need it

    service = LocalService.find(name, home=read_home(home).folder)
    for part, line in service.log_lines(follow=follow):
        click.echo(f"{part:<11} | {line}")
