"""Options that several commands share, and how they become settings."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from trihook.errors import ConfigError
from trihook.fields import is_field_name, is_field_value

if TYPE_CHECKING:
    from trihook.config import Settings
    from trihook.deploy.home import Home

_DAY = 86400.0

Command = TypeVar("Command", bound=Callable[..., Any])


class Seconds(click.FloatRange):
    """A time that somebody waits for: above 0, up to a day."""

    name = "seconds"

    def __init__(self) -> None:
        super().__init__(0, _DAY, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the time in seconds."""
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):  # which is in any range, as click compares
            self.fail(f"{value!r} is not in the range {self._describe_range()}.", param, ctx)
        return seconds


config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file.  [default: trihook.toml, if there is one]",
)
triton_option = click.option(
    "--triton-url", metavar="HOST:PORT", help="Triton's HTTP service.  [default: localhost:8000]"
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of registered models and local services.  [default: ~/.local/share/trihook]",
)


def _block(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not value.startswith("no:") or value == "no:":
            raise click.BadParameter(f"{value!r} is not no:NAME", ctx, param)
    return tuple(value.removeprefix("no:") for value in values)


block_option = click.option(
    "-p",
    "block_plugins",
    multiple=True,
    metavar="no:NAME",
    callback=_block,
    help="Leave out a plugin, by its name or its distribution's; may be repeated.",
)


def _read_headers(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    headers = {}
    for value in values:
        name, colon, text = value.partition(":")
        if not colon or not name.strip():
            raise click.BadParameter(f"{value!r} is not NAME:VALUE", ctx, param)
        if not (is_field_name(name.strip()) and is_field_value(text.strip())):
            raise click.BadParameter(f"{value!r} is no header that can be sent", ctx, param)
        headers[name.strip()] = text.strip()
    return headers


header_option = click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    callback=_read_headers,
    help="Send a header along; may be repeated.",
)


def settings_options(command: Command) -> Command:
    """Add the options that say which settings, Triton and plugins a command works with."""
    for option in (block_option, triton_option, config_option):
        command = option(command)
    return command


@contextlib.contextmanager
def usage_errors() -> Iterator[None]:
    """Raise ``click.UsageError`` for a ``ConfigError``, so that the command ends with 2."""
    try:
        yield
    except ConfigError as exc:
        raise click.UsageError(str(exc)) from exc


def read_settings(config: Path | None, **options: Any) -> Settings:
    """Build the settings from all layers; options that were not given are None or empty.

    Raises ``click.UsageError`` for a setting that is wrong, so that the command ends with 2.
    """
    from trihook.config import load_settings  # noqa: PLC0415 - pydantic takes its time

    # by identity: port 0 equals False
    given = {
        name: value
        for name, value in options.items()
        if not (value is None or value is False or value == ())
    }
    with usage_errors():
        return load_settings(given, os.environ, config)


def require_temporary_folder() -> None:
    """Raise ``click.UsageError`` where no file can be written that is only for a while."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as exc:
        raise click.UsageError(
            "no folder for temporary files can be written to: mount one at /tmp, or name one in "
            "TMPDIR"
        ) from exc


def read_home(home: Path | None) -> Home:
    """Return the home that the command line or the settings name.

    Raises ``click.UsageError`` for a setting that is wrong.
    """
    from trihook.deploy.home import find_home  # noqa: PLC0415 - pydantic takes its time

    with usage_errors():
        return find_home(home)


def log_to_stderr(*, verbose: bool = False) -> None:
    """Send trihook's log to standard error."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
    )
