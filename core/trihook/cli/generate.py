"""``trihook generate``: files for deployments; its commands are imported when they are called."""

from __future__ import annotations

import importlib

import click

_COMMANDS = {
    # name: where it is, and what it does
    "azureml": ("generate_azureml:azureml", "Write configuration files for Azure ML."),
    "entry-script": ("generate_entry_script:entry_script", "Write score.py."),
}


class _LazyGroup(click.Group):
    """A group that imports a command to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"trihook.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in sorted(_COMMANDS.items())])


@click.group(cls=_LazyGroup)
def generate() -> None:
    """Write the files that a deployment needs."""
