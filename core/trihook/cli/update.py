"""``trihook update``: a local service runs something else, and no request is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from trihook.cli.deploying import host_options
from trihook.cli.options import home_option, read_home, usage_errors


@click.command()
@click.argument("name")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME[:VERSION]",
    help="Registered model, in the place of all that it runs now; may be repeated.",
)
@host_options
@home_option
def update(name: str, models: tuple[str, ...], home: Path | None, **options: Any) -> None:
    """Replace what the local service NAME runs, without losing a request.

    What is not given stays as it is. A second Triton and host take over when they are ready;
    if they do not get there, the first ones go on.
    """
    from trihook.deploy import LocalService  # noqa: PLC0415 - only these commands need it

    service = LocalService.find(name, home=read_home(home).folder)
    with usage_errors():
        service.update(models or None, show_output=True, say=click.echo, **options)
    click.echo(f"service {name} is updated at {service.scoring_uri}")
