"""Hooks run in threads, the network on one hub, and a deadline ends the waiting."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gevent
import pytest
from trihook.deadline import Deadline
from trihook.host.greenlets import GeventRuntime
from trihook.runtime import ThreadRuntime


@pytest.fixture(params=[ThreadRuntime, GeventRuntime])
def runtime(request):
    runtime = request.param(2)
    yield runtime
    runtime.close()


def test_results_come_in_order(runtime):
    def slowly(number):
        time.sleep(0.02 if number == 0 else 0)
        return number

    assert runtime.run_hooks(slowly, range(5), Deadline()) == list(range(5))


def test_hooks_run_several_at_a_time_and_not_in_the_callers_thread(runtime):
    barrier = threading.Barrier(2)

    def meet(_):
        barrier.wait(5)
        return threading.get_ident()

    threads = runtime.run_hooks(meet, range(2), Deadline())
    assert len({*threads, threading.get_ident()}) == 3


def test_each_of_many_pieces_is_run_once(runtime):
    ran = []
    assert runtime.run_hooks(lambda n: ran.append(n) or -n, range(500), Deadline()) == [
        -n for n in range(500)
    ]
    assert sorted(ran) == list(range(500))


def test_what_a_slow_one_does_not_need_others_are_done_with(runtime):
    slow = threading.Event()

    def work(number):
        if number == 0:
            slow.wait(5)
        elif number == 9:
            slow.set()  # which the other thread has come to meanwhile
        return slow.is_set()

    assert runtime.run_hooks(work, range(10), Deadline())[0] is True


def test_nothing_to_do_is_done_even_too_late(runtime):
    assert runtime.run_hooks(str, [], Deadline(0)) == []


def test_a_deadline_ends_the_waiting_for_a_hook(runtime):
    end = threading.Event()
    with pytest.raises(TimeoutError):
        runtime.run_hooks(lambda _: end.wait(5), [1], Deadline.after(0.05))
    end.set()


def test_a_deadline_ends_the_waiting_for_a_thread(runtime):
    end, ran = threading.Event(), []
    for _ in range(2):  # as many hooks as may be left to themselves, and as many again
        with pytest.raises(TimeoutError):
            runtime.run_hooks(lambda _: end.wait(5), range(2), Deadline.after(0.05))
    with pytest.raises(TimeoutError):
        runtime.run_hooks(ran.append, [1], Deadline.after(0.05))
    end.set()
    assert runtime.run_hooks(str, [1], Deadline()) == ["1"]
    assert ran == []


def test_the_network_runs_and_returns(runtime):
    assert runtime.run_network(lambda: 3) == 3


def test_the_network_raises_what_was_raised(runtime):
    def fail():
        raise LookupError("x")

    with pytest.raises(LookupError, match="x"):
        runtime.run_network(fail)


def test_the_network_of_plain_threads_is_one_thread_with_greenlets():
    runtime = ThreadRuntime(1)
    seen, waiting = [], threading.Event()

    def ask(number):
        def work():
            seen.append(threading.get_ident())
            gevent.sleep(0.05)  # others go on meanwhile
            waiting.set()
            return number

        return runtime.run_network(work)

    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(ask(n))) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.close()
    assert sorted(results) == list(range(5))
    assert len(set(seen)) == 1
    assert seen[0] != threading.get_ident()


def _resources():
    gc.collect()
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def test_who_waits_for_the_network_is_told_of_its_end():
    runtime = ThreadRuntime(1)
    waits = threading.Event()

    def wait():
        waits.set()
        gevent.sleep(60)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runtime.run_network, wait)
        waits.wait()
        runtime.close()
        with pytest.raises(RuntimeError, match="has been closed"):
            waiting.result(timeout=30)
    with pytest.raises(RuntimeError, match="has been closed"):
        runtime.run_network(int)
    runtime.close()


def test_threads_and_descriptors_return_to_where_they_were():
    def run():
        runtime = ThreadRuntime(2)
        runtime.run_hooks(str, range(4), Deadline())
        runtime.run_network(lambda: gevent.sleep(0))
        runtime.close()

    run()
    before = _resources()
    for _ in range(3):
        run()
    deadline = time.monotonic() + 5
    while _resources()[0] > before[0] and time.monotonic() < deadline:
        time.sleep(0.01)
    threads, descriptors = _resources()
    assert threads <= before[0]  # those of earlier tests may end meanwhile
    assert descriptors == before[1]
