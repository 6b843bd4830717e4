"""Clients' sockets: replies that leave in one piece, and nobody who is waited for without end."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent

_BLOCK_SIZE = 65536
_LINGER = 2.0  # seconds


def send_all(sock: Any, data: bytes, patience: float) -> None:
    """Send all of ``data``; the client may take ``patience`` seconds to read each further piece.

    Raises ``BrokenPipeError`` where it takes longer, as where it has gone.
    """
    try:
        sent = sock.send(data, timeout=0.0)  # most often all of it, and no timer is needed
    except BlockingIOError:
        sent = 0
    if sent < len(data):
        _send_rest(sock, memoryview(data)[sent:], patience)


def _send_rest(sock: Any, rest: memoryview, patience: float) -> None:
    sock.settimeout(patience)
    try:
        while rest:
            rest = rest[sock.send(rest) :]
    except TimeoutError as exc:
        raise BrokenPipeError(errno.EPIPE, "the client reads no further") from exc
    finally:
        sock.settimeout(None)


def receive(sock: Any, size: int, patience: float | None) -> bytes:
    """Return at most ``size`` bytes; raises ``TimeoutError`` where none come for so long."""
    sock.settimeout(patience)
    try:
        data: bytes = sock.recv(size)
    finally:
        sock.settimeout(None)
    return data


def end_reading(sock: Any) -> None:
    """Let whoever reads from a socket find its end, after what has come."""
    _shut_down(sock, socket.SHUT_RD)


def linger(sock: Any, read: Callable[[int], bytes]) -> None:
    """Let the client see that nothing follows, and for a while pass over what it sends still.

    ``read`` gives that, and nothing at its end. Closed while something is unread, or comes, the
    connection would be reset, and the client lose the reply before it has read it.
    """
    with suppress(OSError), gevent.Timeout(_LINGER, False):
        _shut_down(sock, socket.SHUT_WR)
        while read(_BLOCK_SIZE):
            gevent.sleep(0)  # however fast it comes, others go on


def _shut_down(sock: Any, how: int) -> None:
    """Shut one direction down, and nothing else.

    gevent's own ``shutdown`` would raise at whoever reads, and one of TLS forget its keys.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as copy:
        copy.shutdown(how)


class JoinedSocket:
    """A client's socket that sends the first two pieces of a reply as one.

    Gunicorn writes a reply's head, and then its body: two system calls, two packets, and two
    times that the reader is woken, where one will do.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._held: bytes | None = None
        self._is_held_back = True

    def sendall(self, data: bytes) -> None:
        """Send ``data``, or hold it back if it is the first piece."""
        if not self._is_held_back:
            self._sock.sendall(data)
        elif self._held is None:
            self._held = data
        else:
            self._is_held_back = False
            self._sock.sendall(self._held + data)

    def flush(self) -> None:
        """Send what is still held back."""
        if self._is_held_back and self._held is not None:
            self._is_held_back = False
            self._sock.sendall(self._held)

    def send(self, data: bytes) -> int:
        """Send ``data`` now, after what is held back."""
        self.flush()
        sent: int = self._sock.send(data)
        return sent

    def sendfile(self, *arguments: Any, **options: Any) -> Any:
        """Send a file, after what is held back."""
        self.flush()
        return self._sock.sendfile(*arguments, **options)

    def shutdown(self, how: int) -> None:
        """Shut the connection down; what is held back is not sent any more."""
        self._is_held_back = False
        self._sock.shutdown(how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class PatientSocket:
    """A client's socket that gives ``early``, which has been read from it, once more.

    While ``is_serving`` a request the client may take ``patience`` seconds for each further piece
    of it, then ``recv`` raises ``TimeoutError``, and nothing more is received. How long the next
    request may take to come is for others to say.
    """

    def __init__(self, sock: Any, patience: float, early: bytes = b"") -> None:
        self._sock = sock
        self._patience = patience
        self._early = early
        self._is_over = False
        self.is_serving = False

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes."""
        if self._early:
            data, self._early = self._early[:size], self._early[size:]
            return data
        if self._is_over:
            return b""
        try:
            return receive(self._sock, size, self._patience if self.is_serving else None)
        except TimeoutError:
            self._is_over = True
            raise

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``, if the client reads it; see :func:`send_all`."""
        send_all(self._sock, data, self._patience)

    def send(self, data: bytes) -> int:
        """Send all of ``data`` too: what is sent so, such as ``100 Continue``, is sent once."""
        self.sendall(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
