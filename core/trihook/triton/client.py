"""The only network edge: requests to Triton, and the one place where foreign errors are mapped.

One client belongs to one gevent hub: greenlets of that hub may share it, threads may not, and
it must not live across a fork. Connections are kept alive and pooled. A request that was sent
is never sent again.
"""

from __future__ import annotations

import logging
import ssl
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import gevent
import orjson
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from trihook.deadline import Deadline
from trihook.errors import DeadlineError, TritonError, TritonUnavailableError
from trihook.triton.dtypes import Array
from trihook.triton.wire import decode_reply, encode_request
from trihook.types import Model, RequestedOutput

_LOG = logging.getLogger(__name__)
_HEADER_LENGTH = "Inference-Header-Content-Length"
_BLOCK_SIZE = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """What Triton answered: an HTTP status, a body, and the length of its tensor header."""

    status: int
    body: bytes
    header_length: int | None = None


class TritonClient:
    """A client of one Triton, for the greenlets of one hub.

    ``url`` is ``host:port``, with ``http://`` or ``https://`` before it if you like.
    ``connections`` bounds the requests under way at a time; further ones wait. A request that
    has no deadline of its own ends after ``timeout`` seconds.
    """

    def __init__(self, url: str, *, connections: int = 16, timeout: float = 10.0) -> None:
        self.url = url if "://" in url else f"http://{url}"
        self._connections = connections
        self._timeout = timeout
        self._http = self._connect()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def is_ready(self) -> bool:
        """Tell whether Triton says that it is ready; False too where it cannot be reached."""
        try:
            return self.request("GET", "/v2/health/ready").status == 200
        except (TritonError, TritonUnavailableError, DeadlineError):
            return False

    def is_model_ready(self, name: str, version: str = "") -> bool:
        """Tell whether Triton says that the model can be inferred."""
        return self.request("GET", f"{model_path(name, version)}/ready").status == 200

    def index(self) -> list[dict[str, Any]]:
        """Return the repository index: an entry for each version of each model, with its state."""
        entries = self._json("POST", "/v2/repository/index", b"{}")
        if not isinstance(entries, list):
            raise TritonError("Triton answered with something that is no repository index")
        return entries

    def metadata(self, name: str, version: str = "") -> dict[str, Any]:
        """Return the metadata of a model, as Triton's JSON has it."""
        return self._object("GET", model_path(name, version))

    def config(self, name: str, version: str = "") -> dict[str, Any]:
        """Return the configuration of a model, as Triton's JSON has it."""
        return self._object("GET", f"{model_path(name, version)}/config")

    def infer(
        self,
        model: Model,
        tensors: Mapping[str, Array],
        *,
        version: str = "",
        outputs: Sequence[RequestedOutput] = (),
        request_id: str = "",
        rows: int = 0,
        deadline: Deadline | None = None,
    ) -> tuple[dict[str, Array], str]:
        """Run one inference and return the output tensors by name, and the version that ran.

        ``tensors`` are fitted to ``model``, with a batch dimension of ``rows`` where it has one.
        Raises :class:`TritonError` if Triton refuses or answers with something else than what
        the model declares, :class:`TritonUnavailableError` if it or the model cannot be reached,
        and :class:`DeadlineError`.
        """
        body, header_length = encode_request(tensors, model, outputs, request_id)
        headers = {"Content-Type": "application/octet-stream"}
        if header_length is not None:
            headers[_HEADER_LENGTH] = str(header_length)
        path = f"{model_path(model.name, version)}/infer"
        answer = self.request("POST", path, body, headers, deadline=deadline)
        if answer.status != 200:
            raise self._refusal(model.name, version, answer)
        try:
            return decode_reply(answer.body, answer.header_length, model, outputs, request_id, rows)
        except (ValueError, KeyError, TypeError, AttributeError, struct.error) as exc:
            raise TritonError(
                f"Triton's answer for model {model.name!r} is not what the model declares"
            ) from exc

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
    ) -> Answer:
        """Send one request and read its whole answer, whatever its status, within the deadline.

        Raises :class:`TritonUnavailableError`, :class:`TritonError` or :class:`DeadlineError`.
        """
        seconds = (deadline or Deadline.after(self._timeout)).left()
        timer = gevent.Timeout.start_new(seconds)
        try:
            return self._exchange(method, path, body, headers or {})
        except gevent.Timeout as fired:
            if fired is not timer:
                raise
            self._reconnect()
            raise DeadlineError("Triton did not answer in time") from fired
        except ssl.SSLError as exc:
            self._reconnect()
            raise TritonUnavailableError("no secure connection to Triton could be made") from exc
        except (OSError, HTTPConnectionClosed) as exc:
            self._reconnect()
            raise TritonUnavailableError("Triton cannot be reached") from exc
        except (HTTPParseError, ValueError, KeyError) as exc:
            self._reconnect()
            raise TritonError("Triton's address answered with something that is no HTTP") from exc
        finally:
            timer.close()

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        response = self._http.request(method, path, body, dict(headers))
        content = bytes(response.read())
        if not response.message_complete:
            raise HTTPConnectionClosed("the answer was cut off")
        length = response.get(_HEADER_LENGTH)
        return Answer(response.status_code, content, None if length is None else int(str(length)))

    def _connect(self) -> HTTPClient:
        return HTTPClient.from_url(
            self.url,
            concurrency=self._connections,
            block_size=_BLOCK_SIZE,
            connection_timeout=self._timeout,
            network_timeout=None,  # the deadline is over the whole call, not over each read
        )

    def _reconnect(self) -> None:
        """Start with fresh connections: one that failed says that its idle siblings are stale.

        Requests under way keep theirs until they end.
        """
        stale, self._http = self._http, self._connect()
        stale.close()

    def _json(self, method: str, path: str, body: bytes = b"") -> Any:
        answer = self.request(method, path, body)
        if answer.status != 200:
            _LOG.debug("triton answered %s %s with %d", method, path, answer.status)
            if answer.status == 503:
                raise TritonUnavailableError("Triton is not ready")
            raise TritonError(f"Triton answered with status {answer.status}")
        try:
            return orjson.loads(answer.body)
        except orjson.JSONDecodeError as exc:
            raise TritonError("Triton answered with something that is no JSON") from exc

    def _object(self, method: str, path: str) -> dict[str, Any]:
        value = self._json(method, path)
        if not isinstance(value, dict):
            raise TritonError("Triton answered with something that is no JSON object")
        return value

    def _refusal(self, name: str, version: str, answer: Answer) -> Exception:
        """Tell a model that is not there now from an inference that Triton refused.

        Triton gives both the same statuses, so it is asked. Its own words are for the log.
        """
        said = TritonRefusalError(answer.status, answer.body[:2000].decode("utf-8", "replace"))
        error: TritonError | TritonUnavailableError
        if answer.status == 503 or not self.is_model_ready(name, version):
            error = TritonUnavailableError(f"model {name!r} is not ready")
        else:
            error = TritonError(f"Triton refused an inference of model {name!r}")
        error.__cause__ = said
        return error


class TritonRefusalError(Exception):
    """Triton's own words about an inference that it refused, kept as a cause for the log."""


def model_path(name: str, version: str = "") -> str:
    """Return the path of a model's endpoints, with each part quoted."""
    path = f"/v2/models/{quote(name, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path
