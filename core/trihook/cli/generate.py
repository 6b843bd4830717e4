"""``trihook generate``: files for deployments."""

from __future__ import annotations

import click

from trihook.cli.lazy import LazyGroup

_COMMANDS = {
    "azureml": "Write configuration files for Azure ML.",
    "entry-script": "Write score.py.",
    "plugin": "Write a distribution with a new plugin.",
}


@click.group(cls=LazyGroup, summaries=_COMMANDS, prefix="generate_")
def generate() -> None:
    """Write the files that a deployment, or a plugin, begins with."""
