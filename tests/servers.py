"""A scoring host as its own process, and what a test says to it over HTTP."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_REQUEST_LINE = re.compile(rb"(?:GET|POST) (\S+) HTTP/1\.1\r\n")
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2
_PORTS_LOCK = threading.Lock()
_ports: set[int] = set()


def free_port() -> int:
    """Return a loopback port that nobody uses now, and that was not returned before.

    Tests that start servers side by side would else be given one port twice, now and then.
    """
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
        with _PORTS_LOCK:
            if port not in _ports:
                _ports.add(port)
                return port


def workers_of(master: int) -> list[int]:
    """Return the process ids of a host's workers, which its own process ``master`` has started."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [int(pid) for pid in children.split()]


def wait_until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Return the condition's first true value; fail the test if there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{condition} was not true within {seconds} s")


@dataclass(frozen=True)
class Response:
    """What a server answered; ``json`` is its parsed body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Host:
    """A running ``trihook serve``."""

    process: subprocess.Popen[bytes]
    port: int
    log_file: Path

    @property
    def log(self) -> str:
        """What it wrote to its output and error streams so far."""
        return self.log_file.read_text(errors="replace")

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Response:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, named, answer.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, **headers: str) -> Response:
        """Post bytes as they are, and anything else, None included, as JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content_Type", "application/json")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, body, named)

    def is_ready(self) -> bool:
        try:
            return self.request("GET", "/v2/health/ready").status == 200
        except OSError:
            return False

    def is_alive(self) -> bool:
        try:
            return self.request("GET", "/v2/health/live").status == 200
        except OSError:
            return False


@contextmanager
def running_host(
    triton_url: str,
    *arguments: str,
    settings: str = "",
    python: str = sys.executable,
    plugins: Path | None = None,
    ready: bool = True,
) -> Iterator[Host]:
    """Run ``trihook serve`` on a free port; ``plugins`` is a folder with further distributions.

    Waits until it is ready, or where ``ready`` is false until it is alive.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "trihook.toml")
        file.write_text(settings)
        log_file = Path(folder, "log")
        command = [python, "-m", "trihook", "serve", "--port", str(port), "--config", str(file)]
        command += ["--triton-url", triton_url, *arguments]
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, env=environment(plugins)
            )
        host = Host(process, port, log_file)
        try:
            wait_until(lambda: process.poll() is not None or _is_up(host, ready))
            assert process.poll() is None, host.log
            yield host
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def _is_up(host: Host, ready: bool) -> bool:
    return host.is_ready() if ready else host.is_alive()


def environment(plugins: Path | None = None) -> dict[str, str]:
    """Return the environment for a process that is to find further distributions in a folder."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TRIHOOK_")}
    return {**inherited, "PYTHONPATH": str(plugins)} if plugins else inherited


def heed_permissions() -> None:
    """Let even root read only what it may, from the next ``exec`` on; see prctl(2)."""
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


@contextmanager
def recording_proxy(target_url: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a proxy in front of a server, and the paths that went through it."""
    target = urlsplit(target_url)
    paths: list[str] = []

    def pump(source: socket.socket, sink: socket.socket, *, record: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 20):
                if record:
                    paths.extend(m.decode() for m in _REQUEST_LINE.findall(data))
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((target.hostname, target.port))
                ends.extend((client, server))
                for source, sink, record in ((client, server, True), (server, client, False)):
                    thread = threading.Thread(
                        target=pump, args=(source, sink), kwargs={"record": record}
                    )
                    threads.append(thread)
                    thread.start()

    ends: list[socket.socket] = []
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}", paths
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for end in ends:
                end.close()


def control(triton_url: str, action: str, model: str) -> None:
    """Load or unload a model in Triton."""
    url = f"{triton_url}/v2/repository/models/{model}/{action}"
    with urllib.request.urlopen(urllib.request.Request(url, b"", method="POST")) as answer:
        assert answer.status == 200


def statistics(triton_url: str, model: str) -> Any:
    """Return Triton's statistics of a model."""
    with urllib.request.urlopen(f"{triton_url}/v2/models/{model}/stats") as answer:
        [entry] = json.load(answer)["model_stats"]
        return entry


def photograph(name: str) -> bytes:
    """Return a photograph that the package scikit-image ships."""
    [file] = [f for f in files("scikit-image") or () if f.name == name]
    return Path(str(file.locate())).read_bytes()


def add_plugin(folder: Path, distribution: str, name: str, code: str) -> None:
    """Put an installed distribution with one plugin into ``folder``, as pip would leave it."""
    module = f"{distribution.replace('-', '_')}_plugin"
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[trihook]\n{name} = {module}\n")


def multipart(*files: tuple[str, str, bytes]) -> tuple[bytes, str]:
    """Return the body and content type of a form with files: (name, media type, content)."""
    boundary = "------------------------trihooktest"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, media_type, content in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), (
        f"multipart/form-data; boundary={boundary}"
    )
