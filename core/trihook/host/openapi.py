"""The OpenAPI description of the scoring routes, for the models that are loaded."""

from __future__ import annotations

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
_STATUSES = {
    "400": "The body is malformed, undecodable or of the wrong type.",
    "404": "No such model.",
    "413": "The body or a picture is too large.",
    "415": "No plugin takes this media type.",
    "500": "A plugin failed.",
    "502": "Triton answered with an error.",
    "503": "Overloaded, Triton is unreachable or the model is not ready.",
    "504": "Triton or a plugin was too slow.",
}


def describe_api(service: Service) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document with a path for each loaded model."""
    models = service.catalog.models
    paths: dict[str, Any] = {"/score": {"post": _operation("the chosen model", "score")}}
    for name in models:
        paths[f"/score/{name}"] = {"post": _operation(f"model {name}", f"score_{name}")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "trihook", "version": version("trihook")},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


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
