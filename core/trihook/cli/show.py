"""``trihook show``: one local service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trihook.cli.options import home_option, json_option, read_home

if TYPE_CHECKING:
    from trihook.deploy import LocalService


@click.command()
@click.argument("name")
@home_option
@json_option
def show(name: str, home: Path | None, as_json: bool) -> None:
    """Show the local service NAME: its state, what it runs, and what failed last."""
    from trihook.deploy import LocalService  # noqa: PLC0415 - only these commands need it

    shown = _as_object(LocalService.find(name, home=read_home(home).folder))
    if as_json:
        click.echo(json.dumps(shown))
        return
    width = max(map(len, shown))
    for key, value in shown.items():
        lines = value if isinstance(value, list) else [value]
        for number, line in enumerate(lines):
            click.echo(f"{'' if number else key:<{width}}  {line}".rstrip())


def _as_object(service: LocalService) -> dict[str, Any]:
    status, generation = service.status, service.generation
    failure = status.failure
    return {
        "name": service.name,
        "state": service.state,
        "scoring_uri": service.scoring_uri,
        "models": list(generation.spec.models),
        "entry_script": generation.spec.entry_script,
        "generation": generation.number,
        "updating": status.step if status.phase == "running" else "",
        "recoveries": status.recoveries,
        "supervisor": status.supervisor,
        "triton": status.triton,
        "host": status.host,
        "folder": str(service.folder),
        "failure": [f"{failure.part}: {failure.reason}", *failure.lines] if failure.part else [],
    }
