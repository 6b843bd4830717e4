"""The Swagger documents of an entry script: the user's own files, else made from its schemas."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trihook.host.scripts import schemas
from trihook.host.scripts.arguments import RefusedError
from trihook.host.scripts.script import ScriptError
from trihook.host.scripts.settings import ScriptSettings

_FILES = {
    "2": ("swagger.json", "swagger2.json"),
    "3": ("swagger3.json",),
    "3.1": ("swagger3.1.json",),
}
_ALIASES = {"2": "2", "2.0": "2", "3": "3", "3.0": "3", "3.1": "3.1"}
_OPENAPI = {"3": "3.0.3", "3.1": "3.1.0"}
_BEARER = {
    "type": "apiKey",
    "name": "Authorization",
    "in": "header",
    "description": "Bearer and the service's key.",
}


class Swagger:
    """The documents by version, as they are once ``init()`` has run.

    Raises :class:`ScriptError` for a file that is not JSON.
    """

    def __init__(self, run: Callable[..., Any], settings: ScriptSettings) -> None:
        found = {version: _make(version, run, settings) for version in _FILES}
        self._documents = {version: made for version, made in found.items() if made}

    def document(self, version: str) -> Any:
        """Return the document of a version, or raise :class:`RefusedError`."""
        supported = ", ".join(self._documents)
        if version not in _ALIASES:
            raise RefusedError(
                404,
                f"Swagger version [{version}] is not valid. Supported versions: [{supported}].",
            )
        if _ALIASES[version] not in self._documents:
            raise RefusedError(
                404,
                f"Swagger version [{version}] is not supported for the scoring script. "
                f"Supported swagger versions: [{supported}].",
            )
        return self._documents[_ALIASES[version]]


def _make(version: str, run: Callable[..., Any], settings: ScriptSettings) -> Any:
    for name in _FILES[version]:
        if own := _read(settings.app_root / name):
            return own
    known = schemas.supported_versions(run)
    if not any(alias in known for alias, of in _ALIASES.items() if of == version):
        return None
    return _generate(version, schemas.input_and_output(run), settings)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise ScriptError(f"{path} is not JSON: {exc}") from exc


def _generate(version: str, of_run: tuple[Any, Any], settings: ScriptSettings) -> dict[str, Any]:
    name = settings.service_name
    info = {
        "title": name,
        "description": f"The scoring service {name}.",
        "version": settings.service_version,
    }
    security: list[dict[str, list[str]]] = [{"Bearer": []}]
    paths = _paths(settings.path_prefix, is_2=version == "2", security=security)
    models = {
        "ServiceInput": of_run[0],
        "ServiceOutput": of_run[1],
        "ErrorResponse": {"type": "object", "properties": {"message": {"type": "string"}}},
    }
    if version == "2":
        json_only = ["application/json"]
        return {
            "swagger": "2.0",
            "info": info,
            "schemes": ["https"],
            "consumes": json_only,
            "produces": json_only,
            "securityDefinitions": {"Bearer": _BEARER},
            "paths": paths,
            "definitions": models,
        }
    return {
        "openapi": _OPENAPI[version],
        "info": info,
        "security": security,
        "paths": paths,
        "components": {"schemas": models, "securitySchemes": {"Bearer": _BEARER}},
    }


def _paths(prefix: str, *, is_2: bool, security: list[dict[str, list[str]]]) -> dict[str, Any]:
    root = f"/{prefix.strip('/')}" if prefix else ""
    text = {"type": "string"}
    healthy = (
        {"schema": text, "examples": {"application/json": "Healthy"}}
        if is_2
        else {"content": {"text/plain": {"schema": {**text, "example": "Healthy"}}}}
    )
    document = {"schema": text} if is_2 else {"content": {"text/plain": {"schema": text}}}
    version = {"type": "integer", "enum": [2, 3]}
    parameter = {"name": "version", "in": "query", "required": False}
    home = {
        "operationId": "ServiceHealthCheck",
        "description": "Tells that the service is alive.",
        "responses": _responses(healthy, is_2=is_2),
    }
    score = {
        "operationId": "RunMLService",
        "description": "Scores.",
        "security": security,
        **_payload(is_2=is_2),
        "responses": _responses(_holding("ServiceOutput", is_2=is_2), is_2=is_2),
    }
    swagger = {
        "operationId": "GetSwaggerSpec",
        "description": "Gives this document.",
        "parameters": [parameter | (version if is_2 else {"schema": version})],
        "responses": _responses(document, is_2=is_2),
    }
    operations = {"/": {"get": home}, "/score": {"post": score}, "/swagger.json": {"get": swagger}}
    return {f"{root}{path}": operation for path, operation in operations.items()}


def _payload(*, is_2: bool) -> dict[str, Any]:
    body = {"description": "What is to be scored.", **_holding("ServiceInput", is_2=is_2)}
    if is_2:
        return {"parameters": [{"name": "serviceInputPayload", "in": "body", **body}]}
    return {"requestBody": body}


def _responses(good: dict[str, Any], *, is_2: bool) -> dict[str, Any]:
    return {
        "200": {"description": "The answer.", **good},
        "default": {"description": "What went wrong.", **_holding("ErrorResponse", is_2=is_2)},
    }


def _holding(model: str, *, is_2: bool) -> dict[str, Any]:
    if is_2:
        return {"schema": {"$ref": f"#/definitions/{model}"}}
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}}}
