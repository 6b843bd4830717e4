"""Clients of a worker that serves one at a time, so that none holds up others by its silence."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

_PIECE = 10.0  # seconds for each further piece of a request or reply, while all others wait
_FIRST = 0.01  # seconds until the first one, which most send at once
_SILENCE = 75.0  # seconds until the first one of those that do not
_MOST = 512  # select, which Gunicorn waits with, knows no more than 1,024 files


class PatientClient:
    """A client's socket: one that takes too long for the next piece has ended there.

    The limit is the socket's own, so that Gunicorn can set a shorter one where it closes.
    """

    def __init__(self, sock: socket.socket, patience: float = _PIECE) -> None:
        sock.settimeout(patience)
        self._sock = sock

    def recv(self, size: int, *flags: int) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        try:
            return self._sock.recv(size, *flags)
        except TimeoutError:
            return b""

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``; raises ``BrokenPipeError`` where the client reads no further."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._sock.send(rest) :]
        except TimeoutError as exc:
            raise BrokenPipeError(errno.EPIPE, "the client reads no further") from exc

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Client(NamedTuple):
    """A connection, the other side's address, and when it was taken."""

    sock: socket.socket
    address: Any
    since: float


def accept(listener: Any) -> Client:
    """Take a connection from a listening socket."""
    sock, address = listener.accept()
    return Client(sock, address, time.monotonic())


def has_asked(client: Client) -> bool:
    """Tell whether something has come, or comes at once."""
    return bool(select.select([client.sock], [], [], _FIRST)[0])


class SilentClients:
    """Clients that have sent nothing yet: at most 512, for at most 75 seconds."""

    def __init__(self) -> None:
        self._clients: dict[socket.socket, Client] = {}

    def __iter__(self) -> Iterator[socket.socket]:
        return iter(self._clients)

    def add(self, client: Client) -> None:
        """Keep one, instead of the oldest if there are too many."""
        if len(self._clients) >= _MOST:
            self._end(next(iter(self._clients)))
        self._clients[client.sock] = client

    def take(self, ready: Collection[Any]) -> list[Client]:
        """Give up those of which something has come, the oldest first, and end those too old."""
        taken = [self._clients.pop(sock) for sock in [*self._clients] if sock in ready]
        oldest = time.monotonic() - _SILENCE
        for client in [*self._clients.values()]:
            if client.since < oldest:
                self._end(client.sock)
        return taken

    def close(self) -> None:
        """End all of them."""
        for sock in [*self._clients]:
            self._end(sock)

    def _end(self, sock: socket.socket) -> None:
        del self._clients[sock]
        sock.close()
