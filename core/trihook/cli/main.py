"""The ``trihook`` command: its groups are imported when they are called."""

from __future__ import annotations

import sys
from typing import Any

import click

from trihook.cli.lazy import LazyGroup
from trihook.errors import (
    ConfigError,
    RepositoryError,
    TrihookError,
    TritonUnavailableError,
    describe_os_error,
)

_COMMANDS = {
    "check": "Check plugins, Triton and how they fit together.",
    "delete": "End a local service and remove all of it.",
    "deploy": "Deploy registered models as a local service.",
    "explain": "Show how a file is scored: plugins, tensors and times.",
    "generate": "Write entry scripts and deployment files.",
    "logs": "Print the logs of a local service.",
    "models": "List the models that Triton has loaded.",
    "plugins": "List the installed plugins.",
    "register": "Register a folder of models.",
    "registry": "List, show and delete registered models.",
    "score": "Send files to a scoring URI.",
    "serve": "Serve the scoring host.",
    "services": "List the local services.",
    "show": "Show a local service.",
    "triton": "Run the embedded Triton on a model repository.",
    "update": "Replace what a local service runs.",
}


@click.group(
    cls=LazyGroup,
    summaries=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="trihook", prog_name="trihook")
def cli() -> None:
    """Put pre- and post-processing plugins in front of NVIDIA Triton.

    Settings come from trihook.toml, then from TRIHOOK_* variables, then from the
    options given here; the later wins.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; errors that trihook raises on purpose end it with one line."""
    try:
        return cli.main(arguments, prog_name="trihook", standalone_mode=True)
    except TrihookError as exc:
        for line in str(exc).splitlines():
            click.echo(f"Error: {line}", err=True)
        if isinstance(exc, TritonUnavailableError):
            click.echo("Is it running (trihook triton), and is --triton-url right?", err=True)
        sys.exit(2 if isinstance(exc, ConfigError | RepositoryError) else 1)
    except OSError as exc:  # a folder that may not be looked into, a disk that fails
        click.echo(f"Error: {describe_os_error(exc)}", err=True)
        sys.exit(1)
