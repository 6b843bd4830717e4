"""Ports for Triton, reserved until it listens on them."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import ExitStack

from trihook.errors import LocalTritonError


def is_ipv4(address: str) -> bool:
    """Tell whether Triton's HTTP service can listen at an address: it knows no other kind."""
    try:
        return bool(ipaddress.IPv4Address(address))
    except ValueError:
        return False


def reserve(stack: ExitStack, address: str, port: int) -> int:
    """Reserve a TCP port on ``address`` until ``stack`` is closed, and return its number.

    Port 0 means any free one. The reservation is a bound socket that does not listen: as long
    as it is there no outgoing connection is given this port, while a server that sets
    SO_REUSEADDR, as Triton's do, may listen on it. So might two servers that start at once: a port
    that was asked for has one reservation at a time.
    """
    if not is_ipv4(address):
        raise LocalTritonError(
            f"Triton cannot listen at {address!r}: it takes an IPv4 address, such as 127.0.0.1"
        )
    if port:
        _claim(stack.enter_context(socket.socket(socket.AF_UNIX)), address, port)
    reservation = stack.enter_context(socket.socket())
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reservation.bind((address, port))
    except (OSError, OverflowError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not between 0 and 65535"
        raise LocalTritonError(
            f"port {port} on {address} cannot be used for Triton: {reason}"
        ) from exc
    bound: int = reservation.getsockname()[1]
    return bound


def _claim(claim: socket.socket, address: str, port: int) -> None:
    """Take the one name of a port; the kernel takes it back with the socket."""
    try:
        claim.bind(f"\0trihook.port.{port}")
    except OSError as exc:
        raise LocalTritonError(
            f"port {port} on {address} cannot be used for Triton: another one is starting there"
        ) from exc
