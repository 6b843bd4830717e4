"""The Flask application around an entry script: Azure's routes, headers and messages."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from trihook.host.scripts.arguments import RefusedError
from trihook.host.scripts.azure_names import FAILED_HEADER, AMLResponse
from trihook.host.scripts.cors import Cors
from trihook.host.scripts.identifiers import read_identifiers
from trihook.host.scripts.script import RunError, RunTimeoutError, Script
from trihook.host.scripts.settings import ScriptSettings
from trihook.host.scripts.swagger import Swagger

_LOG = logging.getLogger(__name__)
_RUN_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
_INTERNAL = "An unexpected internal error occurred. Check the logs for more info."


def create_script_app(script: Script, settings: ScriptSettings) -> Flask:
    """Return the application that answers with ``script``, one request at a time.

    Raises :class:`trihook.host.scripts.script.ScriptError` for a Swagger file that is none.
    """
    app = Flask("trihook")
    # a blueprint's functions see the requests that a route takes; ids are for these alone
    routes = Blueprint("script", __name__)
    swagger = Swagger(script.function, settings)
    routes.add_url_rule("/", "home", lambda: "Healthy")
    routes.add_url_rule("/swagger.json", "swagger", lambda: _answer_swagger(swagger))
    routes.add_url_rule(
        "/score",
        "score",
        lambda: _score(script),
        methods=["GET", "POST", "OPTIONS"],
        provide_automatic_options=False,
    )
    routes.before_request(_identify)
    routes.after_request(_make_finish(settings))
    routes.register_error_handler(HTTPException, _answer_http_error)
    routes.register_error_handler(Exception, _answer_unexpected_error)
    app.register_blueprint(routes)
    app.register_error_handler(HTTPException, _answer_http_error)
    return app


def _identify() -> Response | None:
    g.identifiers = read_identifiers(request.headers)
    g.request_id = g.identifiers.request
    if g.identifiers.refusal:
        return _error(431, g.identifiers.refusal)
    return None


def _make_finish(settings: ScriptSettings) -> Callable[[Response], Response]:
    """Return the function that adds to every answer what all answers have."""
    server = f"trihook/{version('trihook')}" if settings.shows_version else ""
    cors = Cors(settings.cors_origins)

    def finish(response: Response) -> Response:
        if server:
            response.headers.add("x-ms-server-version", server)
        g.identifiers.add_to(response.headers)
        if "TraceId" in request.headers:
            response.headers.add("TraceId", request.headers["TraceId"])
        cors.add_headers(request.method, request.headers, response.headers)
        return response

    return finish


def _answer_swagger(swagger: Swagger) -> Response:
    try:
        return AMLResponse(swagger.document(request.args.get("version", "2")), 200, json_str=True)
    except RefusedError as exc:
        return _error(exc.status, exc.message)


def _score(script: Script) -> Response:
    try:
        result, milliseconds = script.run(request)
    except RefusedError as exc:
        if request.method == "OPTIONS":
            return AMLResponse("", 200)
        return _error(exc.status, exc.message)
    except RunTimeoutError:
        _LOG.exception("request %s: run() took over %s ms", g.request_id, script.timeout_ms)
        return _error(500, f"Scoring timeout after {script.timeout_ms} ms", failed=True)
    except RunError as exc:
        _LOG.error("request %s: run() raised", g.request_id, exc_info=exc.__cause__)
        return _error(500, _RUN_FAILED, failed=True)
    response = _as_response(result)
    response.headers.add("x-ms-run-fn-exec-ms", f"{milliseconds:.3f}")
    return response


def _as_response(result: Any) -> Response:
    """Return a result as a response; raises as ``json.dumps`` does."""
    if not isinstance(result, Response):
        return AMLResponse(result, 200, json_str=True)
    if result.status_code >= 500:
        result.headers[FAILED_HEADER] = "True"
    return result


def _answer_http_error(error: HTTPException) -> Response:
    return _error(error.code or 500, error.description or "")


def _answer_unexpected_error(error: Exception) -> Response:
    _LOG.error("request %s: the result cannot be sent", g.request_id, exc_info=error)
    return _error(500, _INTERNAL)


def _error(status: int, message: str, *, failed: bool = False) -> Response:
    return AMLResponse(
        json.dumps({"message": message}),
        status,
        {"Content-Type": "application/json"},
        run_function_failed=failed,
    )
