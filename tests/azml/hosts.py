"""Azure's inference server and ours, run alike, and what they answer."""

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from azml.environment import azure_python
from servers import environment, free_port

AZURE, OURS = "azure", "ours"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# headers of which only the form is compared, and never whole values
_FORMS = {
    "date": re.compile(r".+ GMT"),
    "x-ms-run-fn-exec-ms": re.compile(r"\d+\.\d{3}"),
    "x-ms-server-version": re.compile(r"[a-z]+/\d+\.\d+\.\d+"),
    "server-timing": re.compile(r".+;dur=.+"),
}


@dataclass(frozen=True)
class Answer:
    """What a server answered, without what is another each time."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class CutOff(bytes):
    """A body that ends before it is whole; ``chunked`` says by which framing."""

    chunked = False


class CutOffChunk(CutOff):
    """One whose chunk is not whole."""

    chunked = True


@dataclass
class Running:
    """A server that listens, with the port of its own."""

    process: subprocess.Popen
    port: int
    log: Path

    def ask(self, method, path, body=None, headers=(), *, port=None):
        """Send one request; ``headers`` are pairs, a body that is iterable goes in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if isinstance(body, CutOff):
                framing = ("Transfer-Encoding", "chunked") if body.chunked else None
                connection.putheader(*(framing or ("Content-Length", str(len(body) + 1))))
                connection.endheaders(b"%x\r\n%b" % (len(body) + 1, body) if framing else body)
                connection.sock.shutdown(socket.SHUT_WR)
            elif isinstance(body, bytes):
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
            elif body is not None:
                connection.putheader("Transfer-Encoding", "chunked")
                connection.endheaders(iter(body), encode_chunked=True)
            else:
                connection.endheaders()
            answer = connection.getresponse()
            return Answer(answer.status, _normalise(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def is_up(self):
        try:
            return self.ask("GET", "/").status == 200
        except OSError:
            return False


@dataclass(frozen=True)
class Start:
    """How a server is started: flags, variables, and files in the folder where it runs.

    ``{folder}`` in them stands for the folder, which is the application's root as well.
    """

    flags: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def _normalise(headers):
    named = sorted((name.lower(), _UUID.sub("<uuid>", value)) for name, value in headers)
    return tuple((name, _normalise_value(name, value)) for name, value in named)


def _normalise_value(name, value):
    if name == "allow":  # Flask takes it from a set
        return ", ".join(sorted(value.split(", ")))
    return "<form>" if name in _FORMS and _FORMS[name].fullmatch(value) else value


def launch(kind, start, folder, port, python=None):
    """Start a server without waiting for it; its output goes to a log beside the folder."""
    folder.mkdir(parents=True)
    for name, content in start.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    flags = [flag.format(folder=folder) for flag in start.flags]
    given = {name: value.format(folder=folder) for name, value in start.environment.items()}
    log = folder.with_suffix(".log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*_command(kind, python or azure_python()), "--port", str(port), *flags],
            stdout=file, stderr=file, cwd=folder,
            env={**environment(), **_quiet(), **given},
        )  # fmt: skip
    return Running(process, port, log)


def _command(kind, python):
    # by its command, for "python -m" would put the current folder before all others
    azure = [str(Path(azure_python()).with_name("azmlinfsrv"))]
    return azure if kind == AZURE else [python, "-m", "trihook", "serve"]


def _quiet():
    """Azure's server would share one control socket with every other Gunicorn of the user."""
    return {"GUNICORN_CMD_ARGS": "--no-control-socket", "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def running(kind, start, folder, python=None):
    """Run a server until it is up, and end it afterwards."""
    server = launch(kind, start, folder, free_port(), python)
    try:
        deadline = time.monotonic() + 60
        while not server.is_up():
            assert server.process.poll() is None, server.log.read_text()
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.05)
        yield server
    finally:
        end(server)


def end(server):
    """End a server, and whatever it has not ended in time."""
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()


def exit_status(kind, start, folder, python=None):
    """Return the status a server ends with by itself, or ``"serves"`` where it comes up."""
    server = launch(kind, start, folder, free_port(), python)
    try:
        deadline = time.monotonic() + 60
        while server.process.poll() is None:
            if server.is_up():
                return "serves"
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.05)
        return server.process.returncode
    finally:
        end(server)
