"""From a request to the arguments of ``run()``."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from flask import Request

from trihook.errors import RequestError
from trihook.host.body import read_body

Arguments: TypeAlias = "Callable[[Request], dict[str, Any]]"


class RefusedError(Exception):
    """A request that does not reach the script, with the status and message for its caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def pass_request(parameter: str) -> Arguments:
    """Pass the request itself, whatever its method."""
    return lambda request: {parameter: request}


def pass_text(parameter: str) -> Arguments:
    """Pass the body as text; of a GET request, the query as JSON."""

    def read(request: Request) -> dict[str, Any]:
        if _is_get(request):
            return {parameter: json.dumps(_query(request))}
        try:
            return {parameter: _read_body(request).decode("utf-8")}
        except UnicodeDecodeError as exc:
            raise RefusedError(400, f"Input cannot be decoded as UTF-8: {exc}") from exc

    return read


def pass_values(parameters: Sequence[inspect.Parameter]) -> Arguments:
    """Pass the values of a JSON object, or of a GET request's query, by name."""

    def read(request: Request) -> dict[str, Any]:
        given = _query(request) if _is_get(request) else _json_object(request)
        values = {p.name: given.get(p.name, p.default) for p in parameters}
        for name, value in values.items():
            if value is inspect.Parameter.empty:
                raise RefusedError(400, f"A value is not provided for the {name!r} parameter.")
        return values

    return read


def _is_get(request: Request) -> bool:
    if request.method not in {"GET", "POST"}:
        raise RefusedError(405, "Method not allowed")
    return request.method == "GET"


def _query(request: Request) -> dict[str, Any]:
    """Return the query's values, read as JSON where they are; a repeated name's as a list."""
    return {
        name: [*map(_read_value, values)] if len(values) > 1 else _read_value(values[0])
        for name, values in request.args.lists()
    }


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _read_body(request: Request) -> bytes:
    """Return the whole body, whatever its media type."""
    try:
        return read_body(request.environ, sys.maxsize)
    except RequestError as exc:
        raise RefusedError(400, f"Input cannot be read: {exc.message}") from exc


def _json_object(request: Request) -> dict[str, Any]:
    if not request.is_json:
        raise RefusedError(415, "Expects Content-Type to be application/json")
    body = _read_body(request)
    if not body:
        raise RefusedError(400, "POST body is empty. Expecting a JSON dictionary.")
    try:
        value = json.loads(body)
    except RecursionError as exc:
        raise RefusedError(
            400, "POST body could not be decoded as JSON: it is nested too deeply"
        ) from exc
    except ValueError as exc:  # JSONDecodeError, and UnicodeDecodeError for what is not UTF-8
        raise RefusedError(400, f"POST body could not be decoded as JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise RefusedError(400, "POST body should be a JSON dictionary.")
    return value
