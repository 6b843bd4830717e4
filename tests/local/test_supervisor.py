"""The supervisor ends everything below it, whatever happens; a shell stands in for Triton."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from trihook.local import _supervisor
from trihook.local.marks import new_mark

# a server with a region, a child in a session of its own, and a deaf ear if TERM is to be ignored
SERVER = """
trap '{trap}' TERM
touch /dev/shm/{mark}region
setsid sleep 600 & echo $! > {folder}/child.tmp
mv {folder}/child.tmp {folder}/child
while true; do sleep 0.05; done
"""
# a launcher that does nothing but start the supervisor, and stay
LAUNCHER = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), *sys.argv[2:]])
time.sleep(600)
"""


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    server: int
    child: int
    mark: str
    folder: Path

    def gone(self) -> bool:
        return not (exists(self.server) or exists(self.child) or _supervisor.regions(self.mark))


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a supervisor, directly or below a launcher, and clear away what a test leaves."""
    marks, processes, children = [], [], []

    def start(*, launcher: bool = False, trap: str = "exit 7", grace: float = 60) -> Running:
        mark, folder = new_mark(), tmp_path / "work"
        folder.mkdir()
        server = ["bash", "-c", SERVER.format(trap=trap, mark=mark, folder=folder)]
        charge = [mark, str(folder), str(grace), *server]
        path = _supervisor.__file__
        if launcher:
            command = [sys.executable, "-c", LAUNCHER, path, *charge]
        else:
            command = [sys.executable, "-I", "-S", path, str(os.getpid()), *charge]
        marks.append(mark)
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        processes.append(process)
        pid = int(process.stdout.readline())
        wait_for((folder / "child").exists)
        children.append(int((folder / "child").read_text()))
        return Running(process, pid, children[-1], mark, folder)

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
    for mark in marks:
        _supervisor.sweep(mark)
    for child in filter(exists, children):  # no mark in its command line tells it, as a stub's
        os.kill(child, signal.SIGKILL)


def exists(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited 30 s in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_server_and_all_below_it(start: Start, number: int) -> None:
    running = start()
    running.process.send_signal(number)
    assert running.process.wait(30) == 7  # the status that the server chose when asked to stop
    assert running.gone()
    assert running.folder.exists()  # the launcher lives, and may want to read the log


def test_a_server_that_does_not_stop_is_killed(start: Start) -> None:
    running = start(trap="", grace=0.2)
    running.process.terminate()
    assert running.process.wait(30) == 128 + signal.SIGKILL
    assert running.gone()


def test_no_grace_means_no_question(start: Start) -> None:
    running = start(grace=0)
    running.process.terminate()
    assert running.process.wait(30) == 128 + signal.SIGKILL
    assert running.gone()


def test_what_a_killed_server_leaves_is_ended(start: Start) -> None:
    running = start()
    os.kill(running.server, signal.SIGKILL)
    assert running.process.wait(30) == 128 + signal.SIGKILL
    assert running.gone()


def test_everything_goes_when_the_launcher_is_killed(start: Start) -> None:
    running = start(launcher=True)
    running.process.kill()
    wait_for(running.gone)
    wait_for(lambda: not running.folder.exists())


def test_the_server_dies_with_a_killed_supervisor_and_the_rest_can_be_swept(start: Start) -> None:
    running = start()
    running.process.kill()
    wait_for(lambda: not exists(running.server))
    assert _supervisor.regions(running.mark)
    _supervisor.sweep(running.mark)
    assert not _supervisor.regions(running.mark)


def test_a_server_that_cannot_be_started_ends_the_supervisor(tmp_path: Path) -> None:
    charge = [str(os.getpid()), new_mark(), str(tmp_path), "1", str(tmp_path / "absent")]
    ended = subprocess.run(
        [sys.executable, "-I", "-S", _supervisor.__file__, *charge],
        capture_output=True,
        check=False,
    )
    assert ended.returncode != 0
    assert ended.stdout == b""
    assert b"FileNotFoundError" in ended.stderr
