"""The Flask application: its routes."""

from __future__ import annotations

import logging
import re
import uuid
from contextlib import suppress

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import HTTPException

from trihook.errors import ScoringError
from trihook.host.openapi import describe_api
from trihook.host.scoring import Scorer, error_response, json_response
from trihook.service import Service

_LOG = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,100}")


def create_app(service: Service) -> Flask:
    """Return the application that scores with ``service``.

    Its requests are served by greenlets of one hub, or one at a time.
    """
    app = Flask("trihook")
    scorer = Scorer(service)

    def score(model: str = "", version: str = "") -> Response:
        return scorer.answer(request, g.request_id, model, version)

    app.add_url_rule("/", "home", _say_healthy)
    app.add_url_rule("/v2/health/live", "live", _say_live)
    app.add_url_rule("/v2/health/ready", "ready", lambda: _say_ready(service))
    app.add_url_rule("/swagger.json", "swagger", lambda: _describe(service))
    for rule in ("/score", "/score/<model>", "/score/<model>/versions/<version>"):
        app.add_url_rule(rule, "score", score, methods=["POST"])
    app.before_request(_name_request)
    app.after_request(_add_request_id)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_unexpected_error)
    return app


def request_id_of(incoming: Request) -> str:
    """Return the caller's id for the request, ``X-Request-Id``, or a new one."""
    given = incoming.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _say_healthy() -> Response:
    return Response("Healthy", content_type="text/html; charset=utf-8")


def _say_live() -> Response:
    return Response(status=200)


def _say_ready(service: Service) -> Response:
    reasons = service.unready()
    body = {
        "ready": not reasons,
        "reasons": reasons,
        "skipped_plugins": [plugin.name for plugin in service.plugins.problems],
    }
    return json_response(body, 503 if reasons else 200)


def _describe(service: Service) -> Response:
    with suppress(ScoringError):  # without Triton, its models are not known
        service.runtime.run_network(service.catalog.ensure)
    return json_response(describe_api(service))


def _answer_http_error(error: HTTPException) -> Response:
    """Answer what Flask itself refuses, such as an unknown route, in the shape of our errors."""
    body = {
        "message": f"{request.method} {request.path} is not served here",
        "code": (error.name or "error").lower().replace(" ", "_"),
        "stage": "request",
        "plugin": "",
        "request_id": g.request_id,
    }
    response = json_response(body, error.code or 500)
    if error.code == 405:
        response.headers["Allow"] = error.get_response().headers.get("Allow", "")
    return response


def _answer_unexpected_error(error: Exception) -> Response:
    _LOG.error("request %s failed in trihook itself", g.request_id, exc_info=error)
    return error_response(
        ScoringError("an unexpected error occurred", stage="request"), g.request_id
    )


def _name_request() -> None:
    g.request_id = request_id_of(request)


def _add_request_id(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    return response
