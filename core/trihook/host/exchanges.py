"""Usual scoring requests of one connection, read and answered without Gunicorn's machinery.

What Gunicorn does for a request, to read any of HTTP and to speak WSGI, costs as much as all the
rest of scoring a small one. The first request that is not usual, and all after it, are left to it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeAlias

from gevent.hub import get_hub
from gunicorn import SERVER
from gunicorn.util import http_date

from trihook.host.answers import Answer, to_http
from trihook.host.heads import Head, parse_head
from trihook.host.sockets import linger, receive, send_all
from trihook.host.turns import Turns

_BLOCK_SIZE = 65536
_date = lru_cache(maxsize=1)(http_date)  # written once a second

Score: TypeAlias = "Callable[[Mapping[str, Any], str, str], Answer]"
"""From a WSGI environment, a model and a version to an answer."""


class Body:
    """The body of a request, of a known length: what has come, and the socket for the rest.

    A client may take ``patience`` seconds for each further piece.
    """

    __slots__ = ("_came", "_patience", "_sock", "is_late", "left")

    def __init__(self, sock: Any, came: bytes, length: int, patience: float | None = None) -> None:
        self._sock, self._came, self.left, self._patience = sock, came, length, patience
        self.is_late = False

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end, or where the client has gone.

        Raises ``TimeoutError`` where it takes too long.
        """
        size = min(size, self.left)
        data = self._came[:size] if self._came else self._receive(size) if size else b""
        self._came = self._came[size:]
        self.left -= len(data)
        return data

    def _receive(self, size: int) -> bytes:
        try:
            return receive(self._sock, size, self._patience)
        except TimeoutError:
            self.is_late = True
            raise


class Exchanges:
    """Answers the usual scoring requests of one client.

    ``score`` makes the answers. ``is_closing`` tells whether the connection is to be closed after
    the next one; it is asked where no further request has come. A client may take ``patience``
    seconds until its next request, for each further piece of a body and of a reply, and for all of
    a body that is passed over.
    """

    def __init__(
        self, sock: Any, score: Score, is_closing: Callable[[], bool], patience: float
    ) -> None:
        self._sock = sock
        self._score = score
        self._is_closing = is_closing
        self._patience = _Patience(sock, patience)
        self._turns = Turns()

    def serve(self) -> bytes:
        """Answer requests until an unusual one comes, and return what has come of it.

        That is nothing where the connection is to be closed.
        """
        try:
            return self._serve()
        finally:
            self._patience.end()

    def end_if_idle(self) -> None:
        """End a wait for the next request; one that has come is answered still."""
        if self._patience.since is not None:
            self._patience.end_wait()

    def _serve(self) -> bytes:
        data = self._wait()
        while data and (head := parse_head(data)) is not None:
            came, data = data[head.size : head.size + head.length], data[head.size + head.length :]
            body = Body(self._sock, came, head.length, self._patience.seconds)
            is_last = not self._answer(head, body, has_next=bool(data))
            if is_last and body.left and not body.is_late:
                linger(self._sock, body.read)
            if is_last or body.is_late or not _drain(body, self._patience.seconds):
                return b""
            self._turns.give_way()
            data = data or self._wait()
        return data

    def _wait(self) -> bytes:
        """Return the beginning of the next request; nothing where none comes any more."""
        self._patience.since = time.monotonic()
        try:
            data: bytes = self._sock.recv(_BLOCK_SIZE)
        except OSError:
            if not self._patience.is_over:
                raise
            data = self._sock.recv(_BLOCK_SIZE)  # what had come; there is nothing to wait for
        self._patience.since = None
        return data

    def _answer(self, head: Head, body: Body, *, has_next: bool) -> bool:
        """Answer a request; tell whether the connection stays open: for the next that has come."""
        environ = {**head.environ, "wsgi.input": body}
        answer = self._score(environ, head.model, head.version)
        keep = has_next or not self._is_closing()
        reply = to_http(answer, SERVER, _date(int(time.time())), keep=keep)
        send_all(self._sock, reply, self._patience.seconds)
        return keep


class _Patience:
    """Ends a wait for the next request after so many ``seconds``: its ``recv`` then raises.

    One timer serves all waits of a connection: to start and stop one for each costs more.
    """

    def __init__(self, sock: Any, seconds: float) -> None:
        self.since: float | None = None
        self.is_over = False
        self.seconds = seconds
        self._sock = sock
        self._timer = get_hub().loop.timer(seconds)
        self._timer.start(self._look)

    def end(self) -> None:
        """Stop looking."""
        self._timer.close()

    def _look(self) -> None:
        left = self.seconds
        if self.since is not None:
            left -= time.monotonic() - self.since
        if left > 0:
            self._timer.close()
            self._timer = get_hub().loop.timer(left)
            self._timer.start(self._look)
        else:
            self.end_wait()

    def end_wait(self) -> None:
        """Let the wait under way find the end of the connection."""
        self.is_over = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)


def _drain(body: Body, seconds: float) -> bool:
    """Pass over what nobody has read; tell whether all of the body has come in that time."""
    until = time.monotonic() + seconds
    with suppress(TimeoutError):
        while body.left and time.monotonic() < until:
            if not body.read(_BLOCK_SIZE):
                return False
    return not body.left
