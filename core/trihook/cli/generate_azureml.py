"""``trihook generate azureml``: what the Azure tools need to deploy an entry script."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trihook.cli.options import block_option, config_option, read_settings, usage_errors

if TYPE_CHECKING:
    from trihook.config import Settings
    from trihook.generate.azureml import Deployment


@click.command()
@click.option("--name", required=True, help="The service, endpoint and environment's name.")
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="NAME:VERSION",
    help="A registered model; may be repeated.",
)
@click.option(
    "--entry-script",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The entry script; see trihook generate entry-script.",
)
@click.option(
    "--model-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("models"),
    show_default=True,
    help="The folder that holds the folder triton.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("azureml"),
    show_default=True,
    help="The folder to write to.",
)
@click.option(
    "--plugin",
    "load_plugins",
    multiple=True,
    metavar="NAME",
    help="Plugin to install, and none that is not named; may be repeated.  [default: all]",
)
@click.option("--force", is_flag=True, help="Overwrite files that differ.")
@config_option
@block_option
def azureml(
    name: str,
    models: tuple[str, ...],
    entry_script: Path,
    model_dir: Path,
    output: Path,
    force: bool,
    config: Path | None,
    **options: Any,
) -> None:
    """Write what Azure Machine Learning's command lines need to deploy an entry script.

    The pip list pins the core and the plugins that the settings load, as they are installed
    here; those installed from a folder are packed as wheels. Prints the files that are new or
    have changed.
    """
    from trihook.generate.azureml import (  # noqa: PLC0415 - the commands start lean
        pack_wheels,
        read_requirements,
        render_files,
        write_files,
    )

    with usage_errors():
        deployment = _deployment(name, models, entry_script, model_dir, output)
    requirements = read_requirements(_plugins(read_settings(config, **options)))
    wheels = pack_wheels(requirements)
    files = render_files(deployment, entry_script.read_bytes(), requirements, wheels)
    for path in write_files(files, output, force=force):
        click.echo(path)


def _deployment(
    name: str, models: tuple[str, ...], entry_script: Path, model_dir: Path, output: Path
) -> Deployment:
    from trihook.generate.azureml import AssetVersion, Deployment  # noqa: PLC0415

    return Deployment(
        name=name,
        models=tuple(map(AssetVersion.parse, models)),
        entry_script=entry_script.name,
        model_folder=Path(os.path.relpath(model_dir, output)).as_posix(),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
    )


def _plugins(settings: Settings) -> list[str]:
    """Return the distributions of the plugins that load; report those that do not.

    Raises ``click.UsageError`` for a chosen plugin that is not installed, and
    :class:`trihook.PluginError` for one that is broken, unless the settings skip it.
    """
    from trihook.plugins import describe_problem  # noqa: PLC0415
    from trihook.service import load_installed_plugins  # noqa: PLC0415

    loaded = load_installed_plugins(settings)
    if loaded.absent:
        raise click.UsageError("\n".join(loaded.absent))
    for absent in loaded.unblocked:
        click.echo(f"Warning: {absent}", err=True)
    if settings.load_plugins is not None and not settings.skip_broken_plugins:
        loaded.raise_if_broken()
    for problem in loaded.problems:
        click.echo(f"Error: {describe_problem(problem)}", err=True)
    return [plugin.distribution for plugin in loaded.plugins if plugin.state == "loaded"]
