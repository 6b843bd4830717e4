"""Ports of this machine: one that is free, and how many sockets listen at one."""

from __future__ import annotations

import socket
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def count_listeners(port: int) -> int:
    """Return how many sockets listen at a port, at any address; several may share it."""
    rows = [row.split() for table in _TABLES if table.exists() for row in _rows(table)]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == _LISTENING for row in rows)


def _rows(table: Path) -> list[str]:
    return table.read_text().splitlines()[1:]
