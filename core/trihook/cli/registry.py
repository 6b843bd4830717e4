"""``trihook registry``: what is registered."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trihook.cli.options import home_option, json_option, read_home
from trihook.cli.tables import format_table

if TYPE_CHECKING:
    from trihook.deploy import Model


@click.group()
def registry() -> None:
    """List, show and delete registered models."""


@registry.command("list")
@home_option
@json_option
def list_models(home: Path | None, as_json: bool) -> None:
    """List the registered models, a line for each version.

    What is wrong with a damaged one is said below the list.
    """
    from trihook.deploy import Registry  # noqa: PLC0415 - only these commands need it

    models = Registry(read_home(home)).models()
    if as_json:
        click.echo(json.dumps([_as_object(model) for model in models]))
        return
    rows = [
        (
            model.name,
            str(model.version),
            "damaged" if model.problem else model.created,
            _tags(model),
            model.description,
        )
        for model in models
    ]
    click.echo(format_table(("NAME", "VERSION", "CREATED", "TAGS", "DESCRIPTION"), rows))
    for problem in filter(None, (model.problem for model in models)):
        click.echo(f"Error: {problem}", err=True)


@registry.command()
@click.argument("model", metavar="NAME[:VERSION]")
@home_option
@json_option
def show(model: str, home: Path | None, as_json: bool) -> None:
    """Show one version, by default the newest, and check that its files are as registered."""
    from trihook.deploy import Registry  # noqa: PLC0415

    found = Registry(read_home(home)).find(model)
    if as_json:
        click.echo(json.dumps(_as_object(found)))
    else:
        click.echo(f"model        {found}")
        click.echo(f"created      {found.created}")
        click.echo(f"description  {found.description}".rstrip())
        click.echo(f"tags         {_tags(found)}".rstrip())
        click.echo(f"path         {found.path}")
        for name, digest in found.checksums.items():
            click.echo(f"sha256       {digest}  {name}")
    found.verify()


@registry.command()
@click.argument("model", metavar="NAME[:VERSION]")
@home_option
def delete(model: str, home: Path | None) -> None:
    """Delete one version or, where none is named, all of them.

    What a local service uses is not deleted.
    """
    from trihook.deploy import Registry, used_models  # noqa: PLC0415

    place = read_home(home)
    for deleted in Registry(place).delete(model, used_models(place)):
        click.echo(f"deleted {deleted}")


def _as_object(model: Model) -> dict[str, Any]:
    return {**asdict(model), "path": str(model.path)}


def _tags(model: Model) -> str:
    return ",".join(f"{key}={value}" for key, value in model.tags.items())
