"""A Triton and a scoring host in front of it, started and ended together."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

TRIHOOK = [sys.executable, "-m", "trihook"]
PATIENCE = 120  # seconds; the first start reads everything from the disk


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running_stack(
    repository: Path, triton_port: int, port: int, log: Path
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Run both until the block ends.

    Once all models are ready, yields the host's address and a function that ends the program
    if one of the two has ended. Raises ``OSError`` if a port is taken.
    """
    host = f"127.0.0.1:{port}"
    triton = [*TRIHOOK, "triton", str(repository), "--http-port", str(triton_port)]
    serve = [*TRIHOOK, "serve", "--port", str(port), "--workers", "2"]
    serve += ["--triton-url", f"127.0.0.1:{triton_port}"]
    for taken in (triton_port, port):
        socket.create_server(("127.0.0.1", taken)).close()  # raises where somebody listens
    with ExitStack() as ending:
        output = ending.enter_context(log.open("wb"))
        started = [ending.enter_context(_running(command, output)) for command in (triton, serve)]
        deadline = time.monotonic() + PATIENCE
        while not _is_ready(host):
            require_running(started, log)
            if time.monotonic() > deadline:
                raise SystemExit(f"it was not ready in {PATIENCE} s:\n{log.read_text()}")
            time.sleep(0.1)
        yield host, lambda: require_running(started, log)


def require_running(processes: list[subprocess.Popen[bytes]], log: Path) -> None:
    """End with what the log says if one of the processes has ended."""
    if any(process.poll() is not None for process in processes):
        raise SystemExit(f"one of the servers has ended:\n{log.read_text(errors='replace')}")


@contextmanager
def _running(command: list[str], output: object) -> Iterator[subprocess.Popen[bytes]]:
    # in a session of its own: Ctrl-C is for us, who then end everything in order
    process = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603 - our own command
        command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _is_ready(host: str) -> bool:
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
