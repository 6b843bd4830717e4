"""Pooled HTTP connections to one address: a request is sent once, and its answer read whole.

They belong to one gevent hub. Deadlines are the caller's: its ``gevent.Timeout`` may interrupt
an exchange anywhere, and leaves no connection behind.
"""

from __future__ import annotations

import io
import re
import select
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from gevent import socket, ssl
from gevent.monkey import get_original

from trihook.triton.slots import Slots

HEADER_LENGTH = "Inference-Header-Content-Length"
_BLOCK_SIZE = 65536
_MAX_HEAD = 65536
_COPIED_BELOW = 65536  # bytes that are sooner copied together than sent one by one

Buffer: TypeAlias = "bytes | memoryview"
"""What is sent as it lies in memory; a view is one of bytes."""

# what Triton answers, in one look; anything else that is HTTP is read by http.client
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})[ \r]")
_FIELD = re.compile(rb"\r\n([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")
_HEADER_LENGTH = HEADER_LENGTH.lower().encode()
_poll = get_original("select", "poll")  # which does not wait, and so needs no hub


class Answer(NamedTuple):
    """What Triton answered: an HTTP status, a body, and the length of its tensor header."""

    status: int
    body: bytes
    header_length: int | None = None


class BrokenAnswerError(ValueError):
    """What came is no answer of HTTP, not all of one, or more than one."""


class LostConnectionError(OSError):
    """The connection broke once a request had been sent: it may have been carried out."""


class Connections:
    """At most ``size`` connections to ``url``; who finds none free waits for its turn.

    A path in ``url`` stands before that of each request. ``timeout`` is for making a
    connection, in seconds.
    """

    def __init__(self, url: str, size: int, timeout: float) -> None:
        parts = urlsplit(url)
        self._tls = _trusting_context() if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._address = (self._host, parts.port or (443 if self._tls else 80))
        self._base = parts.path.rstrip("/")
        self._fields = f"Host: {parts.netloc}\r\n"
        self._timeout = timeout
        self._slots = Slots(size)
        self._idle: list[tuple[Any, Any]] = []

    @property
    def are_local(self) -> bool:
        """Whether they lead to an address that only this machine has."""
        return self._host == "localhost" or self._host.startswith("127.") or self._host == "::1"

    def exchange(
        self,
        method: str,
        path: str,
        body: Sequence[Buffer] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, its body in buffers, and read its whole answer.

        Raises ``OSError``, which is a :class:`LostConnectionError` once all of the request has been
        sent, and :class:`BrokenAnswerError` or another ``ValueError``; whatever is
        raised, all idle connections are given up with this one, for they are as stale.
        """
        length = sum(map(len, body))
        fields = "".join([f"{name}: {value}\r\n" for name, value in (headers or {}).items()])
        line = f"{method} {self._base}{path} HTTP/1.1\r\n"
        head = f"{line}{self._fields}{fields}Content-Length: {length}\r\n\r\n"
        message = [head.encode("latin-1"), *body]
        if length < _COPIED_BELOW:
            message = [b"".join(message)]
        with self._slots:
            connection, poll = self._take()
            try:
                for buffer in message:
                    send(connection, buffer)
                answer, is_kept = _read_answer(connection, method)
            except BaseException:
                connection.close()
                self.close()
                raise
            if is_kept:
                self._idle.append((connection, poll))
            else:
                connection.close()
            return answer

    def close(self) -> None:
        """Close the idle connections; those in use end with their exchange."""
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _take(self) -> tuple[Any, Any]:
        """Return the connection used last, if it is as it was left, or a new one.

        With it comes what tells so. Under TLS a message of that protocol itself looks as if
        something had come, and costs a connection.
        """
        while self._idle:
            connection, poll = self._idle.pop()
            if not poll.poll(0):  # neither the end has come nor what nobody asked for
                return connection, poll
            connection.close()
        connection = self._connect()
        poll = _poll()
        poll.register(connection.fileno(), select.POLLIN)
        return connection, poll

    def _connect(self) -> Any:
        connection = socket.create_connection(self._address, self._timeout)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_hostname=self._host)
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection


def _trusting_context() -> ssl.SSLContext:
    """Return a context that trusts whom the system trusts.

    It is gevent's own class: ``create_default_context`` makes a standard one, whose sockets block
    the hub, unless the process is patched.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context


def send(connection: Any, data: Buffer) -> None:
    """Send all of ``data``: most often in one piece, so without what gevent's own prepares for."""
    sent = connection.send(data)
    if sent < len(data):
        connection.sendall(memoryview(data)[sent:])


def _read_answer(connection: Any, method: str) -> tuple[Answer, bool]:
    try:
        return _read(connection, method)
    except OSError as exc:
        raise LostConnectionError from exc


def _read(connection: Any, method: str) -> tuple[Answer, bool]:
    """Read a whole answer; tell whether the connection may be used again."""
    data = connection.recv(_BLOCK_SIZE)
    if not data:
        raise ConnectionResetError("the connection was closed before an answer came")
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = connection.recv(_BLOCK_SIZE)
        if not more or len(data) > _MAX_HEAD:
            raise BrokenAnswerError("the answer's head is cut off, too long or none")
        data += more
    status = _STATUS.match(data)
    listed = [(name.lower(), value) for name, value in _FIELD.findall(data, 0, end)]
    fields = dict(listed)
    length = fields.get(b"content-length", b"")
    if (
        status is None
        or len(fields) != len(listed)
        or not length.isdigit()
        or b"transfer-encoding" in fields
        or fields.get(b"connection", b"keep-alive").lower() != b"keep-alive"
    ):
        return _read_unusual(connection, data, method), False
    body = _read_body(connection, data[end + 4 :], int(length))
    return Answer(int(status[1]), body, _header_length(fields)), True


def _read_body(connection: Any, first: bytes, length: int) -> bytes:
    if len(first) < length:
        chunks, left = [first], length - len(first)
        while left > 0 and (chunk := connection.recv(left)):
            chunks.append(chunk)
            left -= len(chunk)
        first = b"".join(chunks)
    if len(first) != length:
        raise BrokenAnswerError("the answer's body is cut off, or followed by what nobody asked")
    return first


def _header_length(fields: Mapping[bytes, bytes]) -> int | None:
    length = fields.get(_HEADER_LENGTH)
    return None if length is None else int(length)


def _read_unusual(connection: Any, data: bytes, method: str) -> Answer:
    """Read an answer that is in chunks, ends the connection, or the like."""
    with HTTPResponse(_Rest(connection, data), method=method) as response:  # type: ignore[arg-type]  # it asks for a file only
        try:
            response.begin()
            lengths = response.headers.get_all("Content-Length", [])
            if len(set(lengths)) > 1:
                raise BrokenAnswerError("the answer has several lengths")
            body = response.read()
        except HTTPException as exc:
            raise BrokenAnswerError("the answer is not HTTP, or cut off") from exc
        length = response.headers.get(HEADER_LENGTH)
        return Answer(response.status, body, None if length is None else int(length))


class _Rest(io.RawIOBase):
    """What has been read of a connection already, and what follows, as a file."""

    def __init__(self, connection: Any, data: bytes) -> None:
        self._connection, self._data = connection, data

    def makefile(self, _mode: str) -> Any:
        """Return the file that ``http.client`` reads."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data:
            return int(self._connection.recv_into(buffer))
        part = self._data[: len(buffer)]
        buffer[: len(part)] = part
        self._data = self._data[len(part) :]
        return len(part)
