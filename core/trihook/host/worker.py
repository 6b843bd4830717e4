"""The Gunicorn worker of the host: gevent's, quick about usual requests, and quiet at its end."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import gevent
from gevent import socket as gevent_socket
from gevent.pool import Pool
from gunicorn import util
from gunicorn.http.message import Request
from gunicorn.workers.ggevent import GeventWorker

from trihook.host.accepting import FairServer, Places
from trihook.host.arbiter import SteadyWorker
from trihook.host.exchanges import Exchanges
from trihook.host.turns import Turns

_PLACES = Places()  # made in the master, and inherited from it
_CLOSING = 2.0  # seconds
_LAST_CALL = 2.0  # seconds
_QUIET = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


class Worker(SteadyWorker, GeventWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Ends by its main loop, also when it is to be quick, and answers in one piece.

    Usual scoring requests are answered without Gunicorn's own machinery, if the application has a
    ``score`` for them; see :mod:`trihook.host.exchanges`.

    Gunicorn's own answer to SIGINT and SIGQUIT is to raise ``SystemExit`` in a greenlet, which
    gevent prints with a traceback. The arbiter kills what does not end in time all the same.
    """

    sockets: list[Any]

    wsgi: Any = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.place = _PLACES.take()
        self._exchanges: set[Exchanges] = set()
        self._idle: set[Any] = set()  # sockets that Gunicorn reads, between requests

    def patch(self) -> None:
        """Give Gunicorn sockets that wait as greenlets do; the standard library stays as it is.

        Hooks run in native threads, and what gevent would put in place of locks, sockets and
        processes belongs to the thread that made it: a lock loses wake-ups there, a connection
        that two threads use in turn breaks, no process can be started. The client of Triton
        has gevent's own sockets anyway.
        """
        self.sockets = [
            gevent_socket.socket(each.FAMILY, socket.SOCK_STREAM, fileno=each.sock.detach())
            for each in self.sockets
        ]

    @property
    def server_class(self) -> Callable[..., FairServer]:
        """What makes the server of a listening socket, as Gunicorn asks for it."""
        return self._make_server

    def _make_server(self, listener: socket.socket, *, spawn: Pool, **options: Any) -> FairServer:
        of_wsgi = ("application", "log", "handler_class", "environ")
        tls = {name: value for name, value in options.items() if name not in of_wsgi}
        handle = partial(self.handle, listener)
        return FairServer(listener, self.place, handle=handle, spawn=spawn, **tls)

    def run(self) -> None:
        """Serve until told to end."""
        self.place.open()
        gc.collect()
        gc.freeze()  # the garbage collector need not look through all that is loaded each time
        try:
            super().run()
        finally:
            self._close_service()
            gc.unfreeze()  # or the interpreter would take apart what still needs each other

    def _close_service(self) -> None:
        """Let Triton give up what is shared with it, if it does so soon."""
        service = getattr(self.wsgi, "service", None)
        if service is not None:
            with gevent.Timeout(_CLOSING, False):
                service.close()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting, let what is under way end, and return from the main loop."""
        self.handle_exit(sig, frame)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting, let what is under way end, and soon wait for nobody who asks nothing.

        Not at once: a client that asks again and again is told by its next reply, and loses none.
        """
        super().handle_exit(sig, frame)
        gevent.spawn_later(_LAST_CALL, self._end_idle)

    def _end_idle(self) -> None:
        for each in list(self._exchanges):
            each.end_if_idle()
        for sock in list(self._idle):
            _end_reading(sock)

    def handle(self, listener: socket.socket, client: socket.socket, addr: object) -> None:
        """Serve one connection."""
        self.place.add(1)
        try:
            early = self._exchange(client)
            if early:
                self._hand_over(listener, ReturnedSocket(client, early), addr)
            elif early is not None:
                util.close(client)
            else:
                self._hand_over(listener, client, addr)
        finally:
            self.place.add(-1)

    def _hand_over(self, listener: socket.socket, client: Any, addr: object) -> None:
        """Let Gunicorn serve a connection, to its end."""
        self._idle.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            self._idle.discard(client)

    def _exchange(self, client: socket.socket) -> bytes | None:
        """Answer usual requests, and return the beginning of the first other one.

        It is empty where the connection is to be closed; None if nothing was read.
        """
        score = getattr(self.wsgi, "score", None)
        is_plain = self.cfg.keepalive and not self.cfg.is_ssl and "SCRIPT_NAME" not in os.environ
        if score is None or not is_plain:
            return None
        client.setblocking(True)
        exchanges = Exchanges(client, score, lambda: not self.alive, self.cfg.keepalive)
        self._exchanges.add(exchanges)
        try:
            return exchanges.serve()
        except OSError as exc:
            if not isinstance(exc, _QUIET):
                self.log.exception("socket error while a request was served")
        except BaseException:
            util.close(client)
            raise
        finally:
            self._exchanges.discard(exchanges)
        return b""

    def handle_request(
        self, listener_name: object, req: Request, sock: socket.socket, addr: object
    ) -> None:
        """Answer one request."""
        joined, turns = JoinedSocket(sock), Turns()
        self._idle.discard(sock)
        try:
            super().handle_request(listener_name, req, joined, addr)
        finally:
            joined.flush()
            self._idle.add(sock)
        turns.give_way()


def _end_reading(sock: socket.socket) -> None:
    """Let whoever reads from a socket find its end, after what has come.

    gevent's own ``shutdown`` would raise there instead, and one of TLS forget its keys.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as copy:
        copy.shutdown(socket.SHUT_RD)


class JoinedSocket:
    """A client's socket that sends the first two pieces of a reply as one.

    Gunicorn writes a reply's head, and then its body: two system calls, two packets, and two
    times that the reader is woken, where one will do.
    """

    def __init__(self, sock: socket.socket) -> None:
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
        return self._sock.send(data)

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


class ReturnedSocket:
    """A client's socket that gives ``early``, which has been read from it, once more."""

    def __init__(self, sock: socket.socket, early: bytes) -> None:
        self._sock = sock
        self._early = early

    def recv(self, size: int, *flags: int) -> bytes:
        """Return at most ``size`` bytes."""
        if not self._early:
            return self._sock.recv(size, *flags)
        data, self._early = self._early[:size], self._early[size:]
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
