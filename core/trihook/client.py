"""A client of the scoring host, or of any endpoint that answers as it does."""

from __future__ import annotations

import http.client
import json
import re
import select
import socket
import ssl
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from trihook.errors import HostError, HostUnreachableError
from trihook.fields import is_field_name, is_field_value

if TYPE_CHECKING:
    from typing_extensions import Self

_JSON = "application/json"
_REFUSED = (429, 503)
_MAY_HAVE_RUN = (b'"triton_lost"', b'"postprocess"')  # in a 503 after which nothing is sent again
_AZURE = 424  # what a managed endpoint makes of every status of the container's but 200


@dataclass(frozen=True, slots=True)
class ScoringReply:
    """What the host answered: the parsed JSON (or bytes), and what its headers say.

    ``stages`` are milliseconds by stage, from ``Server-Timing``.
    """

    value: Any
    model: str
    request_id: str
    stages: dict[str, float]
    status: int = 200
    media_type: str = _JSON


class ScoringClient:
    """Sends requests to a scoring URI over one connection that is kept alive; one thread's.

    ``key`` is sent as a bearer token, ``headers`` with each request. ``timeout`` is in seconds and
    holds for each wait on the network. What was certainly not begun (there is no connection, or
    the answer is 503 or 429, but for the host's ``triton_lost``) is tried again up to ``retries``
    times; nothing else is.

    Raises ``ValueError`` for a URI that is none, and for what no header can carry.
    """

    def __init__(
        self,
        uri: str,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        retries: int = 2,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(uri if "://" in uri else f"http://{uri}")
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not _is_host_name(host):
            raise ValueError(f"{uri!r} is no http or https address")
        self.uri = uri
        target = (parts.path or "/score") + (f"?{parts.query}" if parts.query else "")
        self._target = quote(target, safe=string.punctuation)
        connect = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = connect(host, parts.port, timeout=timeout)
        self._headers = {**_checked(headers or {}), **authorization(key)}
        self._timeout = timeout
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def score_json(self, value: Any) -> ScoringReply:
        """Score a JSON-able value; see :meth:`score`."""
        return self.score(json.dumps(value).encode(), _JSON)

    def score(self, body: bytes, media_type: str) -> ScoringReply:
        """Send one body and return the host's answer.

        Raises :class:`trihook.HostError` for an error that the host answered, with its message
        and status, also for a redirect, which is not followed, and
        :class:`trihook.HostUnreachableError`.
        """
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                self._connect()
            except HostUnreachableError:
                if last:
                    raise
                time.sleep(0.2 * 2**attempt)
                continue
            response, content = self._exchange(body, media_type)
            if last or not _is_refused(response, content):
                return _read_reply(response, content)
            time.sleep(_retry_after(response))
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _connect(self) -> None:
        """Connect where there is no connection, or none that a request can still go over."""
        if self._connection.sock is not None and _is_readable(self._connection.sock):
            self._connection.close()  # nothing was asked, so the host can only have ended it
        if self._connection.sock is not None:
            return
        try:
            self._connection.connect()
        except OSError as exc:
            self._connection.close()
            raise HostUnreachableError(self._explain(exc)) from exc

    def _explain(self, exc: OSError) -> str:
        """Say why there is no connection."""
        if isinstance(exc, ConnectionRefusedError):
            return f"nothing listens at {self.uri}"
        if isinstance(exc, TimeoutError):
            return f"{self.uri} took no connection within {self._timeout:g} s"
        if isinstance(exc, socket.gaierror):
            return f"{self.uri} cannot be reached: no host of this name is known"
        if isinstance(exc, ssl.SSLError):
            return f"{self.uri} cannot be trusted: TLS failed, or the certificate is not valid"
        return f"{self.uri} cannot be reached: {(exc.strerror or 'no connection').lower()}"

    def _exchange(self, body: bytes, media_type: str) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {**self._headers, "Content-Type": media_type}
        try:
            self._connection.request("POST", self._target, body, headers)
            response = self._connection.getresponse()
            return response, response.read()
        except TimeoutError as exc:
            self._connection.close()
            raise HostUnreachableError(
                f"{self.uri} did not answer within {self._timeout:g} s"
            ) from exc
        except (OSError, http.client.HTTPException) as exc:
            self._connection.close()
            raise HostUnreachableError(f"the connection to {self.uri} was lost") from exc


def authorization(key: str | None) -> dict[str, str]:
    """Return the header for a key; raises ``ValueError`` for one that no header can carry."""
    if not key:
        return {}
    bare = key.strip()  # files and variables that hold keys often end with a newline
    if not bare.isascii() or not bare.isprintable():
        raise ValueError("the key holds a character that no header can carry")
    return {"Authorization": f"Bearer {bare}"}


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not (is_field_name(name) and is_field_value(value)):
            raise ValueError(f"{name!r} is no header, or has a value that none can carry")
    return headers


def _is_host_name(name: str) -> bool:
    """Tell whether a host may have this name; ``http.client`` raises no ``OSError`` for others."""
    try:
        encoded = name.encode("idna")
    except UnicodeError:  # a part of it, between dots, is empty or longer than 63 characters
        return False
    return bool(encoded) and not re.search(rb"[\x00-\x20\x7f]", encoded)


def _is_readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _is_refused(response: http.client.HTTPResponse, content: bytes) -> bool:
    """Tell whether the request was certainly not begun."""
    may_have_run = any(each in content for each in _MAY_HAVE_RUN)
    return _status(response) in _REFUSED and not may_have_run


def _status(response: http.client.HTTPResponse) -> int:
    """Return the host's status, which a managed endpoint of Azure ML gives in a header."""
    original = response.getheader("ms-azureml-model-error-statuscode") or ""
    return int(original) if response.status == _AZURE and original.isdecimal() else response.status


def _retry_after(response: http.client.HTTPResponse) -> float:
    """Return how long the host asks to wait, within what is sensible to wait for."""
    asked = response.getheader("Retry-After") or ""
    return min(float(asked), 5.0) if asked.isdecimal() else 1.0


def _read_reply(response: http.client.HTTPResponse, content: bytes) -> ScoringReply:
    media_type = (response.getheader("Content-Type") or "").split(";")[0].strip().lower()
    is_json = media_type == _JSON or media_type.endswith("+json")
    try:
        value = json.loads(content) if is_json else content
    except ValueError:
        value = content
    if not 200 <= response.status < 300 and not _holds_predictions(value):
        raise _host_error(response, value)
    return ScoringReply(
        value,
        model=response.getheader("X-Trihook-Model") or "",
        request_id=response.getheader("X-Request-Id") or "",
        stages=_read_stages(response.getheader("Server-Timing") or ""),
        status=_status(response),
        media_type=media_type,
    )


def _holds_predictions(value: Any) -> bool:
    """Tell the reply to several items, whose errors stand in their places, from an error."""
    return isinstance(value, dict) and "predictions" in value


def _host_error(response: http.client.HTTPResponse, value: Any) -> HostError:
    told = value if isinstance(value, dict) else {}
    if isinstance(told.get("error"), dict):  # as Azure's own front end says it
        told = told["error"]
    message = told.get("message") or response.reason or "the host answered with an error"
    if location := response.getheader("Location"):
        message = f"{message}: {location}"
    return HostError(
        str(message),
        status=_status(response),
        code=str(told.get("code", "")),
        stage=str(told.get("stage", "")),
        plugin=str(told.get("plugin", "")),
        request_id=str(told.get("request_id") or response.getheader("X-Request-Id") or ""),
        value=value,
    )


def _read_stages(header: str) -> dict[str, float]:
    stages = {}
    for entry in header.split(","):
        stage, _, duration = entry.strip().partition(";dur=")
        if re.fullmatch(r"\d+(\.\d+)?", duration):
            stages[stage] = float(duration)
    return stages
