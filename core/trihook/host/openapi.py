"""The OpenAPI description of the scoring routes, for the models that are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from trihook.service import Service

_ERROR = {
    "type": "object",
    "required": ["message", "code", "stage", "plugin", "request_id"],
    "properties": {
        name: {"type": "string"} for name in ("message", "code", "stage", "plugin", "request_id")
    },
}
_KEY = {"type": "http", "scheme": "bearer"}
_STATUSES = {
    "400": "The body is malformed, undecodable or of the wrong type.",
    "401": "The host wants a key, and this is none that it knows.",
    "404": "No such model.",
    "413": "The body or a picture is too large.",
    "415": "No plugin takes this media type.",
    "500": "A plugin failed.",
    "502": "Triton answered with an error.",
    "503": "Overloaded, Triton is unreachable or the model is not ready.",
    "504": "Triton or a plugin was too slow.",
}


def describe_api(service: Service) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document with paths for each loaded model and its versions."""
    models = service.catalog.models
    named = [_parameter(name, "query") for name in ("model", "version")]
    paths = {"/score": _path("the chosen model", "score", *named)}
    for name, model in models.items():
        paths[f"/score/{name}"] = _path(f"model {name}", f"score_{name}")
        paths[f"/score/{name}/versions/{{version}}"] = _path(
            f"a version of model {name}",
            f"score_version_{name}",
            _parameter("version", "path", model.versions),
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "trihook", "version": version("trihook")},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}, "securitySchemes": {"key": _KEY}},
        "security": [{"key": []}] if service.settings.keys else [],
    }


def _parameter(name: str, place: str, values: Sequence[str] = ()) -> dict[str, Any]:
    schema = {"type": "string", **({"enum": [*values]} if values else {})}
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _path(what: str, operation_id: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    operation = _operation(what, operation_id)
    return {"post": {**operation, "parameters": [*parameters]} if parameters else operation}


def _operation(what: str, operation_id: str) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses: dict[str, Any] = {
        status: {"description": description, "content": error}
        for status, description in _STATUSES.items()
    }
    reply: dict[str, Any] = {"application/json": {"schema": {}}}
    responses["200"] = {"description": "The reply, or several.", "content": reply}
    return {
        "operationId": operation_id,
        "summary": f"Score one item or several with {what}.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {}},
                "multipart/form-data": {"schema": {"type": "object"}},
                "*/*": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "responses": dict(sorted(responses.items())),
    }
