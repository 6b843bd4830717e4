"""Ports reserved until Triton listens on them."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest
from trihook import LocalTritonError
from trihook.local.ports import reserve


def listen(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_port_0_is_a_free_port_that_a_server_can_take_over() -> None:
    with ExitStack() as stack:
        port = reserve(stack, "127.0.0.1", 0)
        assert port > 0
        with listen(port):
            pass


def test_a_taken_port_is_named_with_its_address() -> None:
    with listen(0) as server, ExitStack() as stack:
        port = server.getsockname()[1]
        with pytest.raises(LocalTritonError, match=rf"port {port} on 127\.0\.0\.1 .*in use"):
            reserve(stack, "127.0.0.1", port)


@pytest.mark.parametrize(
    ("address", "port", "reason"),
    [
        ("127.0.0.1", 65536, "between 0 and 65535"),
        ("192.0.2.1", 0, "assign requested address"),
        ("::1", 0, "Triton cannot listen at '::1': it takes an IPv4 address"),
        ("localhost", 0, "Triton cannot listen at 'localhost'"),
    ],
)
def test_what_cannot_be_bound_is_refused(address: str, port: int, reason: str) -> None:
    with ExitStack() as stack, pytest.raises(LocalTritonError, match=reason):
        reserve(stack, address, port)


def test_a_port_that_was_asked_for_is_reserved_once() -> None:
    with ExitStack() as first:
        port = reserve(first, "127.0.0.1", 0)
    with ExitStack() as first:
        reserve(first, "127.0.0.1", port)
        with ExitStack() as second, pytest.raises(LocalTritonError, match="is starting there"):
            reserve(second, "127.0.0.1", port)
        with listen(port):
            pass
    with ExitStack() as second:
        reserve(second, "127.0.0.1", port)
