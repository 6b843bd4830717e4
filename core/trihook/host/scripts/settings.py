"""What a served entry script is told: flags, then Azure's variables, then a JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trihook.errors import ConfigError

DEFAULT_HEALTH_PORT = 5000
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class ScriptSettings:
    """How to serve one entry script.

    ``app_root`` is on the import path, and ``source_directory`` below it. ``model_dir`` is
    handed to the script as ``AZUREML_MODEL_DIR``. ``timeout_ms`` is how long one ``run()`` may
    take, 0 for any time, ``worker_timeout`` how many seconds a worker may be deaf before it
    is replaced. ``health_port`` 0 is none. ``service_*`` and ``path_prefix`` stand in the
    Swagger document.
    """

    entry_script: Path
    app_root: Path
    source_directory: str = ""
    model_dir: str = ""
    health_port: int = 0
    timeout_ms: int = _HOUR_MS
    cors_origins: tuple[str, ...] = ()
    service_name: str = "ML service"
    service_version: str = "1.0"
    path_prefix: str = ""
    workers: int = 0
    worker_timeout: int = 300
    preload: bool = False
    shows_version: bool = True


@dataclass(frozen=True, slots=True)
class ScriptFlags:
    """What the command line says of an entry script; None where it says nothing."""

    entry_script: Path | None = None
    model_dir: str | None = None
    health_port: int | None = None
    cors_origins: str | None = None
    config_file: Path | None = None
    workers: int | None = None


def read_script_settings(flags: ScriptFlags, environment: Mapping[str, str]) -> ScriptSettings:
    """Put flags before the environment before the file.

    Raises :class:`ConfigError` for a value that is wrong, and where no script is named.
    """
    app_root = Path(environment.get("AML_APP_ROOT") or Path.cwd())
    values = _Values(environment, _read_file(flags, environment, app_root))
    return ScriptSettings(
        entry_script=_find_script(flags, values, app_root),
        app_root=app_root,
        source_directory=values.text("AZUREML_SOURCE_DIRECTORY"),
        model_dir=flags.model_dir or values.text("AZUREML_MODEL_DIR"),
        health_port=_choose_health_port(flags, environment),
        timeout_ms=values.number("SCORING_TIMEOUT_MS", _HOUR_MS),
        cors_origins=_split(flags.cors_origins or values.text("AML_CORS_ORIGINS")),
        service_name=values.text("SERVICE_NAME", "ML service"),
        service_version=values.text("SERVICE_VERSION", "1.0"),
        path_prefix=values.text("SERVICE_PATH_PREFIX"),
        workers=flags.workers or values.number("WORKER_COUNT", 0),
        worker_timeout=values.number("WORKER_TIMEOUT", 300),
        preload=values.text("WORKER_PRELOAD").lower() == "true",
        shows_version=values.text("SERVER_VERSION_LOG_RESPONSE_ENABLED", "true").lower() == "true",
    )


class _Values:
    """Azure's variables: from the environment, else from the file."""

    def __init__(self, environment: Mapping[str, str], file: Mapping[str, Any]) -> None:
        self._environment = environment
        self._file = file

    def text(self, name: str, default: str = "") -> str:
        value = self._environment.get(name, self._file.get(name))
        return default if value is None else str(value)

    def number(self, name: str, default: int) -> int:
        value = self.text(name) or str(default)
        if not value.isdecimal():
            raise ConfigError(f"{name} is {value!r}: expected a number, 0 or above")
        return int(value)


def _find_script(flags: ScriptFlags, values: _Values, app_root: Path) -> Path:
    if flags.entry_script is not None:
        return Path(os.path.realpath(flags.entry_script))
    named = values.text("AZUREML_ENTRY_SCRIPT")
    if not named:
        raise ConfigError(
            f"settings file {flags.config_file} names no AZUREML_ENTRY_SCRIPT, "
            "and neither does the environment: name one with --entry-script"
        )
    return app_root / named


def _choose_health_port(flags: ScriptFlags, environment: Mapping[str, str]) -> int:
    if flags.health_port is not None:
        return flags.health_port
    # the variable's name is misspelt in Azure's server as well
    return DEFAULT_HEALTH_PORT if environment.get("SEPERATE_HEALTH_ENDPOINT") == "true" else 0


def _split(origins: str) -> tuple[str, ...]:
    return tuple(origin.strip() for origin in origins.split(",") if origin.strip())


def _read_file(
    flags: ScriptFlags, environment: Mapping[str, str], app_root: Path
) -> Mapping[str, Any]:
    """Read the named file, else ``config.json`` in the app's root or beside the script."""
    script = flags.entry_script or Path(environment.get("AZUREML_ENTRY_SCRIPT", app_root))
    named = flags.config_file or environment.get("AZUREML_CONFIG_FILE")
    places = [Path(named)] if named else []
    places += [folder / "config.json" for folder in (app_root, script.resolve().parent)]
    for path in places:
        if path.is_file() and path.stat().st_size:
            return _parse_file(path)
    if flags.config_file is not None:
        raise ConfigError(f"settings file {flags.config_file} does not exist or is empty")
    return {}


def _parse_file(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"settings file {path} is not JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise ConfigError(f"settings file {path} holds no JSON object")
    return content
