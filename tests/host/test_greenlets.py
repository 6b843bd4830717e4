"""What a gevent worker's runtime has beyond that of plain threads: a hub that it must not hold up.

What both have in common is tested with the runtime of plain threads.
"""

import gc
import subprocess
import sys
import threading
import time
import weakref

import gevent
import pytest
from trihook.deadline import Deadline
from trihook.host import hook_threads
from trihook.host.greenlets import GeventRuntime


def test_a_timeout_of_somebody_else_is_theirs():
    runtime, end = GeventRuntime(1), threading.Event()
    with gevent.Timeout(0.05) as theirs, pytest.raises(gevent.Timeout) as caught:
        runtime.run_hooks(lambda _: end.wait(5), [1], Deadline.after(60))
    end.set()
    runtime.close()
    assert caught.value is theirs


def test_hooks_do_not_hold_up_the_hub():
    runtime, end = GeventRuntime(1), threading.Event()
    call = gevent.spawn(runtime.run_hooks, lambda _: end.wait(5), [1], Deadline())
    gevent.sleep(0.01)
    assert not call.ready()
    end.set()
    assert call.get() == [True]
    runtime.close()


@pytest.fixture
def runtime():
    """Four threads for one core."""
    runtime = GeventRuntime(4, cores=1)
    yield runtime
    runtime.close()


def _wait_until(condition):
    """Wait, and let the hub go on meanwhile."""
    with gevent.Timeout(20):
        while not condition():
            gevent.sleep(0.005)


@pytest.fixture
def unjudged(monkeypatch):
    """Take every thread that has a job for one that computes.

    On a busy machine one that does may get no core for as long as a judgement takes.
    """
    for name in ("_WINDOW", "_LONG"):
        monkeypatch.setattr(f"trihook.host.jobs.{name}", float("inf"))


def compute(seconds, until=lambda: False):
    """Use a core, in steps between which other threads get the interpreter."""
    end = time.thread_time() + seconds
    while time.thread_time() < end and not until():
        sum(range(1000))


@pytest.mark.usefixtures("unjudged")
def test_no_more_hooks_compute_at_a_time_than_there_are_cores(runtime):
    computing, most = set(), []

    def hook(number):
        computing.add(number)
        most.append(len(computing))
        compute(0.02)
        computing.discard(number)

    jobs = [gevent.spawn(runtime.run_hooks, hook, [n, n + 10], Deadline()) for n in range(5)]
    gevent.joinall(jobs, raise_error=True)
    assert most == [1] * 10


def test_hooks_that_wait_take_no_core(runtime):
    barrier = threading.Barrier(4)
    jobs = [
        gevent.spawn(runtime.run_hooks, lambda _: barrier.wait(10), [1, 2], Deadline())
        for _ in range(2)
    ]
    gevent.joinall(jobs, raise_error=True)
    assert sorted(jobs[0].value + jobs[1].value) == [0, 1, 2, 3]


def test_a_hook_that_computes_for_very_long_holds_nobody_up(runtime):
    done = threading.Event()
    endless = gevent.spawn(
        runtime.run_hooks, lambda _: compute(30, until=done.is_set), [1], Deadline()
    )
    gevent.sleep(0.01)
    assert runtime.run_hooks(lambda n: n, [7], Deadline.after(20)) == [7]
    assert not endless.ready()
    done.set()
    endless.get()


@pytest.mark.usefixtures("unjudged")
def test_a_hook_whose_time_is_over_holds_nobody_up(runtime):
    done = threading.Event()
    with pytest.raises(TimeoutError):
        runtime.run_hooks(lambda _: compute(30, until=done.is_set), [1], Deadline.after(0.05))
    others = [gevent.spawn(runtime.run_hooks, lambda n: n, [n], Deadline.after(20)) for n in "ab"]
    gevent.joinall(others, raise_error=True)
    done.set()
    assert [other.value for other in others] == [["a"], ["b"]]


def test_a_long_row_lets_others_go_between(runtime):
    order = []

    def hook(name):
        compute(0.005)
        order.append(name)

    long = gevent.spawn(runtime.run_hooks, hook, ["long"] * 100, Deadline())
    gevent.sleep(0.001)
    runtime.run_hooks(hook, ["short"], Deadline())
    long.get()
    assert order.count("long") == 100
    assert order.index("short") < 50


