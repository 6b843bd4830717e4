"""A client of the scoring host, or of any endpoint that answers as it does."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from trihook.errors import HostError, HostUnreachableError

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class ScoringReply:
    """What the host answered: the parsed JSON (or bytes), and what its headers say.

    ``stages`` are milliseconds by stage, from ``Server-Timing``.
    """

    value: Any
    model: str
    request_id: str
    stages: dict[str, float]


class ScoringClient:
    """Sends requests to a scoring URI over one connection that is kept alive; one thread's.

    ``key`` is sent as a bearer token. ``timeout`` is in seconds and holds for each wait on the
    network. What was certainly not begun (the connection is refused, or the host answers 503)
    is tried again up to ``retries`` times; nothing else is.
    """

    def __init__(
        self, uri: str, key: str | None = None, *, timeout: float = 60.0, retries: int = 2
    ) -> None:
        parts = urlsplit(uri if "://" in uri else f"http://{uri}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{uri!r} is no http or https address")
        self.uri = uri
        self._path = (parts.path or "/score") + (f"?{parts.query}" if parts.query else "")
        connect = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = connect(parts.hostname, parts.port, timeout=timeout)
        self._authorization = {"Authorization": f"Bearer {key}"} if key else {}
        self._retries = retries

    def score_json(self, value: Any) -> ScoringReply:
        """Score a JSON-able value; see :meth:`score`."""
        return self.score(json.dumps(value).encode(), _JSON)

    def score(self, body: bytes, media_type: str) -> ScoringReply:
        """Send one body and return the host's answer.

        Raises :class:`trihook.HostError` for an error that the host answered, with its message
        and status, and :class:`trihook.HostUnreachableError`.
        """
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                response, content = self._exchange(body, media_type)
            except ConnectionRefusedError as exc:
                if last:
                    raise HostUnreachableError(f"nothing listens at {self.uri}") from exc
                time.sleep(0.2 * 2**attempt)
                continue
            if response.status == 503 and not last:
                time.sleep(_retry_after(response))
                continue
            return _read_reply(response, content)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _exchange(self, body: bytes, media_type: str) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {"Content-Type": media_type, **self._authorization}
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            return response, response.read()
        except ConnectionRefusedError:
            self._connection.close()
            raise
        except (OSError, http.client.HTTPException) as exc:
            self._connection.close()
            raise HostUnreachableError(f"the connection to {self.uri} was lost") from exc


def _retry_after(response: http.client.HTTPResponse) -> float:
    """Return how long the host asks to wait, within what is sensible to wait for."""
    asked = response.getheader("Retry-After") or ""
    return min(float(asked), 5.0) if asked.isdecimal() else 1.0


def _read_reply(response: http.client.HTTPResponse, content: bytes) -> ScoringReply:
    is_json = (response.getheader("Content-Type") or "").split(";")[0].strip() == _JSON
    try:
        value = json.loads(content) if is_json else content
    except ValueError:
        value = content
    if response.status >= 400 and not _holds_predictions(value):
        raise _host_error(response, value)
    return ScoringReply(
        value,
        model=response.getheader("X-Trihook-Model") or "",
        request_id=response.getheader("X-Request-Id") or "",
        stages=_read_stages(response.getheader("Server-Timing") or ""),
    )


def _holds_predictions(value: Any) -> bool:
    """Tell the reply to several items, whose errors stand in their places, from an error."""
    return isinstance(value, dict) and "predictions" in value


def _host_error(response: http.client.HTTPResponse, value: Any) -> HostError:
    told = value if isinstance(value, dict) else {}
    return HostError(
        str(told.get("message") or response.reason or "the host answered with an error"),
        status=response.status,
        code=str(told.get("code", "")),
        stage=str(told.get("stage", "")),
        plugin=str(told.get("plugin", "")),
        request_id=str(told.get("request_id") or response.getheader("X-Request-Id") or ""),
    )


def _read_stages(header: str) -> dict[str, float]:
    stages = {}
    for entry in header.split(","):
        stage, _, duration = entry.strip().partition(";dur=")
        if duration:
            stages[stage] = float(duration)
    return stages
