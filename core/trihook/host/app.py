"""The Flask application: its routes, and the short way of the scoring ones."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from flask import Flask, Response, g, request
from gevent.hub import get_hub
from werkzeug.exceptions import HTTPException

from trihook.errors import ScoringError, UnauthorizedError
from trihook.host.answers import (
    ID_HEADER,
    Answer,
    error_answer,
    json_answer,
    to_response,
    to_wsgi,
)
from trihook.host.keys import Keys
from trihook.host.metrics import Metrics
from trihook.host.openapi import describe_api
from trihook.host.scoring import Scorer
from trihook.service import Service

_LOG = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,100}")
_OPEN = frozenset({"/", "/v2/health/live", "/v2/health/ready"})  # to all who reach the port
_SCORING_PATH = re.compile(r"/*score(?:/([^/]+)(?:/versions/([^/]+))?)?")


class ScoringApp(Flask):
    """A Flask application whose scoring requests do not pass through Flask.

    Its contexts, signals and routing cost as much as all the rest of scoring a small request.
    A POST to a scoring path is answered at once; everything else, such as another method there,
    is Flask's.
    """

    def __init__(self, service: Service) -> None:
        super().__init__("trihook")
        self.service = service
        self.metrics = Metrics() if service.settings.metrics else None
        self.keys = Keys(service.settings)
        self._scorer = Scorer(service, self.metrics, self.keys)

    def wsgi_app(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a WSGI request."""
        if environ["REQUEST_METHOD"] == "POST":
            named = _SCORING_PATH.fullmatch(environ["PATH_INFO"])
            if named is not None:
                model, version = (_decode(name) for name in named.groups(""))
                return self._score(environ, start_response, model, version)
        return super().wsgi_app(environ, start_response)

    def _score(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        model: str,
        version: str,
    ) -> list[bytes]:
        return to_wsgi(self.score(environ, model, version), start_response)

    def score(self, environ: Mapping[str, Any], model: str, version: str) -> Answer:
        """Return the answer to a scoring request, whatever becomes of it.

        Of the WSGI environment only the body, the query and the header fields are looked at.
        """
        request_id = request_id_of(environ)
        try:
            answer = self._scorer.answer(environ, request_id, model, version)
        except Exception as exc:  # noqa: BLE001 - the boundary: a bug of ours fails one request
            answer = _answer_unexpected_error(exc, request_id)
        return answer.with_headers((ID_HEADER, request_id))


def _decode(name: str) -> str:
    """Return a part of a path, which WSGI servers hand over as Latin-1, as the UTF-8 it is."""
    return name if name.isascii() else name.encode("latin-1").decode("utf-8", "replace")


def create_app(service: Service) -> Flask:
    """Return the application that scores with ``service``.

    Its requests are served by greenlets of one hub, or one at a time.
    """
    app = ScoringApp(service)
    app.url_map.merge_slashes = False  # or a path of two would redirect to whatever Host says
    app.add_url_rule("/", "home", _say_healthy)
    app.add_url_rule("/v2/health/live", "live", _say_live)
    app.add_url_rule("/v2/health/ready", "ready", lambda: _say_ready(service))
    app.add_url_rule("/swagger.json", "swagger", lambda: _describe(service))
    if app.metrics is not None:
        app.add_url_rule("/metrics", "metrics", partial(_tell_metrics, app.metrics))
    for rule in ("/score", "/score/<model>", "/score/<model>/versions/<version>"):
        app.add_url_rule(rule, "score", methods=["POST"])  # for the other methods' 405
    app.before_request(_name_request)
    app.before_request(partial(_refuse_stranger, app.keys))
    app.after_request(_add_request_id)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(
        Exception, lambda exc: to_response(_answer_unexpected_error(exc, g.request_id))
    )
    return app


def request_id_of(environ: Mapping[str, Any]) -> str:
    """Return the caller's id for the request, ``X-Request-Id``, or a new one."""
    given: str = environ.get("HTTP_X_REQUEST_ID", "")
    if _REQUEST_ID.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"


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
    return to_response(json_answer(body, 503 if reasons else 200))


def _tell_metrics(metrics: Metrics) -> Response:
    accept = request.headers.get("Accept", "")
    # not on the hub: the files of all workers that there have been may take a while to read;
    # and not in a thread for hooks, which may hold all of those
    body, content_type = get_hub().threadpool.apply(metrics.render, (accept,))
    return Response(body, content_type=content_type)


def _describe(service: Service) -> Response:
    with suppress(ScoringError):  # without Triton, its models are not known
        service.runtime.run_network(service.catalog.ensure)
    return to_response(json_answer(describe_api(service)))


def _answer_http_error(error: HTTPException) -> Response:
    """Answer what Flask itself refuses, such as an unknown route, in the shape of our errors."""
    body = {
        "message": f"{request.method} {request.path} is not served here",
        "code": (error.name or "error").lower().replace(" ", "_"),
        "stage": "request",
        "plugin": "",
        "request_id": g.request_id,
    }
    response = to_response(json_answer(body, error.code or 500))
    if error.code == 405:
        response.headers["Allow"] = error.get_response().headers.get("Allow", "")
    return response


def _answer_unexpected_error(error: Exception, request_id: str) -> Answer:
    _LOG.error("request %s failed in trihook itself", request_id, exc_info=error)
    return error_answer(ScoringError("an unexpected error occurred", stage="request"), request_id)


def _name_request() -> None:
    g.request_id = request_id_of(request.environ)


def _refuse_stranger(keys: Keys) -> Response | None:
    if request.path in _OPEN:
        return None
    try:
        keys.check(request.environ)
    except UnauthorizedError as exc:
        return to_response(error_answer(exc, g.request_id))
    return None


def _add_request_id(response: Response) -> Response:
    response.headers[ID_HEADER] = g.request_id
    return response