@pytest.mark.usefixtures("unjudged")
def test_whoever_gives_up_waiting_is_passed_over(runtime):
    done = threading.Event()
    holding = gevent.spawn(
        runtime.run_hooks, lambda _: compute(30, until=done.is_set), [1], Deadline()
    )
    gevent.sleep(0.01)
    with pytest.raises(TimeoutError):
        runtime.run_hooks(pytest.fail, ["it has no time"], Deadline.after(0.02))
    waiting = gevent.spawn(runtime.run_hooks, lambda n: n, [7], Deadline())
    gevent.sleep(0.01)
    done.set()
    assert waiting.get(timeout=20) == [7]
    holding.get()


def test_what_a_hook_raises_comes_out_and_the_core_is_free_again(runtime):
    with pytest.raises(ZeroDivisionError):
        runtime.run_hooks(lambda n: 1 / n, [0], Deadline())
    assert runtime.run_hooks(lambda n: 1 / n, [2], Deadline.after(20)) == [0.5]


def test_there_are_never_more_threads_than_may_be_and_in_the_end_one_for_each_core(runtime):
    seen = []

    def hook(_):
        time.sleep(0.005)
        seen.append(len(runtime._threads._threads))

    jobs = [gevent.spawn(runtime.run_hooks, hook, [1], Deadline()) for _ in range(200)]
    gevent.joinall(jobs, raise_error=True)
    assert 1 < max(seen) <= 4
    _wait_until(lambda: len(runtime._threads._threads) == 1)


def test_a_hook_that_computes_first_and_then_waits_takes_no_core_while_it_waits(
    runtime, monkeypatch
):
    monkeypatch.setattr("trihook.host.jobs._LONG", float("inf"))
    done = threading.Event()

    def hook(_):
        compute(0.1)
        return done.wait(20)

    waiting = gevent.spawn(runtime.run_hooks, hook, [1], Deadline())
    gevent.sleep(0.01)
    assert runtime.run_hooks(lambda _: done.set(), [1], Deadline.after(10)) == [None]
    assert waiting.get() == [True]


@pytest.fixture
def leave():
    """Leave as many threads to hooks that go on until the end of the test, or its release."""
    every = []

    def leave(runtime, count):
        every.append(released := threading.Event())
        begun = []

        def hang(_):
            begun.append(1)
            released.wait(60)

        while len(begun) < count:  # on a busy machine one may not have begun in its time
            with pytest.raises(TimeoutError):
                runtime.run_hooks(hang, [1], Deadline.after(0.1))
        return released

    yield leave
    for released in every:
        released.set()


@pytest.mark.parametrize("count", [1, 4, 7])
def test_hooks_that_do_not_return_leave_others_their_threads(runtime, leave, count):
    leave(runtime, count)
    assert runtime.run_hooks(lambda n: n, [7], Deadline.after(20)) == [7]
    barrier = threading.Barrier(min(4, 8 - count))
    jobs = [
        gevent.spawn(runtime.run_hooks, lambda _: barrier.wait(10), [1], Deadline())
        for _ in range(barrier.parties)
    ]
    gevent.joinall(jobs, raise_error=True)


def test_hooks_that_return_late_make_room_for_those_that_never_do(runtime, leave, monkeypatch):
    slow = leave(runtime, 4)
    released = leave(runtime, 4)
    slow.set()
    _wait_until(lambda: len(runtime._threads._threads) <= 4)
    assert runtime.run_hooks(lambda n: n, [7], Deadline.after(20)) == [7]
    monkeypatch.setattr(hook_threads, "_STUCK", 0.0)
    assert runtime.is_stuck()
    released.set()
    _wait_until(lambda: not runtime.is_stuck())


def test_threads_that_were_left_end_once_their_hooks_return(runtime, leave):
    released = leave(runtime, 6)
    assert 4 < len(runtime._threads._threads) <= 8
    released.set()
    _wait_until(lambda: len(runtime._threads._threads) <= 1)
    assert runtime.run_hooks(lambda n: n, [7], Deadline.after(20)) == [7]


def test_there_are_never_more_than_twice_as_many_threads_as_may_be(runtime, leave):
    leave(runtime, 8)
    with pytest.raises(TimeoutError):
        runtime.run_hooks(pytest.fail, ["there is no thread"], Deadline.after(0.1))
    assert len(runtime._threads._threads) <= 8


