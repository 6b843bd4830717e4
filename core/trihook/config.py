"""Settings: ``trihook.toml``, overridden by ``TRIHOOK_*``, overridden by the command line.

pydantic checks the values; the layers are put on top of each other here.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trihook.errors import ConfigError
from trihook.setting_types import Address, Integer, Keys, Names, OptionValue, Seconds
from trihook.types import Option

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "trihook.toml"
PREFIX = "TRIHOOK_"
_FILE_VARIABLE = "TRIHOOK_CONFIG"
_NOT_SETTINGS = (_FILE_VARIABLE, "TRIHOOK_KEY")  # the second is the client's
# Kubernetes describes a service named "trihook" or "trihook-…" in every container of its namespace
_KUBERNETES = re.compile(
    r"TRIHOOK_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)"
)
_KUBERNETES_PORT = re.compile(r"TRIHOOK_(\w+_)?PORT=(tcp|udp|sctp)://.*")
_TABLES = ("options", "models")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(_Table):
    """What ``[models.NAME]`` says of one model.

    ``max_batch`` is how many rows an inference may have, where that is to be fewer than the model
    allows. ``concurrency`` is how many inferences a worker may have under way, chosen from the
    model's instances where it is not given. An inference that is not full waits for
    ``max_delay`` seconds. ``options`` override the ``parameters`` of the model's
    ``config.pbtxt``; plugins read them.
    """

    max_batch: Integer | None = Field(default=None, ge=1)
    concurrency: Integer | None = Field(default=None, ge=1)
    max_delay: Seconds = Field(default=0.0, ge=0, le=10)
    options: dict[str, OptionValue] = Field(default_factory=dict)


class Settings(_Table):
    """All settings, with their defaults; times are in seconds, sizes in bytes.

    ``triton_url`` is where Triton's HTTP service listens and ``triton_connections`` how many
    connections a worker keeps to it. ``host``, ``port`` and ``workers`` are the scoring host's;
    where there are ``keys``, callers must hold one of them.
    A request has ``timeout`` to be answered (0: no limit) and its body may hold
    ``max_body_bytes`` and ``max_items``; a worker takes ``max_requests`` at a time and runs
    hooks in ``hook_threads`` native threads. ``refresh_interval`` is how old the metadata of a
    model in use may get. ``max_queue`` bounds the items that wait for one model in a worker;
    ``share_batches`` lets items of several requests share an inference. ``share_memory`` lets
    large tensors reach a Triton on the same machine by shared memory. A worker whose only
    request waits for Triton stays awake for ``busy_poll`` (0: never). With ``metrics`` the
    host tells Prometheus of its requests. ``default_model`` scores what names no model.
    ``load_plugins``, where given, are the only plugins loaded, ``block_plugins`` are not;
    ``skip_broken_plugins`` serves without those that cannot be loaded.
    ``options`` are for every model, ``models`` for one.
    ``home`` is the folder of registered models and local services, ``$XDG_DATA_HOME/trihook``
    where it is empty.
    """

    triton_url: Address = "localhost:8000"
    triton_connections: Integer = Field(16, ge=1)
    host: str = Field("127.0.0.1", min_length=1)
    port: Integer = Field(5001, ge=0, le=65535)
    workers: Integer = Field(1, ge=1)
    keys: Keys = ()
    timeout: Seconds = Field(30.0, ge=0)
    graceful_timeout: Seconds = Field(30.0, ge=0, allow_inf_nan=False)
    max_body_bytes: Integer = Field(64 * 1024 * 1024, ge=1)
    max_items: Integer = Field(4096, ge=1)
    max_requests: Integer = Field(256, ge=1)
    hook_threads: Integer = Field(4, ge=1)
    refresh_interval: Seconds = Field(10.0, gt=0)
    max_queue: Integer = Field(1024, ge=1)
    share_batches: bool = True
    share_memory: bool = True
    busy_poll: Seconds = Field(0.001, ge=0, le=1)
    metrics: bool = False
    default_model: str = ""
    load_plugins: Names | None = None
    block_plugins: Names = ()
    skip_broken_plugins: bool = False
    home: str = ""
    options: dict[str, OptionValue] = Field(default_factory=dict)
    models: dict[str, ModelSettings] = Field(default_factory=dict)

    def options_of(self, model: str) -> Mapping[str, Option]:
        """Return the options that the settings give to one model."""
        own = self.models[model].options if model in self.models else {}
        return {**self.options, **own}


def load_settings(
    overrides: Mapping[str, Any],
    environment: Mapping[str, str],
    file: Path | None = None,
) -> Settings:
    """Build the settings from a file, the environment and ``overrides``, the last one winning.

    The file is ``file``, else the one that ``TRIHOOK_CONFIG`` names, else ``trihook.toml`` in
    the current folder if there is one. Raises :class:`ConfigError`, naming the setting, where
    it was set, and for an unknown one the nearest that exists.
    """
    named = file or (Path(environment[_FILE_VARIABLE]) if environment.get(_FILE_VARIABLE) else None)
    layers = [
        (str(named or FILE_NAME), _read_file(named)),
        ("the environment", _read_environment(environment)),
        ("the command line", overrides),
    ]
    return _build(layers)


def settings_of_script(settings: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Return the settings that an entry script holds, overridden by the environment.

    No file is read. Raises :class:`ConfigError` for a setting that is wrong.
    """
    layers = [("the entry script", settings), ("the environment", _read_environment(environment))]
    return _build(layers)


