"""Whose processes are whose, also across sessions: to add up and to end."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from trihook_bench import processes
from trihook_bench.systems import running_process

SLEEP = ["sleep", "60"]
# one that computes for a while in a session of its own, as the workers of some servers do
WORKER = "import time\nwhile time.process_time() < 0.3: pass\ntime.sleep(60)"
MASTER = ["sh", "-c", 'setsid "$0" -c "$1" & wait', sys.executable, WORKER]


def _until(condition):
    deadline = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def _state(pid):
    return (processes._stat(Path(f"/proc/{pid}")) or ["gone"])[0]


def _worker_of(master):
    def find():
        others = set(processes.members(master.pid)) - {master.pid}
        return next((pid for pid in others if os.getsid(pid) != master.pid), None)

    return _until(find)


@contextmanager
def _running(command):
    with running_process(command, Path.cwd(), os.environ, subprocess.DEVNULL) as process:
        yield process


def test_a_worker_with_a_session_of_its_own_belongs_to_its_master():
    with _running(MASTER) as master:
        worker = _worker_of(master)
        assert set(processes.members(master.pid)) == {master.pid, worker}
        _until(lambda: processes.cpu_seconds(master.pid) >= 0.2)


def test_a_worker_with_a_session_of_its_own_ends_with_its_master():
    with _running(MASTER) as master:
        worker = _worker_of(master)
    _until(lambda: _state(worker) in ("gone", "Z"))


def test_a_process_that_came_by_the_number_of_another_gets_no_signal():
    with _running(SLEEP) as process:
        [(pid, began)] = processes.members(process.pid).items()
        processes.send(signal.SIGKILL, {pid: began - 1})
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.1)
        processes.send(signal.SIGKILL, {pid: began})
        assert process.wait() == -signal.SIGKILL
        processes.send(signal.SIGKILL, {pid: began})  # nobody has it any more
