"""Whose processes are whose, also across sessions: to add up, to stop and to end."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from trihook_bench import processes, rounds
from trihook_bench.load import Load
from trihook_bench.rounds import Run, interleave
from trihook_bench.systems import running_process

GOOD = Load(100, 1.0, 100.0, 1.0, 2.0, 3.0, 4.0)
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


def test_a_session_is_stopped_with_the_workers_in_others():
    with _running(MASTER) as master:
        pids = (master.pid, _worker_of(master))
        with processes.paused(master.pid):
            _until(lambda: [_state(pid) for pid in pids] == ["T", "T"])
        _until(lambda: "T" not in [_state(pid) for pid in pids])
        with processes.paused():
            assert "T" not in [_state(pid) for pid in pids]


@pytest.mark.parametrize("alone", [True, False])
def test_who_is_not_of_a_run_that_is_alone_is_stopped(monkeypatch, tmp_path, alone):
    with _running(SLEEP) as a, _running(SLEEP) as b, _running(SLEEP) as shared:
        seen = {1: set(), 2: set()}  # by port, who of them was stopped

        def run_load(_plan, port, _connections, _seconds):
            time.sleep(0.05)  # a signal takes its time
            names = {"a": a, "b": b, "shared": shared}
            seen[port].add(tuple(n for n, process in names.items() if _state(process.pid) == "T"))
            return GOOD

        monkeypatch.setattr(rounds, "run_load", run_load)
        runs = {
            "a": Run(tmp_path, 1, 1, (a.pid, shared.pid)),
            "b": Run(tmp_path, 2, 1, (b.pid, shared.pid)),
        }
        assert interleave(runs, 2, 1, alone=alone) == {"a": [GOOD, GOOD], "b": [GOOD, GOOD]}
    assert seen == ({1: {("b",)}, 2: {("a",)}} if alone else {1: {()}, 2: {()}})