def _build(layers: Iterable[tuple[str, Mapping[str, Any]]]) -> Settings:
    """Put layers, each with where it comes from, on top of each other."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        values |= layer
        origins |= dict.fromkeys(layer, origin)
    try:
        return Settings.model_validate(values)
    except ValidationError as exc:
        raise ConfigError("\n".join(_explain(exc, origins))) from exc


def _read_file(named: Path | None) -> dict[str, Any]:
    path = named or Path(FILE_NAME)
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as exc:
        if named is None:
            return {}
        raise ConfigError(f"settings file {path} does not exist") from exc
    except OSError as exc:
        raise ConfigError(f"settings file {path} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"settings file {path} is not TOML: {exc}") from exc


def _read_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``TRIHOOK_*`` by setting; tables are for the file."""
    values = {}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or _is_foreign(variable, value):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in _TABLES:
            raise ConfigError(f"{variable} is a table, which only {FILE_NAME} can hold")
        if name not in Settings.model_fields:
            known = (
                PREFIX + field.upper() for field in Settings.model_fields if field not in _TABLES
            )
            raise ConfigError(f"{variable} is no setting{_suggest(variable, known)}")
        values[name] = value
    return values


def _is_foreign(variable: str, value: str) -> bool:
    """Tell a variable that has our prefix and is no setting of ours."""
    return (
        variable in _NOT_SETTINGS
        or _KUBERNETES.fullmatch(variable) is not None
        or _KUBERNETES_PORT.fullmatch(f"{variable}={value}") is not None
    )


def _explain(exc: ValidationError, origins: Mapping[str, str]) -> Iterable[str]:
    for error in exc.errors(include_url=False):
        path = ".".join(map(str, error["loc"]))
        origin = origins.get(str(error["loc"][0]), "the settings")
        if error["type"] == "extra_forbidden":
            yield f"{path!r} in {origin} is no setting{_suggest(path, _known(error['loc']))}"
        else:
            problem = error["msg"].removeprefix("Value error, ")
            problem = problem[0].lower() + problem[1:]
            given = "a secret" if error["loc"][0] == "keys" else repr(error["input"])
            yield f"setting {path!r} in {origin} is {given}: {problem}"


def _known(location: tuple[int | str, ...]) -> Iterable[str]:
    """Return the names that are known where an unknown one stood."""
    if len(location) == 1:
        return Settings.model_fields
    prefix = ".".join(map(str, location[:-1]))
    return (f"{prefix}.{name}" for name in ModelSettings.model_fields)


def _suggest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
