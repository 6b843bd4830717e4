"""A group of commands that are imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries, and imports one to run it.

    The command ``a-b`` is the function ``a_b`` of the module ``trihook.cli.<prefix>a_b``.
    """

    def __init__(
        self, *args: Any, summaries: Mapping[str, str], prefix: str = "", **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self._summaries = summaries
        self._prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands, sorted."""
        return sorted(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in self._summaries:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"trihook.cli.{self._prefix}{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(self._summaries.items()))
