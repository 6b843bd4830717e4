"""What a gevent worker's runtime has beyond that of plain threads: a hub that it must not hold up.

What both have in common is tested with the runtime of plain threads.
"""

import threading

import gevent
import pytest
from trihook.deadline import Deadline
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
