"""The master ends with one status, however many workers fail to start, and loses no signal."""

import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from trihook.host.arbiter import SteadyArbiter


@pytest.fixture
def failures(monkeypatch):
    """Make reaping raise for each of these workers, one at a time."""
    left = ["first", "second", "third"]

    def reap(_):
        if left:
            raise HaltServer(left.pop(0), 3)

    monkeypatch.setattr(Arbiter, "reap_workers", reap)
    monkeypatch.setattr(Arbiter, "halt", lambda arbiter, reason, status: arbiter.reap_workers())
    return left


def test_the_first_failure_ends_it_and_the_others_do_not_disturb(failures):
    arbiter = SteadyArbiter.__new__(SteadyArbiter)
    arbiter._ending = False
    with pytest.raises(HaltServer, match="first"):
        arbiter.reap_workers()
    arbiter.halt("first", 3)
    assert failures == []


def test_a_worker_that_has_retired_has_a_successor_before_it_ends(monkeypatch):
    started, killed = [], []
    monkeypatch.setattr(Arbiter, "spawn_workers", lambda _: started.append(1))
    monkeypatch.setattr(Arbiter, "kill_worker", lambda _, pid, sig: killed.append((pid, sig)))
    arbiter = SteadyArbiter.__new__(SteadyArbiter)
    arbiter._num_workers = 2
    arbiter.cfg = SimpleNamespace(enable_backlog_metric=False, nworkers_changed=lambda *_: None)
    arbiter._last_logged_active_worker_count = 2
    workers = {pid: SimpleNamespace(age=pid, is_retired=pid == 1) for pid in (1, 2)}
    arbiter.WORKERS = workers
    arbiter.log = SimpleNamespace(debug=lambda *_, **__: None)
    arbiter.manage_workers()
    assert (len(started), killed, arbiter.num_workers) == (1, [], 2)
    workers[3] = SimpleNamespace(age=3, is_retired=False)
    arbiter.manage_workers()
    assert (len(started), killed) == (1, [])
    del workers[1]
    arbiter.manage_workers()
    assert (len(started), killed) == (1, [])


# The worker has its master told to stop while its own signal handlers are still the master's, and
# goes on once it has been told itself. What is lost is not asked for again, but met by SIGKILL.
_TOLD_TOO_SOON = """
import os, signal, sys, time
from trihook.host.arbiter import SteadyApplication
from trihook.host.{module} import {worker}

def stop(arbiter, worker):
    os.kill(os.getppid(), signal.{signal})
    end = time.monotonic() + 5
    while not signal.sigpending() and time.monotonic() < end:
        time.sleep(0.01)

class Application(SteadyApplication):
    def load_config(self):
        self.cfg.set("bind", "127.0.0.1:0")
        self.cfg.set("worker_class", {worker})
        self.cfg.set("control_socket_disable", True)
        self.cfg.set("post_fork", stop)
        self.cfg.set("worker_exit", lambda arbiter, worker: print("ended by itself", flush=True))

    def load(self):
        return lambda environ, start_response: []

sys.argv = ["trihook"]
Application().run()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
@pytest.mark.parametrize(
    ("module", "worker"), [("worker", "Worker"), ("scripts.server", "ScriptWorker")]
)
def test_a_worker_that_is_told_to_stop_while_it_starts_ends_by_itself(module, worker, name):
    code = _TOLD_TOO_SOON.format(module=module, worker=worker, signal=name)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "ended by itself\n"


def test_the_master_itself_holds_no_signal_back(monkeypatch):
    held = []

    def spawn(_):
        held.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return 7

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(Arbiter, "spawn_worker", spawn)
    assert SteadyArbiter.__new__(SteadyArbiter).spawn_worker() == 7
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT} <= held[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
