"""``trihook serve``: the scoring host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trihook.cli.options import (
    log_to_stderr,
    read_settings,
    require_temporary_folder,
    settings_options,
)
from trihook.errors import ConfigError

if TYPE_CHECKING:
    from trihook.host.scripts.settings import ScriptSettings


def _both(name: str) -> tuple[str, str]:
    """Return an option's spelling, and the one of Azure's inference server."""
    return f"--{name}", f"--{name.replace('-', '_')}"


@click.command()
@settings_options
@click.option("--host", metavar="ADDRESS", help="Address to listen at.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen at.  [default: 5001]")
@click.option(
    "--workers",
    *_both("worker-count"),
    type=click.IntRange(1),
    help="Worker processes.  [default: 1]",
)
@click.option(
    "--skip-broken-plugins",
    is_flag=True,
    help="Serve without plugins that cannot be loaded, instead of ending with status 3.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.option(
    *_both("entry-script"),
    type=click.Path(path_type=Path),
    help="Serve this Azure ML entry script in place of the plugins.",
)
@click.option(*_both("model-dir"), help="Folder that the entry script gets as AZUREML_MODEL_DIR.")
@click.option(
    *_both("health-port"),
    type=click.IntRange(1, 65535),
    help="Further port, where liveness is answered while the entry script computes.",
)
@click.option(
    *_both("access-control-allow-origins"),
    metavar="ORIGINS",
    help="Origins, separated by commas, whose pages may call the entry script.",
)
@click.option(
    *_both("config-file"),
    type=click.Path(path_type=Path),
    help="JSON file with Azure's variables, for the entry script.",
)
def serve(
    config: Path | None,
    verbose: bool,
    entry_script: Path | None,
    model_dir: str | None,
    health_port: int | None,
    access_control_allow_origins: str | None,
    config_file: Path | None,
    **options: Any,
) -> None:
    """Serve the scoring host, in front of a Triton that may start later.

    POST /score, /score/MODEL or /score/MODEL/versions/VERSION takes JSON, multipart
    forms and raw bodies. GET /v2/health/ready says whether plugins, Triton and models
    are ready. With an entry script, routes and answers are those of Azure's inference
    server; its spellings of the options, with underscores, are taken as well.
    """
    settings = read_settings(config, **options)
    require_temporary_folder()
    if entry_script is None and config_file is None:
        for_scripts = {
            "--model-dir": model_dir,
            "--health-port": health_port,
            "--access-control-allow-origins": access_control_allow_origins,
        }
        for option, value in for_scripts.items():
            if value is not None:
                raise click.UsageError(f"{option} needs --entry-script")
        log_to_stderr(verbose=verbose)
        from trihook.host.server import serve as run  # noqa: PLC0415 - Gunicorn takes its time

        run(settings)
        return
    flags = {
        "entry_script": entry_script,
        "model_dir": model_dir,
        "health_port": health_port,
        "cors_origins": access_control_allow_origins,
        "config_file": config_file,
        "workers": options["workers"],
    }
    if settings.keys:
        raise click.UsageError(
            "keys are the scoring host's: with an entry script nobody asks for them"
        )
    script = _read_script_settings(flags)
    _hand_on(options)
    log_to_stderr(verbose=verbose)
    from trihook.host.scripts.server import serve_script  # noqa: PLC0415 - the same

    serve_script(settings, script)


def _read_script_settings(flags: dict[str, Any]) -> ScriptSettings:
    from trihook.host.scripts.settings import (  # noqa: PLC0415 - only scripts need it
        ScriptFlags,
        read_script_settings,
    )

    try:
        return read_script_settings(ScriptFlags(**flags), os.environ)
    except ConfigError as exc:
        raise click.UsageError(str(exc)) from exc


def _hand_on(options: dict[str, Any]) -> None:
    """Put what was said of Triton and the plugins where a generated entry script finds it."""
    given = {
        "TRIHOOK_TRITON_URL": options["triton_url"],
        "TRIHOOK_BLOCK_PLUGINS": ",".join(options["block_plugins"]),
        "TRIHOOK_SKIP_BROKEN_PLUGINS": "true" if options["skip_broken_plugins"] else "",
    }
    os.environ.update({name: value for name, value in given.items() if value})
