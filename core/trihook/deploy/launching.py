"""The socket that a service listens at, and the supervisor that holds it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from trihook.errors import DeploymentError

SUPERVISOR = "trihook.deploy.supervisor"


def listen(port: int) -> socket.socket:
    """Return a socket that listens at the port; 0 picks one. Raises ``DeploymentError``."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=2048)
    except (OSError, OverflowError) as exc:
        reason = os.strerror(exc.errno or 0).lower() if isinstance(exc, OSError) else "no such port"
        raise DeploymentError(f"port {port} cannot be listened at: {reason}") from exc


def spawn_supervisor(folder: Path, listener: socket.socket, held: int) -> None:
    """Start the supervisor of the service in ``folder``, detached.

    It inherits the socket and ``held``, the descriptor of the service's lock.
    """
    numbers = (listener.fileno(), held)
    with (folder / "logs" / "service.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            [sys.executable, "-m", SUPERVISOR, str(folder), *map(str, numbers)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            pass_fds=numbers,
            start_new_session=True,
        )
    process.wait()
