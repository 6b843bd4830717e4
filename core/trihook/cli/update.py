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
@click.option("--cancel", is_flag=True, help="Give up the update that is under way.")
@home_option
def update(
    name: str, models: tuple[str, ...], cancel: bool, home: Path | None, **options: Any
) -> None:
    """Replace what the local service NAME runs, without losing a request.

    What is not given stays as it is. A second Triton and host take over when they are ready;
    if they do not get there, or Ctrl-C is pressed, the first ones go on.
    """
    from trihook.deploy import LocalService  # noqa: PLC0415 - only these commands need it

    if cancel and (models or any(value is not None for value in options.values())):
        raise click.UsageError("--cancel goes with nothing else")
    service = LocalService.find(name, home=read_home(home).folder)
    if cancel:
        service.cancel_update()
        click.echo(f"the update of service {name} is cancelled")
        return
    with usage_errors():
        service.update(models or None, show_output=True, say=click.echo, **options)
    click.echo(f"service {name} is updated at {service.scoring_uri}")
