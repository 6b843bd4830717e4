"""The only network edge: requests to Triton, and the one place where foreign errors are mapped.

One client belongs to one gevent hub: greenlets of that hub may share it, threads may not, and
it must not live across a fork. A request that was sent is never sent again.
"""

from __future__ import annotations

import logging
import ssl
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import gevent
import orjson

from trihook.deadline import Deadline
from trihook.errors import (
    DeadlineError,
    ScoringError,
    TritonError,
    TritonLostError,
    TritonUnavailableError,
)
from trihook.triton.answers import HEADER_LENGTH, Answer, LostConnectionError
from trihook.triton.connections import Buffer, Connections
from trihook.triton.dtypes import Array
from trihook.triton.shared_memory import Region, SharedMemory
from trihook.triton.stacking import Pieces
from trihook.triton.wire import decode_reply, encode_request, shareable_size
from trihook.types import Model, Parameter, RequestedOutput

_LOG = logging.getLogger(__name__)

_INFER = "/infer"
_QUESTIONS = 4  # connections for all that is asked but inferences


class TritonClient:
    """A client of one Triton, for the greenlets of one hub.

    ``url`` is ``host:port``, with ``http://`` or ``https://`` before it if you like.
    ``connections`` bounds the inferences under way at a time; further ones wait in turn. All
    other requests have a few connections to themselves, so that no model's load holds them up.
    A request that has no deadline of its own ends after ``timeout`` seconds. Large tensors reach
    a Triton on this machine by shared memory if ``share_memory``.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 16,
        timeout: float = 10.0,
        share_memory: bool = False,
    ) -> None:
        self.url = url if "://" in url else f"http://{url}"
        self._timeout = timeout
        self._inferences = Connections(self.url, connections, timeout)
        self._questions = Connections(self.url, min(connections, _QUESTIONS), timeout)
        is_shared = share_memory and self._inferences.are_local
        self._shared = SharedMemory(self._administer) if is_shared else None

    def close(self) -> None:
        """Let go of shared memory, and close all connections."""
        if self._shared is not None:
            self._shared.close()
        self._inferences.close()
        self._questions.close()

    def is_ready(self) -> bool:
        """Tell whether Triton says that it is ready; False too where it cannot be reached."""
        try:
            return self.request("GET", "/v2/health/ready").status == 200
        except (TritonError, TritonUnavailableError, DeadlineError):
            return False

    def is_model_ready(
        self, name: str, version: str = "", deadline: Deadline | None = None
    ) -> bool:
        """Tell whether Triton says that the model can be inferred."""
        path = f"{model_path(name, version)}/ready"
        return self.request("GET", path, deadline=deadline).status == 200

    def index(self) -> list[dict[str, Any]]:
        """Return the repository index: an entry for each version of each model, with its state."""
        entries = self._json("POST", "/v2/repository/index", [b"{}"])
        if not isinstance(entries, list) or not all(map(_is_index_entry, entries)):
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
        tensors: Pieces,
        *,
        version: str = "",
        outputs: Sequence[RequestedOutput] = (),
        parameters: Mapping[str, Parameter] = MappingProxyType({}),
        request_id: str = "",
        rows: int = 0,
        deadline: Deadline | None = None,
    ) -> tuple[dict[str, Array], str]:
        """Run one inference and return the output tensors by name, and the version that ran.

        ``tensors`` are fitted to ``model``, in pieces along a batch dimension of ``rows`` where it
        has one.
        Raises :class:`TritonError` if Triton refuses or answers with something else than what
        the model declares, :class:`TritonUnavailableError` if it or the model cannot be reached,
        and :class:`DeadlineError`.
        """
        path = model_path(model.name, version) + _INFER

        def ask(region: Region | None) -> Answer:
            body, header_length = encode_request(
                tensors, model, outputs, request_id, region, parameters
            )
            headers = {
                "Content-Type": "application/octet-stream",
                HEADER_LENGTH: str(header_length),
            }
            return self.request("POST", path, body, headers, deadline)

        if self._shared is None or model.stateful:  # whose requests must not see later tensors
            answer = ask(None)
        else:
            answer = self._shared.use(shareable_size(tensors), ask)
        if answer.status != 200:
            raise self._refusal(model.name, version, answer, deadline)
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
        body: Sequence[Buffer] = (),
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
    ) -> Answer:
        """Send one request and read its whole answer, whatever its status, within the deadline.

        ``body`` comes in buffers, which are sent one after the other. Raises
        :class:`TritonUnavailableError`, :class:`TritonError` or :class:`DeadlineError`.
        """
        connections = self._inferences if path.endswith(_INFER) else self._questions
        seconds = (deadline or Deadline.after(self._timeout)).left()
        if seconds == 0:
            raise DeadlineError("there was no time left to ask Triton")
        timer = gevent.Timeout.start_new(seconds)
        try:
            return connections.exchange(method, path, body, headers)
        except gevent.Timeout as fired:
            if fired is not timer:
                raise
            raise DeadlineError("Triton did not answer in time") from fired
        except LostConnectionError as exc:
            raise TritonLostError("the connection to Triton broke before its answer came") from exc
        except ssl.SSLError as exc:
            raise TritonUnavailableError("no secure connection to Triton could be made") from exc
        except OSError as exc:
            raise TritonUnavailableError("Triton cannot be reached") from exc
        except ValueError as exc:
            raise TritonError("Triton's address answered with something that is no HTTP") from exc
        finally:
            timer.close()

    def _administer(self, method: str, path: str, value: object) -> Any:
        """Send a request about Triton itself, and return what its JSON says, if there is any."""
        answer = self.request(method, path, [] if value is None else [orjson.dumps(value)])
        if answer.status != 200:
            raise TritonError(f"Triton answered with status {answer.status}")
        return orjson.loads(answer.body) if answer.body else None

    def _json(self, method: str, path: str, body: Sequence[Buffer] = ()) -> Any:
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

    def _refusal(
        self, name: str, version: str, answer: Answer, deadline: Deadline | None
    ) -> Exception:
        """Tell a model that is not there now from an inference that Triton refused.

        Triton gives both the same statuses, so it is asked. Its own words are for the log.
        """
        said = TritonRefusalError(answer.status, answer.body[:2000].decode("utf-8", "replace"))
        error: TritonError | TritonUnavailableError
        if answer.status == 503 or not self.is_model_ready(name, version, deadline):
            error = TritonUnavailableError(f"model {name!r} is not ready")
        else:
            error = TritonError(f"Triton refused an inference of model {name!r}")
        error.__cause__ = said
        return error


class TritonRefusalError(Exception):
    """Triton's own words about an inference that it refused, kept as a cause for the log."""


def is_refusal(error: ScoringError) -> bool:
    """Tell whether Triton answered an inference with an error, which is that of all its items."""
    return isinstance(error, TritonError) and isinstance(error.__cause__, TritonRefusalError)


@lru_cache(maxsize=4096)
def model_path(name: str, version: str = "") -> str:
    """Return the path of a model's endpoints, with each part quoted."""
    path = f"/v2/models/{quote(name, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


def _is_index_entry(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str)
