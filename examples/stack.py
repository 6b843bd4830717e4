"""A Triton and a scoring host in front of it, started and ended together."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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
def running_stack(repository: Path, triton_port: int, port: int, log: Path) -> Iterator[str]:
    """Run both, yield the host's address once all models are ready, and end both."""
    host = f"127.0.0.1:{port}"
    triton = [*TRIHOOK, "triton", str(repository), "--http-port", str(triton_port)]
    serve = [*TRIHOOK, "serve", "--port", str(port), "--workers", "2"]
    serve += ["--triton-url", f"127.0.0.1:{triton_port}"]
    with ExitStack() as ending:
        output = ending.enter_context(log.open("wb"))
        processes = [ending.enter_context(_running(command, output)) for command in (triton, serve)]
        deadline = time.monotonic() + PATIENCE
        while not _is_ready(host):
            if any(process.poll() is not None for process in processes):
                raise SystemExit(f"it did not start:\n{log.read_text(errors='replace')}")
            if time.monotonic() > deadline:
                raise SystemExit(f"it was not ready in {PATIENCE} s:\n{log.read_text()}")
            time.sleep(0.1)
        yield host


@contextmanager
def _running(command: list[str], output: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # type: ignore[call-overload]  # noqa: S603 - our own command
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
