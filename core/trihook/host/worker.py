"""The Gunicorn worker of the host: gevent's, quick about usual requests, and quiet at its end."""

from __future__ import annotations

import gc
import os
import signal
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
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.workers.ggevent import GeventWorker

from trihook.host.accepting import FairServer, Places
from trihook.host.arbiter import SteadyWorker
from trihook.host.exchanges import Exchanges
from trihook.host.greenlets import GeventRuntime
from trihook.host.sockets import JoinedSocket, PatientSocket, end_reading, linger
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
        self._surplus = 0  # connections that others should have
        self._exchanges: set[Exchanges] = set()
        self._idle: set[PatientSocket] = set()  # sockets that Gunicorn reads, between requests

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
    def is_retired(self) -> bool:
        """Whether it ends by itself, and wants a successor; for the master."""
        return self.place.is_retired

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

    def notify(self) -> None:
        """Tell the master that the worker lives, and look after it, once a second.

        Where too many hooks never return it ends: the master starts another, with free threads.
        """
        super().notify()
        self._surplus = self.place.surplus()
        runtime = getattr(getattr(self.wsgi, "service", None), "runtime", None)
        if self.alive and isinstance(runtime, GeventRuntime) and runtime.is_stuck():
            self.log.error("hooks that do not return hold the threads of this worker: it ends")
            self.place.retire()
            self.handle_exit(signal.SIGTERM, None)

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
            end_reading(sock)

    def handle(self, listener: socket.socket, client: socket.socket, addr: object) -> None:
        """Serve one connection."""
        self.place.add(1)
        try:
            early = self._exchange(client)
            if early == b"":
                util.close(client)
            else:
                patient = PatientSocket(client, self.cfg.keepalive, early or b"")
                self._hand_over(listener, patient, addr)
        finally:
            self.place.add(-1)

    def _hand_over(self, listener: socket.socket, client: PatientSocket, addr: object) -> None:
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
        exchanges = Exchanges(client, score, self._is_to_close, self.cfg.keepalive)
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

    def _is_to_close(self) -> bool:
        """Tell whether a connection is to be closed with its next reply, to be made anew elsewhere.

        Once a second, so many are that the workers then have as many as each other.
        """
        if self.alive and self._surplus <= 0:
            return False
        self._surplus -= 1
        return True

    def handle_request(
        self, listener_name: object, req: Request, sock: PatientSocket, addr: object
    ) -> None:
        """Answer one request."""
        joined, turns = JoinedSocket(sock), Turns()
        self._idle.discard(sock)
        sock.is_serving = True
        try:
            super().handle_request(listener_name, req, joined, addr)
        except StopIteration:  # the connection is to be closed
            joined.flush()
            with suppress(ParseException):
                linger(sock, req.body.read)
            raise
        finally:
            joined.flush()
            sock.is_serving = False
            self._idle.add(sock)
        turns.give_way()

    def handle_error(self, req: object, client: Any, addr: object, exc: BaseException) -> None:
        """Answer what is no request."""
        super().handle_error(req, client, addr, exc)
        if isinstance(exc, Exception):
            linger(client, client.recv)
