"""``trihook serve``: the scoring host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from trihook.cli.options import log_to_stderr, read_settings, settings_options


@click.command()
@settings_options
@click.option("--host", metavar="ADDRESS", help="Address to listen at.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen at.  [default: 5001]")
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: 1]")
@click.option(
    "--skip-broken-plugins",
    is_flag=True,
    help="Serve without plugins that cannot be loaded, instead of ending with status 3.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve(config: Path | None, verbose: bool, **options: Any) -> None:
    """Serve the scoring host, in front of a Triton that may start later.

    POST /score, /score/MODEL or /score/MODEL/versions/VERSION takes JSON, multipart
    forms and raw bodies. GET /v2/health/ready says whether plugins, Triton and models
    are ready.
    """
    settings = read_settings(config, **options)
    log_to_stderr(verbose=verbose)
    from trihook.host.server import serve as run  # noqa: PLC0415 - Gunicorn takes its time

    run(settings)
