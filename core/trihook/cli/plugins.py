"""``trihook plugins``: what is installed, and in which state."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from trihook.cli.options import block_option, config_option, json_option, read_settings
from trihook.cli.tables import format_table


@click.command()
@config_option
@block_option
@json_option
def plugins(config: Path | None, as_json: bool, **options: Any) -> None:
    """List the installed plugins: name, distribution, version, state and hooks.

    A plugin is loaded, blocked (by -p no:NAME or the settings) or broken; what is wrong
    with a broken one is said below the list. Names in the settings that no plugin has are
    warned of.
    """
    from trihook.plugins import describe_problem  # noqa: PLC0415 - numpy takes its time
    from trihook.replies import encode_json  # noqa: PLC0415
    from trihook.service import load_installed_plugins  # noqa: PLC0415

    loaded = load_installed_plugins(read_settings(config, **options))
    for absent in (*loaded.absent, *loaded.unblocked):
        click.echo(f"Warning: {absent}", err=True)
    if as_json:
        click.echo(encode_json([asdict(plugin) for plugin in loaded.plugins]))
        return
    rows = [
        (p.name, p.distribution, p.version, p.state, ", ".join(p.hooks)) for p in loaded.plugins
    ]
    click.echo(format_table(("NAME", "DISTRIBUTION", "VERSION", "STATE", "HOOKS"), rows))
    for problem in loaded.problems:
        click.echo(f"Error: {describe_problem(problem)}", err=True)
