"""``trihook services``: which local services there are, and how they are."""

from __future__ import annotations

import json
from pathlib import Path

import click

from trihook.cli.options import home_option, json_option, read_home
from trihook.cli.tables import format_table


@click.command()
@home_option
@json_option
def services(home: Path | None, as_json: bool) -> None:
    """List the local services and their states.

    running: host and Triton answer. starting, stopping: it is under way. broken: a part
    does not answer now, and is being started again. failed: it did not come up. stopped:
    its processes have gone, as after a restart of the machine.
    """
    from trihook.deploy import LocalService  # noqa: PLC0415 - only these commands need it

    rows = [
        (service.name, service.state, ",".join(service.generation.spec.models), service.scoring_uri)
        for service in LocalService.find_all(home=read_home(home).folder)
    ]
    header = ("NAME", "STATE", "MODELS", "SCORING URI")
    if as_json:
        keys = [name.lower().replace(" ", "_") for name in header]
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
    else:
        click.echo(format_table(header, rows))