def test_a_runtime_is_stuck_once_hooks_have_not_returned_for_long(runtime, leave, monkeypatch):
    leave(runtime, 3)
    monkeypatch.setattr(hook_threads, "_STUCK", 0.0)
    assert not runtime.is_stuck()
    monkeypatch.undo()
    released = leave(runtime, 1)
    assert not runtime.is_stuck()
    monkeypatch.setattr(hook_threads, "_STUCK", 0.0)
    assert runtime.is_stuck()
    released.set()
    _wait_until(lambda: not runtime.is_stuck())


def test_a_thread_that_cannot_be_started_is_started_later(runtime, monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(hook_threads, "_start_thread", refuse)
        with pytest.raises(RuntimeError, match="start new thread"):
            runtime.run_hooks(len, ["a"], Deadline.after(5))
    assert runtime.run_hooks(len, ["a"], Deadline.after(5)) == [1]


def test_where_no_further_thread_can_be_started_the_first_does_all(monkeypatch):
    runtime = GeventRuntime(4, cores=4)
    assert runtime.run_hooks(len, ["a"], Deadline.after(5)) == [1]
    refused = []

    def refuse(*_):
        refused.append(1)
        assert len(refused) < 100, "it is tried without end"
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(hook_threads, "_start_thread", refuse)
    assert runtime.run_hooks(len, ["a", "b", "c"], Deadline.after(5)) == [1, 1, 1]
    assert refused
    runtime.close()


def test_what_no_thread_could_take_in_time_is_not_kept(unjudged):
    class Request:
        def score(self, item):
            return item

    runtime, end = GeventRuntime(1, cores=1), threading.Event()
    stuck = gevent.spawn(runtime.run_hooks, lambda _: end.wait(20), [1], Deadline())
    gevent.sleep(0.01)
    request = Request()
    kept = weakref.ref(request)
    with pytest.raises(TimeoutError):
        runtime.run_hooks(request.score, [1, 2], Deadline.after(0.05))
    del request
    _wait_until(lambda: gc.collect() is not None and kept() is None)
    end.set()
    assert stuck.get(timeout=20) == [True]
    runtime.close()


def test_an_idle_thread_keeps_nothing_of_the_last_request(runtime):
    class Request:
        def score(self, item):
            return item

    request = Request()
    kept = weakref.ref(request)
    assert runtime.run_hooks(request.score, [1, 2], Deadline()) == [1, 2]
    del request
    _wait_until(lambda: gc.collect() is not None and kept() is None)


def test_who_waits_when_the_threads_are_ended_has_results_and_nobody_after(runtime):
    done = threading.Event()
    jobs = [gevent.spawn(runtime.run_hooks, lambda _: done.wait(20), [n], Deadline()) for n in "ab"]
    gevent.sleep(0.01)
    runtime.close()
    with pytest.raises(RuntimeError, match="have been ended"):
        runtime.run_hooks(len, ["a"], Deadline.after(5))
    done.set()
    assert [job.get(timeout=20) for job in jobs] == [[True], [True]]
    _wait_until(lambda: not runtime._threads._threads)


PATCHED = """
import gevent.monkey

gevent.monkey.patch_all()

import os
import time

import gevent
from trihook.deadline import Deadline
from trihook.host.greenlets import GeventRuntime

runtime = GeventRuntime(4, cores=1)


def sleep(number):
    time.sleep(0.01)
    return number


def run():
    jobs = [gevent.spawn(runtime.run_hooks, sleep, [n, n + 1], Deadline()) for n in range(20)]
    gevent.joinall(jobs, raise_error=True)
    assert [job.value for job in jobs] == [[n, n + 1] for n in range(20)]


def count(folder):
    return len(os.listdir(folder))


def settle():
    while count("/proc/self/task") > 2:
        gevent.sleep(0.01)
    return count("/proc/self/fd")


run()
before = settle()
for _ in range(5):
    run()
assert settle() == before, "threads that ended have left something open"
"""


def test_hooks_may_use_what_gevent_has_patched_and_threads_leave_nothing_behind():
    subprocess.run([sys.executable, "-c", PATCHED], check=True, timeout=60)
