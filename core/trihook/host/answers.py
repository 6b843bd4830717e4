"""Answers on their way out, before a server or a framework has its own form for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from flask import Response

from trihook.errors import ScoringError, UnauthorizedError, UnavailableError
from trihook.host.statuses import status_of
from trihook.outcome import Outcome, Scored
from trihook.replies import JSON, encode_json, encode_predictions, error_object

MODEL_HEADER = "X-Trihook-Model"
TIMING_HEADER = "Server-Timing"
ID_HEADER = "X-Request-Id"
_OURS = {"content-type", "server-timing", "x-trihook-model", "x-request-id"}
_OF_SERVER = {"server", "date", "connection", "keep-alive", "te", "trailers", "upgrade"}
_OF_SERVER |= {"transfer-encoding", "proxy-authenticate", "proxy-authorization"}
_NOT_GIVEN = frozenset(_OURS | _OF_SERVER)
_BLANKS = " \t"  # RFC 9110, section 5.6.3
_WITHOUT_BODY = frozenset({204, 304})  # RFC 9110, section 6.4.1
_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Answer(NamedTuple):
    """The answer to one request."""

    body: bytes = b""
    status: int = 200
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, *headers: tuple[str, str]) -> Answer:
        """Return the same with further headers."""
        return Answer(self.body, self.status, self.media_type, (*self.headers, *headers))


def json_answer(value: object, status: int = 200) -> Answer:
    """Return an answer of JSON."""
    return Answer(encode_json(value), status)


def error_answer(error: ScoringError, request_id: str) -> Answer:
    """Return the answer that tells a caller of an error."""
    answer = json_answer(error_object(error, request_id), status_of(error))
    return answer._replace(headers=_advice(error))


def answer_outcome(outcome: Outcome, request_id: str, *, many: bool) -> Answer:
    """Return what became of a request: its only item's reply, or a list of all of them."""
    if many:
        return _answer_many(outcome, request_id)
    return _answer_one(outcome.scored[0], request_id)


def _answer_one(one: Scored, request_id: str) -> Answer:
    if one.error is not None or one.reply is None:
        return error_answer(one.error or ScoringError("the item has no reply"), request_id)
    return Answer(one.body, one.reply.status, one.reply.media_type, _headers(one.reply.headers))


def _answer_many(outcome: Outcome, request_id: str) -> Answer:
    """Answer 200 if any item has a reply, else with the status of the first that was begun."""
    bodies = [
        one.body
        if one.error is None
        else encode_json({"error": {**error_object(one.error, request_id), "item": index}})
        for index, one in enumerate(outcome.scored)
    ]
    errors = [one.error for one in outcome.scored if one.error is not None]
    body = encode_predictions(bodies)
    if errors and len(errors) == len(bodies):
        # one that may be sent again says so for all of them, and so must not hide another
        first = next((error for error in errors if not _retry_after(error)), errors[0])
        return Answer(body, status_of(first), headers=_advice(first))
    return Answer(body)


def _headers(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the headers that a plugin gave its reply, without those that are not its own."""
    if not given:
        return ()
    return tuple((name, value) for name, value in given.items() if name.lower() not in _NOT_GIVEN)


def _advice(error: ScoringError) -> tuple[tuple[str, str], ...]:
    """Return the headers that say what may help."""
    if isinstance(error, UnauthorizedError):
        return (("WWW-Authenticate", "Bearer"),)  # RFC 9110, section 15.5.2
    return _retry_after(error)


def _retry_after(error: ScoringError) -> tuple[tuple[str, str], ...]:
    """Return the header for an error before which nothing was begun."""
    has_run = error.stage == "postprocess"
    if isinstance(error, UnavailableError) and error.retry_after and not has_run:
        return (("Retry-After", str(error.retry_after)),)
    return ()


def to_response(answer: Answer) -> Response:
    """Return an answer in Flask's form."""
    return Response(
        answer.body, answer.status, list(answer.headers), content_type=answer.media_type
    )


def to_wsgi(answer: Answer, start_response: Callable[..., Any]) -> list[bytes]:
    """Give an answer to a WSGI server."""
    headers = [("Content-Type", answer.media_type), *answer.headers]
    has_body = answer.status not in _WITHOUT_BODY
    if has_body:
        headers.append(("Content-Length", str(len(answer.body))))
    start_response(_status_line(answer.status), headers)
    return [answer.body] if has_body else []


def to_http(answer: Answer, server: str, date: str, *, keep: bool) -> bytes:
    """Return an answer as HTTP/1.1 has it, and Gunicorn writes it.

    ``keep`` says whether the connection stays open for another request.
    """
    has_body = answer.status not in _WITHOUT_BODY
    fields = "".join([f"{name}: {value.strip(_BLANKS)}\r\n" for name, value in answer.headers])
    head = (
        f"HTTP/1.1 {_status_line(answer.status)}\r\nServer: {server}\r\nDate: {date}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n"
        f"Content-Type: {answer.media_type}\r\n{fields}"
    )
    if has_body:
        head += f"Content-Length: {len(answer.body)}\r\n"
    return (head + "\r\n").encode("latin-1") + (answer.body if has_body else b"")


def _status_line(status: int) -> str:
    return _STATUS_LINES.get(status) or f"{status} UNKNOWN"
