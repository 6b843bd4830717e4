"""An entry script: loaded, checked, and run with one request after the other."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from flask import Request

from trihook.errors import TrihookError
from trihook.host.scripts import schemas
from trihook.host.scripts.arguments import (
    Arguments,
    RefusedError,
    pass_request,
    pass_text,
    pass_values,
)
from trihook.host.scripts.azure_names import provide_azure_names
from trihook.host.scripts.settings import ScriptSettings
from trihook.host.scripts.timeout import ExpiredError, time_limit

MODULE = "entry_module"
_HEADERS = "request_headers"
_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class ScriptError(TrihookError):
    """An entry script cannot be loaded, or its ``init()`` raised."""


class RunError(Exception):
    """``run()`` raised; the cause is what."""


class RunTimeoutError(Exception):
    """``run()`` took longer than it may."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script that can be run, on the thread that called its ``init()``."""

    function: Callable[..., Any]
    arguments: Arguments
    timeout_ms: int
    wants_headers: bool
    has_schema: bool

    def run(self, request: Request) -> tuple[Any, float]:
        """Return what ``run()`` returns for a request, and how many milliseconds it took.

        Raises :class:`RefusedError` where the request is none for the script,
        :class:`RunTimeoutError` and :class:`RunError`.
        """
        arguments = self.arguments(request)
        if self.wants_headers:
            arguments[_HEADERS] = dict(request.headers)
        started = time.perf_counter()
        try:
            with time_limit(self.timeout_ms):
                result = self.function(**arguments)
        except ExpiredError as exc:
            raise RunTimeoutError from exc
        except (Exception, SystemExit) as exc:
            if self.has_schema and schemas.refused(exc, self.function):
                raise RefusedError(400, "The values do not fit the schema of run().") from exc
            raise RunError from exc
        return result, (time.perf_counter() - started) * 1000


def load_script(settings: ScriptSettings) -> Script:
    """Load a script and call its ``init()``, with the import path that it is promised.

    Raises :class:`ScriptError`, whose cause is what the script raised.
    """
    _extend_path(settings)
    path = settings.entry_script
    rawhttp = provide_azure_names()
    module = _import(path)
    for name in ("init", "run"):
        if not hasattr(module, name):
            raise ScriptError(f"entry script {path} has no function {name}()")
    script = _examine(_find_run(module), settings, is_raw=rawhttp.requested)
    try:
        module.init()
    except BaseException as exc:
        raise ScriptError(f"init() of entry script {path} raised {_describe(exc)}") from exc
    return script


def _extend_path(settings: ScriptSettings) -> None:
    """Let the script import from the current folder, the app's root and its source folder.

    They come before installed packages, so that none of these shadows a script's module, and
    behind Python's own library.
    """
    root = settings.app_root
    folders = [str(Path.cwd()), str(root)]
    if settings.source_directory:
        folders.append(str(root / settings.source_directory))
    installed = (n for n, path in enumerate(sys.path) if path.endswith("-packages"))
    place = next(installed, len(sys.path))
    sys.path[place:place] = [folder for folder in folders if folder not in sys.path]


def _import(path: Path) -> ModuleType:
    if not path.is_file():
        raise ScriptError(f"entry script {path} does not exist")
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise ScriptError(f"entry script {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # where pickle and dataclasses look for its classes
    try:
        spec.loader.exec_module(module)
    except BaseException as exc:
        raise ScriptError(f"importing entry script {path} raised {_describe(exc)}") from exc
    return module


def _find_run(module: ModuleType) -> Callable[..., Any]:
    """Return ``run`` of the script, or of the one that a generated driver stands before."""
    driven = getattr(module, "driver_module", None)
    source = driven if isinstance(driven, ModuleType) and hasattr(driven, "run") else module
    function: Callable[..., Any] = source.run
    if not callable(function):
        raise ScriptError(f"run of entry script {module.__file__} is not a function")
    return function


def _examine(run: Callable[..., Any], settings: ScriptSettings, *, is_raw: bool) -> Script:
    """Decide from its parameters and decorators how ``run()`` is to be called."""
    path = settings.entry_script
    parameters = list(inspect.signature(run).parameters.values())
    if any(parameter.kind not in _NAMED for parameter in parameters):
        raise ScriptError(
            f"run() of entry script {path} has positional-only parameters, *args or **kwargs"
        )
    data = [parameter for parameter in parameters if parameter.name != _HEADERS]
    if not data:
        raise ScriptError(f"run() of entry script {path} has no parameter for the data")
    has_schema = schemas.is_decorated(run)
    if is_raw and has_schema:
        raise ScriptError(f"run() of entry script {path} has both @rawhttp and a schema")
    if is_raw:
        arguments = pass_request(data[0].name)
    else:
        arguments = pass_values(data) if has_schema else pass_text(data[0].name)
    return Script(run, arguments, settings.timeout_ms, len(data) < len(parameters), has_schema)


def _describe(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()
