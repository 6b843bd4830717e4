"""Others go on after whoever has not waited, and are not let before whoever has."""

from contextlib import ExitStack

import gevent
import pytest
from gevent import socket
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


def test_all_that_wait_for_the_kernel_go_on_at_the_first_time(ran):
    with ExitStack() as ending:
        pairs = [[ending.enter_context(end) for end in socket.socketpair()] for _ in range(20)]
        reading = [gevent.spawn(lambda end=end: ran.append(end.recv(1))) for end, _ in pairs]
        gevent.idle()  # until they wait
        turns = Turns()
        for _, other in pairs:
            other.send(b"x")
        turns.give_way()
        assert ran == [b"x"] * 20
        gevent.joinall(reading, timeout=10, raise_error=True)
