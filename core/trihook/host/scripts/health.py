"""Liveness at a port of its own: a thread answers while the script computes."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def answer_health(listener: socket.socket) -> None:
    """Answer ``GET /`` on a listening socket, in a thread that ends with the process."""
    server = _Server(listener)
    threading.Thread(target=server.serve_forever, name="trihook-health", daemon=True).start()


class _Server(ThreadingHTTPServer):
    """Takes over a socket that several workers share, and that is no blocking one therefore."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        listener.setblocking(False)
        self.socket = listener

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setblocking(True)
        return connection, address


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/":
            self._answer(200, "text/html; charset=utf-8", b"Healthy")
        else:
            message = {"message": f"{self.path} is not served at the health port"}
            self._answer(404, "application/json", json.dumps(message).encode())

    do_HEAD = do_GET  # noqa: N815 - the base class calls it so

    def _answer(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: probes come all the time."""
