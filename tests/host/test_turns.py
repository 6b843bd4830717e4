"""Others go on after whoever has not waited, and are not let before whoever has."""

import gevent
import pytest
from gevent.event import Event
from trihook.host.turns import Turns


@pytest.fixture
def ran():
    return []


def test_others_go_on_where_the_loop_has_not_turned(ran):
    turns = Turns()
    gevent.spawn(ran.append, 1)
    turns.give_way()
    assert ran == [1]


def test_they_are_not_let_where_it_has(ran):
    turns = Turns()
    gevent.sleep(0.001)
    gevent.spawn(ran.append, 1)
    turns.give_way()
    assert ran == []
    turns.give_way()
    assert ran == [1]


def test_those_that_wait_for_the_kernel_go_on_as_well():
    rung = Event()
    timer = gevent.spawn_later(0, rung.set)
    turns = Turns()
    for _ in range(100):
        turns.give_way()
    assert rung.is_set()
    timer.get(timeout=10)
