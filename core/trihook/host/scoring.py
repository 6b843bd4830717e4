"""From a Flask request to a Flask response, by way of the pipeline.

The application's routes and a generated entry script both answer through here, so that a
request has the same answer whichever host it comes to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from flask import Request, Response

from trihook.deadline import Deadline
from trihook.errors import OverloadedError, ScoringError, UnavailableError
from trihook.host.body import read_body
from trihook.host.payload import parse_payload
from trihook.host.statuses import status_of
from trihook.outcome import Outcome, Scored
from trihook.replies import JSON, encode_json, encode_predictions, error_object
from trihook.service import Service
from trihook.types import ScoringRequest

_LOG = logging.getLogger(__name__)


class Scorer:
    """Answers scoring requests with a service, at most ``max_requests`` at a time.

    Used by the greenlets of one hub, or by one thread at a time.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings
        self._under_way = 0

    def answer(
        self, request: Request, request_id: str, model: str = "", version: str = ""
    ) -> Response:
        """Return the response to a request, errors included.

        ``model`` and ``version`` are what the path names; the query may name them as well.
        """
        try:
            with self._admitted():
                scoring = self._read_request(request, request_id, model, version)
                outcome = self._service.pipeline.score(
                    scoring, Deadline.after(self._settings.timeout)
                )
        except ScoringError as exc:
            _log(exc, request_id)
            return error_response(exc, request_id)
        for one in outcome.scored:
            if one.error is not None:
                _log(one.error, request_id)
        response = (
            _answer_many(outcome, request_id)
            if scoring.many
            else _answer_one(outcome.scored[0], request_id)
        )
        response.headers["X-Trihook-Model"] = quote(str(outcome.model))  # headers are Latin-1
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

    def _read_request(
        self, request: Request, request_id: str, model: str, version: str
    ) -> ScoringRequest:
        body = read_body(request.environ, self._settings.max_body_bytes)
        payload = parse_payload(
            body, request.headers.get("Content-Type", ""), self._settings.max_items
        )
        query = request.args.to_dict()
        return ScoringRequest(
            items=payload.items,
            model=model or query.get("model", ""),
            version=version or query.get("version", ""),
            headers={name.lower(): value for name, value in request.headers},
            query=query,
            fields=payload.fields,
            id=request_id,
            many=payload.many,
        )


def json_response(value: object, status: int = 200) -> Response:
    """Return a response of JSON."""
    return Response(encode_json(value), status, content_type=JSON)


def error_response(error: ScoringError, request_id: str) -> Response:
    """Return the response that tells a caller of an error."""
    response = json_response(error_object(error, request_id), status_of(error))
    _add_retry_after(response, error)
    return response


def _answer_one(one: Scored, request_id: str) -> Response:
    if one.error is not None or one.reply is None:
        return error_response(one.error or ScoringError("the item has no reply"), request_id)
    return Response(
        one.body, one.reply.status, dict(one.reply.headers), content_type=one.reply.media_type
    )


def _answer_many(outcome: Outcome, request_id: str) -> Response:
    """Answer 200 if any item has a reply, else with the first error's status."""
    bodies = [
        one.body
        if one.error is None
        else encode_json({"error": {**error_object(one.error, request_id), "item": index}})
        for index, one in enumerate(outcome.scored)
    ]
    errors = [one.error for one in outcome.scored if one.error is not None]
    status = status_of(errors[0]) if errors and len(errors) == len(bodies) else 200
    response = Response(encode_predictions(bodies), status, content_type=JSON)
    if status != 200:
        _add_retry_after(response, errors[0])
    return response


def _add_retry_after(response: Response, error: ScoringError) -> None:
    if isinstance(error, UnavailableError):
        response.headers["Retry-After"] = str(error.retry_after)


def _log(error: ScoringError, request_id: str) -> None:
    """Log an error once, with its cause where a plugin or Triton's answer is to blame."""
    status = status_of(error)
    cause = error if status in (500, 502) and error.__cause__ is not None else None
    level = logging.ERROR if status == 500 else logging.INFO
    _LOG.log(level, "request %s: %s: %s", request_id, error.stage, error, exc_info=cause)
