"""Options that say what a local service runs, for those commands that change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_FILE = click.Path(dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option(
        "--entry-script",
        type=_FILE,
        help="Script with init() and run() that scores, in place of the plugins.",
    ),
    click.option(
        "--source-directory",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder that is copied for the script, which is named by its path in it.",
    ),
    click.option(
        "--environment",
        type=_FILE,
        help="Conda file, whose pip list the host gets in an environment of its own.",
    ),
    click.option(
        "--config",
        type=_FILE,
        help="Settings file for the host.",
    ),
)


def host_options(command: Command) -> Command:
    """Add the options that say what the host runs."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
