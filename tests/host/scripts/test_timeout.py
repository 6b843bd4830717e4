"""A time limit ends a call from outside, and is told from what the call raises itself."""

import signal
import threading
import time
from contextlib import suppress

import pytest
from trihook.host.scripts.timeout import ExpiredError, time_limit


@pytest.fixture(autouse=True)
def _no_timer():
    """Take away the timer of the test itself, and give it back."""
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.setitimer(signal.ITIMER_REAL, left)


def test_a_call_that_takes_too_long_is_ended_though_it_catches_everything_it_may():
    def shrug():
        end = time.monotonic() + 20  # the test's own timer has been taken away
        while time.monotonic() < end:
            with suppress(Exception):
                time.sleep(10)

    with pytest.raises(ExpiredError), time_limit(30):
        shrug()


def test_a_timeout_of_the_calls_own_stays_what_it_is():
    with pytest.raises(TimeoutError, match="mine"), time_limit(10_000):
        raise TimeoutError("mine")


@pytest.mark.parametrize("milliseconds", [0, 10_000])
def test_nothing_is_left_of_a_limit(milliseconds):
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(milliseconds):
        pass
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_no_time_is_any_time():
    with time_limit(0):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    with time_limit(10_000):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0


def test_outside_the_main_thread_there_is_no_limit():
    ended = []

    def call():
        with time_limit(1):
            time.sleep(0.05)
        ended.append(True)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert ended
