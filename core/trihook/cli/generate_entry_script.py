"""``trihook generate entry-script``: write ``score.py``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from trihook.cli.options import block_option, config_option, triton_option


@click.command("entry-script")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="score.py",
    show_default=True,
    help="File to write.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Model to score with; may be repeated. The first scores what names no model.",
)
@click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="NAME",
    help="Plugin to load, and none that is not named; may be repeated.  [default: all]",
)
@click.option(
    "--option",
    "model_options",
    multiple=True,
    metavar="MODEL.KEY=VALUE",
    help="Option of a model; VALUE is JSON, or else text. May be repeated.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that has been edited.")
@block_option
@triton_option
@config_option
def entry_script(
    output: Path,
    models: tuple[str, ...],
    plugins: tuple[str, ...],
    model_options: tuple[str, ...],
    force: bool,
    block_plugins: tuple[str, ...],
    triton_url: str | None,
    config: Path | None,
) -> None:
    """Write an entry script for Azure Machine Learning.

    The settings, from trihook.toml and the options given here, are written out in it. It runs
    under Azure's inference server and under trihook serve --entry-script.
    """
    from trihook.config import load_settings  # noqa: PLC0415 - pydantic takes its time
    from trihook.errors import ConfigError  # noqa: PLC0415
    from trihook.generate.entry_script import (  # noqa: PLC0415
        render_entry_script,
        write_entry_script,
    )

    _check_installed(plugins, block_plugins)
    given: dict[str, Any] = {
        "triton_url": triton_url,
        "load_plugins": plugins,
        "block_plugins": block_plugins,
        "default_model": models[0] if models else None,
    }
    overrides = {name: value for name, value in given.items() if value}
    try:
        # the environment is the deployment's, which overrides the script then
        settings = load_settings({}, {}, config)
        tables = settings.model_dump(include={"models"})["models"]
        overrides["models"] = _merge_options(tables, models, model_options)
        settings = load_settings(overrides, {}, config)
    except ConfigError as exc:
        raise click.UsageError(str(exc)) from exc
    changed = write_entry_script(render_entry_script(settings), output, force=force)
    click.echo(f"{output} is {'written' if changed else 'as it was'}")


def _merge_options(
    tables: dict[str, Any], models: Sequence[str], model_options: Sequence[str]
) -> dict[str, Any]:
    """Return the settings' ``models`` with what the command line says of them."""
    for model in models[1:]:
        tables.setdefault(model, {"options": {}})
    for option in model_options:
        place, equals, text = option.partition("=")
        model, dot, key = place.rpartition(".")
        if not (equals and dot and model and key):
            raise click.BadParameter(f"{option!r} is not MODEL.KEY=VALUE", param_hint="'--option'")
        table = tables.setdefault(model, {"options": {}})
        table["options"][key] = _read_value(text)
    return tables


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check_installed(plugins: Sequence[str], blocked: Sequence[str]) -> None:
    """Refuse a plugin that the script could never load; warn of one that it need not leave out."""
    from trihook.plugins import describe_absent  # noqa: PLC0415 - pluggy takes its time

    for problem in describe_absent(plugins):
        raise click.BadParameter(problem, param_hint="'--plugin'")
    for problem in describe_absent(blocked):
        click.echo(f"Warning: {problem}", err=True)
