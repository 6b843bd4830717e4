"""``trihook register``: a folder of models becomes the next version of a name."""

from __future__ import annotations

from pathlib import Path

import click

from trihook.cli.options import home_option, read_home


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    for value in values:
        if not value.partition("=")[0] or "=" not in value:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE", ctx, param)
    return {key: rest for key, _, rest in (value.partition("=") for value in values)}


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name to register it under.")
@click.option("--description", default="", help="What it is, for people.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_pairs,
    help="A tag; may be repeated.",
)
@home_option
def register(
    path: Path, name: str, description: str, tags: dict[str, str], home: Path | None
) -> None:
    """Register PATH, a folder that holds a model repository called "triton".

    The first registration of a name is its version 1, the next one 2, and so on. The files
    are copied: what becomes of PATH afterwards does not matter.
    """
    from trihook.deploy import Registry  # noqa: PLC0415 - only these commands need it

    registry = Registry(read_home(home))
    model = registry.register(path, name, tags=tags, description=description)
    click.echo(f"registered {model}")
