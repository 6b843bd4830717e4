"""From a WSGI request to an answer, by way of the pipeline.

The application's routes and a generated entry script both answer through here, so that a
request has the same answer whichever host it comes to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from flask import Request

from trihook.deadline import Deadline
from trihook.errors import OverloadedError, ScoringError, UnsupportedMediaTypeError
from trihook.host.answers import (
    MODEL_HEADER,
    TIMING_HEADER,
    Answer,
    answer_outcome,
    error_answer,
)
from trihook.host.body import read_body
from trihook.host.headers import Headers
from trihook.host.keys import Keys
from trihook.host.metrics import Measured, Metrics
from trihook.host.payload import parse_payload
from trihook.host.statuses import status_of
from trihook.outcome import Outcome
from trihook.plugins import CORE
from trihook.service import Service
from trihook.types import ScoringRequest

_LOG = logging.getLogger(__name__)
_USUAL_LENGTH = 200
_MAX_CAUSE = 1000  # characters
_quoted = lru_cache(maxsize=4096)(quote)  # headers are Latin-1, names of models need not be


class Scorer:
    """Answers scoring requests with a service, at most ``max_requests`` at a time.

    Used by the greenlets of one hub, or by one thread at a time. ``metrics``, where there are any,
    count them. Where there are ``keys``, callers must hold one.
    """

    def __init__(
        self, service: Service, metrics: Metrics | None = None, keys: Keys | None = None
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._keys = keys
        self._settings = service.settings
        self._under_way = 0
        self._is_choice_open = any(
            "select_model" in plugin.hooks
            for plugin in service.plugins.plugins
            if plugin.name != CORE
        )

    def answer(
        self, environ: Mapping[str, Any], request_id: str, model: str = "", version: str = ""
    ) -> Answer:
        """Return the answer to a WSGI request, errors included.

        ``model`` and ``version`` are what the path names; the query may name them as well.
        """
        if self._metrics is None:
            return self._answer(environ, request_id, model, version, Measured())
        with self._metrics.measure() as measured:
            answer = self._answer(environ, request_id, model, version, measured)
            measured.status = answer.status
            chosen = measured.progress.model
            named = model or _query(environ).get("model", "")
            measured.model = chosen.name if chosen is not None else self._loaded_model(named)
        return answer

    def _answer(
        self,
        environ: Mapping[str, Any],
        request_id: str,
        model: str,
        version: str,
        measured: Measured,
    ) -> Answer:
        self._under_way += 1
        try:
            scoring = self._read_request(environ, request_id, model, version)
            measured.items = len(scoring.items)
            outcome = self._service.pipeline.score(
                scoring, Deadline.after(self._settings.timeout), measured.progress
            )
        except ScoringError as exc:
            measured.errors = (exc,)
            _log(exc, request_id)
            return error_answer(exc, request_id)
        finally:
            self._under_way -= 1
        measured.errors = [one.error for one in outcome.scored if one.error is not None]
        _log_items(measured.errors, request_id)
        answer = answer_outcome(outcome, request_id, many=scoring.many)
        return answer.with_headers(*_describe(outcome))

    def _read_request(
        self, environ: Mapping[str, Any], request_id: str, model: str, version: str
    ) -> ScoringRequest:
        if self._keys is not None:
            self._keys.check(environ)
        query = _query(environ)
        model = model or query.get("model", "")
        version = version or query.get("version", "")
        self._admit(model, version)
        _check_encoding(environ)
        body = read_body(environ, self._settings.max_body_bytes)
        content_type = environ.get("CONTENT_TYPE") or ""
        payload = parse_payload(body, content_type, self._settings.max_items)
        return ScoringRequest(
            items=payload.items,
            model=model,
            version=version,
            headers=Headers(environ),
            query=query,
            fields=payload.fields,
            id=request_id,
            many=payload.many,
            size=len(body),
        )

    def _admit(self, model: str, version: str) -> None:
        """Refuse a request above a limit, before its body is read."""
        if self._under_way > self._settings.max_requests:
            raise OverloadedError("the host has as many requests as it takes", stage="request")
        name = self._usual_model(model)
        if not name:
            return  # it may be for any model; whichever it is, the batcher looks again
        if self._service.batcher.is_full(name, version):
            raise OverloadedError(f"as many items wait for model {name!r} as may", stage="request")

    def _usual_model(self, model: str) -> str:
        """Return which model is meant by this name or by none; empty where plugins choose."""
        if not model and self._is_choice_open:
            return ""
        return model or self._settings.default_model or self._service.catalog.only_model

    def _loaded_model(self, model: str) -> str:
        """Return the same, and empty also where there is none of that name."""
        name = self._usual_model(model)
        return name if name in self._service.catalog.models else ""


def _query(environ: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the first value of each name in the query."""
    query = environ.get("QUERY_STRING")
    if not query:
        return {}
    return _usual_query(query) if len(query) < _USUAL_LENGTH else _parse_query(query)


def _parse_query(query: str) -> Mapping[str, str]:
    return MappingProxyType(Request({"QUERY_STRING": query}).args.to_dict())


_usual_query = lru_cache(maxsize=1024)(_parse_query)  # many requests ask for the same


def _describe(outcome: Outcome) -> tuple[tuple[str, str], tuple[str, str]]:
    timing = [f"{stage};dur={seconds * 1000:.2f}" for stage, seconds in outcome.seconds.items()]
    return (
        (MODEL_HEADER, _quoted(str(outcome.model))),
        (TIMING_HEADER, ", ".join(timing)),
    )


def _log_items(errors: Iterable[ScoringError], request_id: str) -> None:
    """Log the errors of items; those that say the same once."""
    alike: dict[tuple[str, ...], list[ScoringError]] = {}
    for error in errors:
        key = (error.stage, error.message, str(error.__cause__))
        alike.setdefault(key, []).append(error)
    for same in alike.values():
        _log(same[0], request_id, len(same))


def _log(error: ScoringError, request_id: str, items: int = 1) -> None:
    """Log an error, with its traceback where a plugin is to blame, or what Triton's answer was."""
    status, cause = status_of(error), error.__cause__
    said = f"{error} ({items} items)" if items > 1 else str(error)
    if status == 502 and cause is not None:
        said = f"{said}: {' '.join(str(cause).split())[:_MAX_CAUSE]}"
    traceback = error if status == 500 and cause is not None else None
    level = logging.ERROR if status == 500 else logging.INFO
    _LOG.log(level, "request %s: %s: %s", request_id, error.stage, said, exc_info=traceback)


def _check_encoding(environ: Mapping[str, Any]) -> None:
    encoding = environ.get("HTTP_CONTENT_ENCODING")
    if encoding and encoding.strip().lower() != "identity":
        raise UnsupportedMediaTypeError(
            f"a body with Content-Encoding {encoding!r} is not taken: send it as it is",
            stage="request",
        )
