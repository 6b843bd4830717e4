"""Pooled HTTP connections to one address: a request is sent once, and its answer read whole.

They belong to one gevent hub. Deadlines are the caller's: its ``gevent.Timeout`` may interrupt
an exchange anywhere, and leaves no connection behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from gevent.lock import BoundedSemaphore
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import (
    HTTPConnectionClosed,
    HTTPParseError,
    HTTPSocketPoolResponse,
)

HEADER_LENGTH = "Inference-Header-Content-Length"
_BLOCK_SIZE = 65536
_COPIED_BELOW = 65536  # bytes that are sooner copied together than sent one by one

Buffer: TypeAlias = "bytes | memoryview"
"""What is sent as it lies in memory; a view is one of bytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Triton answered: an HTTP status, a body, and the length of its tensor header."""

    status: int
    body: bytes
    header_length: int | None = None


class Connections:
    """At most ``size`` connections to ``url``; who finds none free waits.

    ``timeout`` is for making a connection, in seconds.
    """

    def __init__(self, url: str, size: int, timeout: float) -> None:
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._netloc = parts.netloc
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self._size, self._timeout = size, timeout
        # the pool has a bound of its own, but those who wait there are lost when it is dropped
        self._slots = BoundedSemaphore(size)
        self._pool = self._open()

    def exchange(
        self,
        method: str,
        path: str,
        body: Sequence[Buffer] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, its body in buffers, and read its whole answer.

        Raises ``OSError``, geventhttpclient's ``HTTPParseError`` and ``ValueError``; whatever is
        raised, all idle connections are given up with this one, for they are as stale.
        """
        length = sum(map(len, body))
        fields = {"Host": self._netloc, "Content-Length": length, **(headers or {})}
        head = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
        message = [f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"), *body]
        if length < _COPIED_BELOW:
            message = [b"".join(message)]
        with self._slots:
            pool = self._pool
            try:
                return _read(_send(pool, message, method))
            except BaseException:
                self._drop(pool)
                raise

    def close(self) -> None:
        """Close the idle connections; those in use end with their exchange."""
        self._pool.close()

    def _open(self) -> ConnectionPool:
        kind = SSLConnectionPool if self._is_secure else ConnectionPool
        return kind(
            self._host,
            self._port,
            self._host,
            self._port,
            size=self._size,
            connection_timeout=self._timeout,
            network_timeout=None,  # type: ignore[arg-type]  # what sockets take for no limit
        )

    def _drop(self, failed: ConnectionPool) -> None:
        if self._pool is failed:
            self._pool = self._open()
        failed.close()


def _send(pool: ConnectionPool, message: Sequence[Buffer], method: str) -> HTTPSocketPoolResponse:
    """Send a request once, and read the header of its answer."""
    connection = pool.get_socket()
    try:
        for buffer in message:
            connection.sendall(buffer)
    except BaseException:
        pool.release_socket(connection)
        raise
    return HTTPSocketPoolResponse(connection, pool, block_size=_BLOCK_SIZE, method=method)


def _read(response: HTTPSocketPoolResponse) -> Answer:
    content = bytes(response.read())
    if not response.message_complete:
        raise HTTPConnectionClosed("the answer was cut off")
    if response.content_length not in (None, len(content)):
        raise HTTPParseError("an answer that nobody asked for came with this one")
    length = response.get(HEADER_LENGTH)
    return Answer(response.status_code, content, None if length is None else int(str(length)))
