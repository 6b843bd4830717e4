"""``trihook deploy``: registered models become a local service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from trihook.cli.deploying import host_options
from trihook.cli.options import Seconds, home_option, read_home, usage_errors


@click.command()
@click.argument("name")
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="NAME[:VERSION]",
    help="Registered model, by default its newest version; may be repeated.",
)
@host_options
@click.option("--port", type=click.IntRange(0, 65535), default=6789, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--timeout",
    type=Seconds(),
    default=600.0,
    show_default=True,
    help="Seconds that Triton, and then the host, have to become ready.",
)
@click.option("--overwrite", is_flag=True, help="Replace a service of this name.")
@home_option
def deploy(name: str, models: tuple[str, ...], home: Path | None, **options: Any) -> None:
    """Deploy registered models as the local service NAME, and wait until it is ready.

    The service runs a Triton and a scoring host of its own, detached from the terminal.
    A part of it that ends by itself is started again. Without an entry script the installed
    plugins score. Prints the scoring URI. Ctrl-C before it is ready deletes it.
    """
    if options["source_directory"] is not None and options["entry_script"] is None:
        raise click.UsageError("--source-directory needs --entry-script")
    from trihook.deploy import LocalService  # noqa: PLC0415 - only these commands need it

    with usage_errors():
        service = LocalService.deploy(name, models, home=read_home(home).folder, **options)
    try:
        service.wait_for_deployment(show_output=True, say=click.echo)
    except KeyboardInterrupt:
        service.delete()
        raise
    click.echo(f"service {name} is running at {service.scoring_uri}")
