"""Pooled HTTP connections to one address: a request is sent once, and its answer read whole.

They belong to one gevent hub. Deadlines are the caller's: its ``gevent.Timeout`` may interrupt
an exchange anywhere, and leaves no connection behind.
"""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from gevent import socket, ssl
from gevent.monkey import get_original

from trihook.triton.answers import Answer, read_answer
from trihook.triton.slots import Slots

_COPIED_BELOW = 65536  # bytes that are sooner copied together than sent one by one

Buffer: TypeAlias = "bytes | memoryview"
"""What is sent as it lies in memory; a view is one of bytes."""

_poll = get_original("select", "poll")  # which does not wait, and so needs no hub


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
                answer, is_kept = read_answer(connection, method)
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
