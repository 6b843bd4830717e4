"""What the package ``inference-schema`` knows of a script's ``run()``, if the script uses it."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any

_PACKAGE = "inference_schema"
_ALL_VERSIONS = ("2.0", "3.0", "3.1")
_EMPTY: dict[str, Any] = {"type": "object", "example": {}}


def is_decorated(run: Callable[..., Any]) -> bool:
    """Tell whether ``run`` has an input or output schema."""
    library = _library()
    return library is not None and bool(library.is_schema_decorated(run))


def supported_versions(run: Callable[..., Any]) -> tuple[str, ...]:
    """Return the Swagger versions in which the schemas can be told."""
    library = _library()
    return _ALL_VERSIONS if library is None else tuple(library.get_supported_versions(run))


def input_and_output(run: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the schemas of what goes in and what comes out."""
    library = _library()
    if library is None or not library.is_schema_decorated(run):
        return _EMPTY, _EMPTY
    return library.get_input_schema(run), library.get_output_schema(run)


def refused(error: BaseException, run: Callable[..., Any]) -> bool:
    """Tell whether the decorators raised, on values that they could not take.

    So it is where the innermost frame of either the decorators or the script is a decorator's.
    """
    script = inspect.unwrap(run)
    names = [
        frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    of_decorators = [n for n, name in enumerate(names) if name.partition(".")[0] == _PACKAGE]
    of_script = [n for n, name in enumerate(names) if name == script.__module__]
    return bool(of_decorators) and max(of_decorators) > max(of_script, default=-1)


def _library() -> Any:
    """Return the package where the script has imported it."""
    return sys.modules.get(f"{_PACKAGE}.schema_util")
