"""``trihook services``: which local services there are, and how they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trihook.cli.options import home_option, json_option, read_home
from trihook.cli.tables import format_table
from trihook.errors import DeploymentError

if TYPE_CHECKING:
    from trihook.deploy import LocalService


@click.command()
@home_option
@json_option
def services(home: Path | None, as_json: bool) -> None:
    """List the local services and their states.

    running: host and Triton answer. starting, stopping: it is under way. broken: a part
    does not answer now, and is being started again. failed: it did not come up. stopped:
    its processes have gone, as after a restart of the machine. damaged: what is written of
    it cannot be read, as is said below the list.
    """
    from trihook.deploy import LocalService  # noqa: PLC0415 - only these commands need it

    found = map(_row, LocalService.find_all(home=read_home(home).folder))
    rows = [row for row in found if row]
    header = ("NAME", "STATE", "MODELS", "SCORING URI")
    if as_json:
        keys = [name.lower().replace(" ", "_") for name in header]
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
    else:
        click.echo(format_table(header, rows))


def _row(service: LocalService) -> tuple[str, ...]:
    """Describe a service; what is wrong with a damaged one is said, one just deleted is empty."""
    try:
        models = ",".join(service.generation.spec.models)
        row = (service.name, service.state, models, service.scoring_uri)
    except DeploymentError as exc:
        if not service.folder.is_dir():
            return ()
        click.echo(f"Error: {exc}", err=True)
        row = (service.name, "damaged", "", "")
    return row
