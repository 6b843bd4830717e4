"""The hub stays awake for one wait at a time, not for long, and not where that was in vain."""

from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event
from trihook.triton import busy_polling
from trihook.triton.busy_polling import BusyPolling


class Looks:
    """Counts how often the hub looked without sleeping; ``now`` is the time that it is told."""

    def __init__(self, monkeypatch):
        self.count = 0
        self.now = 0.0
        monkeypatch.setattr(busy_polling, "_give_way", self._look)
        monkeypatch.setattr(busy_polling, "time", SimpleNamespace(monotonic=lambda: self.now))

    def _look(self):
        self.count += 1

    def during(self, polling, seconds=0.0):
        """Wait, let so many seconds pass meanwhile, and return how often the hub looked."""
        before = self.count
        with polling:
            _take_turns()
            self.now += seconds
            _take_turns()
        return self.count - before


def _take_turns():
    """Let the hub wait for a millisecond some times: once it may find that it is over already."""
    for _ in range(5):
        gevent.sleep(0.001)


@pytest.fixture
def looks(monkeypatch):
    return Looks(monkeypatch)


def test_the_hub_stays_awake_for_a_wait_and_sleeps_after_it(looks):
    polling = BusyPolling(1.0)
    assert looks.during(polling)
    after = looks.count
    gevent.sleep(0.01)
    assert looks.count == after


def test_others_go_on_meanwhile(looks):
    answered, polling = Event(), BusyPolling(1.0)

    def wait():
        with polling:
            answered.wait()

    waiting = gevent.spawn(wait)
    gevent.spawn_later(0.005, answered.set)
    waiting.join(10)
    assert waiting.ready()
    assert looks.count


def test_what_takes_longer_is_slept_through(looks):
    polling = BusyPolling(1.0)
    with polling:
        looks.now += 1.0
        gevent.sleep(0.005)
        assert looks.count == 0


def test_no_time_is_no_polling(looks):
    polling = BusyPolling(0.0)
    assert looks.during(polling) == 0
    assert polling._watcher is None  # not even for one look a wait


def test_with_company_the_hub_sleeps_until_one_comes_alone_again(looks):
    polling, end = BusyPolling(1.0), Event()

    def wait():
        with polling:
            end.wait()

    first = gevent.spawn(wait)
    gevent.sleep(0.002)
    second = gevent.spawn(wait)
    gevent.sleep(0)  # it has come
    before = looks.count
    gevent.sleep(0.01)
    assert looks.count == before
    end.set()
    gevent.joinall([first, second], timeout=10)
    assert looks.during(polling)


def test_ever_more_waits_are_left_out_after_those_in_vain(looks):
    polling = BusyPolling(1.0)
    tried = [looks.during(polling, seconds=2.0) > 0 for _ in range(12)]
    # one is left out after the first in vain, then three, then seven
    assert [place for place, was_tried in enumerate(tried) if was_tried] == [0, 2, 6]


def test_waits_that_are_over_in_time_bring_it_back(looks):
    polling = BusyPolling(1.0)
    for _ in range(7):
        looks.during(polling, seconds=2.0)  # the last of which was tried: seven are left out
    assert [looks.during(polling) > 0 for _ in range(9)] == [False] * 7 + [True] * 2
    looks.during(polling, seconds=2.0)
    assert [looks.during(polling) > 0 for _ in range(4)] == [False] * 3 + [True]


def test_at_most_about_a_thousand_are_left_out(looks):
    polling = BusyPolling(1.0)
    polling._left_out = busy_polling._MOST_LEFT_OUT
    looks.during(polling, seconds=2.0)
    for _ in range(busy_polling._MOST_LEFT_OUT):
        with polling:
            pass
    assert looks.during(polling)


def test_company_counts_neither_for_nor_against_it(looks):
    polling = BusyPolling(1.0)
    looks.during(polling, seconds=2.0)
    looks.during(polling)
    with polling, polling:
        gevent.sleep(0.002)
    assert looks.during(polling, seconds=2.0)
    assert [looks.during(polling) > 0 for _ in range(4)] == [False] * 3 + [True]


def test_a_wait_that_fails_ends_it(looks):
    polling = BusyPolling(1.0)
    with pytest.raises(gevent.Timeout), polling, gevent.Timeout(0.002):
        gevent.sleep(10)
    before = looks.count
    gevent.sleep(0.01)
    assert looks.count == before
    assert looks.during(polling)
