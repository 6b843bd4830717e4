"""The Flask application: routes in, statuses out."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import HTTPException

from trihook.deadline import Deadline
from trihook.errors import OverloadedError, ScoringError, UnavailableError
from trihook.host.body import read_body
from trihook.host.openapi import describe_api
from trihook.host.payload import parse_payload
from trihook.host.statuses import status_of
from trihook.pipeline import Outcome, Scored
from trihook.replies import JSON, encode_json, encode_predictions, error_object
from trihook.service import Service
from trihook.types import ScoringRequest

_LOG = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,100}")


def create_app(service: Service) -> Flask:
    """Return the application that scores with ``service``.

    Requests are served by greenlets of one hub, or one at a time.
    """
    app = Flask("trihook")
    scorer = _Scorer(service)
    app.add_url_rule("/", "home", _say_healthy)
    app.add_url_rule("/v2/health/live", "live", _say_live)
    app.add_url_rule("/v2/health/ready", "ready", lambda: _say_ready(service))
    app.add_url_rule("/swagger.json", "swagger", lambda: _json(describe_api(service)))
    for rule in ("/score", "/score/<model>", "/score/<model>/versions/<version>"):
        app.add_url_rule(rule, f"score{rule.count('/')}", scorer.score, methods=["POST"])
    app.before_request(_name_request)
    app.after_request(_add_request_id)
    app.register_error_handler(ScoringError, _answer_scoring_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_unexpected_error)
    return app


class _Scorer:
    """The scoring route, and how much of it is under way."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings
        self._under_way = 0

    def score(self, model: str = "", version: str = "") -> Response:
        with self._admitted():
            outcome = self._service.pipeline.score(
                self._read_request(model, version), Deadline.after(self._settings.timeout)
            )
        for one in outcome.scored:
            if one.error is not None:
                _log(one.error)
        response = _answer_many(outcome) if g.many else _answer_one(outcome.scored[0])
        response.headers["X-Trihook-Model"] = str(outcome.model)
        response.headers["Server-Timing"] = ", ".join(
            f"{stage};dur={seconds * 1000:.2f}" for stage, seconds in outcome.seconds.items()
        )
        return response

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Refuse a request above the limit, before its body is read."""
        if self._under_way >= self._settings.max_requests:
            raise OverloadedError("the host has as many requests as it takes", stage="request")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def _read_request(self, model: str, version: str) -> ScoringRequest:
        body = read_body(request.environ, self._settings.max_body_bytes)
        payload = parse_payload(
            body, request.headers.get("Content-Type", ""), self._settings.max_items
        )
        g.many = payload.many
        query = request.args.to_dict()
        return ScoringRequest(
            items=payload.items,
            model=model or query.get("model", ""),
            version=version or query.get("version", ""),
            headers={name.lower(): value for name, value in request.headers},
            query=query,
            fields=payload.fields,
            id=g.request_id,
            many=payload.many,
        )


def _answer_one(one: Scored) -> Response:
    if one.error is not None or one.reply is None:
        return _error_response(one.error or ScoringError("the item has no reply"))
    return Response(
        one.body, one.reply.status, dict(one.reply.headers), content_type=one.reply.media_type
    )


def _answer_many(outcome: Outcome) -> Response:
    """Answer 200 if any item has a reply, else with the first error's status."""
    bodies = [
        one.body if one.error is None else encode_json({"error": _describe(one.error, index)})
        for index, one in enumerate(outcome.scored)
    ]
    errors = [one.error for one in outcome.scored if one.error is not None]
    status = status_of(errors[0]) if errors and len(errors) == len(bodies) else 200
    response = Response(encode_predictions(bodies), status, content_type=JSON)
    if status != 200:
        _add_retry_after(response, errors[0])
    return response


def _describe(error: ScoringError, index: int) -> dict[str, str | int]:
    return {**error_object(error, g.request_id), "item": index}


def _error_response(error: ScoringError) -> Response:
    response = _json(error_object(error, g.request_id), status_of(error))
    _add_retry_after(response, error)
    return response


def _add_retry_after(response: Response, error: ScoringError) -> None:
    if isinstance(error, UnavailableError):
        response.headers["Retry-After"] = str(error.retry_after)


def _answer_scoring_error(error: ScoringError) -> Response:
    _log(error)
    return _error_response(error)


def _answer_http_error(error: HTTPException) -> Response:
    """Answer what Flask itself refuses, such as an unknown route, in the shape of our errors."""
    body = {
        "message": f"{request.method} {request.path} is not served here",
        "code": (error.name or "error").lower().replace(" ", "_"),
        "stage": "request",
        "plugin": "",
        "request_id": g.request_id,
    }
    response = _json(body, error.code or 500)
    if error.code == 405:
        response.headers["Allow"] = error.get_response().headers.get("Allow", "")
    return response


def _answer_unexpected_error(error: Exception) -> Response:
    _LOG.error("request %s failed in trihook itself", g.request_id, exc_info=error)
    return _error_response(ScoringError("an unexpected error occurred", stage="request"))


def _log(error: ScoringError) -> None:
    """Log an error once, with its cause where the caller is not to blame."""
    cause = error if status_of(error) >= 500 and error.__cause__ is not None else None
    level = logging.ERROR if status_of(error) == 500 else logging.INFO
    _LOG.log(level, "request %s: %s: %s", g.request_id, error.stage, error, exc_info=cause)


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
    return _json(body, 503 if reasons else 200)


def _json(value: object, status: int = 200) -> Response:
    return Response(encode_json(value), status, content_type=JSON)


def _name_request() -> None:
    g.request_id = _request_id(request)


def _request_id(incoming: Request) -> str:
    """Return the caller's id for the request, or a new one."""
    given = incoming.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _add_request_id(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    return response
