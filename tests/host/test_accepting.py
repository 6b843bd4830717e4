"""A connection goes to the worker that has the fewest, and waits for none that does not look."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event
from gevent.pool import Pool
from servers import free_port, wait_until
from trihook.config import Settings
from trihook.host import accepting
from trihook.host.accepting import FairServer, Places
from trihook.host.server import _Server

# what the workers know of each other


@pytest.mark.parametrize(
    ("own", "other", "is_ahead"),
    [
        (0, 0, False),
        (1, 1, False),
        (1, 2, False),
        (1, 0, True),
        (2, 1, True),
        (8, 7, False),
        (8, 6, True),
        (80, 70, False),
        (80, 69, True),
    ],
)
def test_a_worker_is_ahead_of_one_that_has_fewer_by_over_an_eighth(own, other, is_ahead):
    places = Places()
    mine, others = places.take(), places.take()
    for place, count in ((mine, own), (others, other)):
        place.open()
        place.add(count)
    assert mine.is_ahead() == is_ahead


@pytest.mark.parametrize(
    ("counts", "surplus"),
    [
        ((0,), 0),
        ((9,), 0),
        ((1, 0), 0),
        ((2, 0), 1),
        ((2, 1), 0),
        ((12, 0), 6),
        ((12, 0, 0), 8),
        ((12, 12, 0), 4),
        ((0, 12), 0),
        ((80, 61), 0),
        ((80, 50), 15),
    ],
)
def test_a_surplus_is_what_a_worker_has_above_the_mean_where_that_is_much(counts, surplus):
    places = Places()
    taken = [places.take() for _ in counts]
    for place, count in zip(taken, counts, strict=True):
        place.open()
        place.add(count)
    assert taken[0].surplus() == surplus


def test_only_workers_that_take_connections_have_a_share():
    places = Places(3)
    mine, ending, _starting, left_out = (places.take() for _ in range(4))
    for place in (mine, ending, left_out):
        place.open()
        place.add(8)
    ending.close()
    assert [mine.surplus(), ending.surplus(), left_out.surplus()] == [0, 0, 0]


def test_only_workers_that_take_connections_count():
    places = Places()
    mine, starting, ending, ended = (places.take() for _ in range(4))
    for place in (mine, ending, ended):
        place.open()
    mine.add(3)
    assert mine.is_ahead()
    ending.close()
    ended.add(1)
    ended.free()
    assert not mine.is_ahead()
    starting.open()
    assert mine.is_ahead()


def test_a_closed_place_stays_closed_while_its_connections_end():
    places = Places()
    mine, ending = places.take(), places.take()
    for place in (mine, ending):
        place.open()
        place.add(2)
    ending.close()
    ending.add(-1)
    ending.add(-1)
    assert not mine.is_ahead()


def test_a_place_that_is_retired_stays_so_until_it_is_free():
    places = Places(1)
    mine = places.take()
    mine.open()
    assert not mine.is_retired
    mine.add(2)
    mine.retire()
    mine.close()
    mine.add(-1)
    assert (mine.is_retired, mine.surplus(), mine.is_ahead()) == (True, 0, False)
    mine.free()
    assert not mine.is_retired
    assert not places.take().is_retired


def test_a_place_is_given_to_the_next_worker_when_it_is_free_and_not_before():
    places = Places(2)
    first, second = places.take(), places.take()
    for place in (first, second):
        place.open()
    second.add(5)
    assert second.is_ahead()
    left_out = places.take()
    left_out.open()
    left_out.add(9)
    assert not left_out.is_ahead()
    first.free()
    first.add(7)  # whose place it was says nothing any more
    third = places.take()
    assert not second.is_ahead()
    third.open()
    assert second.is_ahead()


def test_another_process_sees_the_counts():
    places = Places()
    mine, others = places.take(), places.take()
    mine.open()
    mine.add(1)
    assert not mine.is_ahead()
    child = os.fork()
    if not child:
        others.open()
        os._exit(0)
    os.waitpid(child, 0)
    assert mine.is_ahead()


# the server


@pytest.fixture
def serving():
    """Return a function that runs a server with a place, and yields its address and a counter."""

    @contextmanager
    def serve(place):
        served, done = Counter(), Event()

        def handle(client, _address):
            served["all"] += 1
            done.wait()

        place.open()
        listener = gevent.socket.create_server(("127.0.0.1", 0))
        server = FairServer(listener, place, handle=handle, spawn=Pool(100))
        server.start()
        try:
            yield server, served
        finally:
            done.set()
            server.stop()

    return serve


def until(condition, seconds=20):
    """Let the loop run until the condition holds; fail if it never does."""
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.001)


def test_a_connection_is_left_to_another_worker_until_that_one_has_caught_up(serving, monkeypatch):
    monkeypatch.setattr(accepting, "_PATIENCE", 60.0)
    places = Places()
    mine, other = places.take(), places.take()
    other.open()
    mine_ahead = 2
    with serving(mine) as (server, served):
        mine.add(mine_ahead)
        with gevent.socket.create_connection(server.address):
            gevent.sleep(0.1)
            assert served["all"] == 0
            other.add(mine_ahead)
            until(lambda: served["all"] == 1)


def test_a_worker_that_is_not_ahead_takes_what_comes(serving, monkeypatch):
    monkeypatch.setattr(accepting, "_PATIENCE", 60.0)
    places = Places()
    mine, other = places.take(), places.take()
    other.open()
    with serving(mine) as (server, served), gevent.socket.create_connection(server.address):
        until(lambda: served["all"] == 1)


def test_connections_that_nobody_else_takes_are_taken_one_after_the_other(serving):
    places = Places()
    mine, other = places.take(), places.take()
    other.open()  # and never looks
    with serving(mine) as (server, served), ExitStack() as closing:
        mine.add(100)
        for _ in range(50):
            closing.enter_context(gevent.socket.create_connection(server.address))
        until(lambda: served["all"] == 50)


def test_waiting_in_vain_shortens_the_patience_and_time_restores_it(serving, monkeypatch):
    waits = {}  # how long each is to be at first, by its end
    looks = []  # at the clock, which the server looks at before it waits
    plain = FairServer._wait

    def look():
        looks.append(time.monotonic())
        return looks[-1]

    def noting(server, until):
        waits.setdefault(until, round(until - looks[-1], 6))
        plain(server, until)

    monkeypatch.setattr(accepting, "time", SimpleNamespace(monotonic=look))
    monkeypatch.setattr(FairServer, "_wait", noting)
    monkeypatch.setattr(accepting, "_RECOVERY", 60.0)
    places = Places()
    mine, other = places.take(), places.take()
    other.open()
    with serving(mine) as (server, served), ExitStack() as closing:
        mine.add(100)
        for _ in range(30):
            closing.enter_context(gevent.socket.create_connection(server.address))
        until(lambda: served["all"] == 30)
        halves = [accepting._PATIENCE / 2**n for n in range(5)]
        # one that ends too late for the loop to look at once is begun again, as long
        assert list(dict.fromkeys(waits.values())) == halves
        assert server._patience < accepting._PAUSE
        monkeypatch.setattr(accepting, "_RECOVERY", 0.0)
        waits.clear()
        closing.enter_context(gevent.socket.create_connection(server.address))
        until(lambda: served["all"] == 31)
        assert set(waits.values()) == {accepting._PATIENCE}


def test_a_server_that_is_closed_while_it_waits_takes_nothing_more(serving, monkeypatch):
    monkeypatch.setattr(accepting, "_PATIENCE", 60.0)
    places = Places()
    mine, other = places.take(), places.take()
    other.open()
    with serving(mine) as (server, served):
        mine.add(1)
        with gevent.socket.create_connection(server.address):
            gevent.sleep(0.05)
            server.close()
            other.add(1)
            gevent.sleep(0.05)
            assert served["all"] == 0


def test_connections_that_end_meanwhile_do_not_prolong_the_wait(serving, monkeypatch):
    ends = set()
    plain = FairServer._wait

    def noting(server, until):
        ends.add(until)
        plain(server, until)

    monkeypatch.setattr(FairServer, "_wait", noting)
    monkeypatch.setattr(accepting, "_PATIENCE", 1.0)
    monkeypatch.setattr(accepting, "_PAUSE", 0.5)  # so the loop has a second to look afterwards
    places = Places()
    mine, other = places.take(), places.take()
    other.open()  # and never looks
    with serving(mine) as (server, served):
        mine.add(1000)
        with gevent.socket.create_connection(server.address), gevent.Timeout(30):
            while not served["all"]:
                server.start_accepting()  # as the pool does when a place in it gets free
                gevent.sleep(0)
    assert len(ends) == 1


# the workers of a host


def test_a_host_gives_the_place_of_a_worker_that_has_ended_to_the_next():
    places = Places(2)
    mine, dead = places.take(), SimpleNamespace(place=places.take())
    for place in (mine, dead.place):
        place.open()
    mine.add(1)
    _Server(Settings()).cfg.child_exit(None, dead)
    assert not mine.is_ahead()
    places.take().open()
    assert mine.is_ahead()


_HOST = """
import os, sys
from trihook.host.arbiter import SteadyApplication

def app(environ, start_response):
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

class Application(SteadyApplication):
    def load_config(self):
        self.cfg.set("bind", sys.argv.pop())
        self.cfg.set("workers", 3)
        self.cfg.set("keepalive", 75)
        self.cfg.set("worker_class", "trihook.host.worker.Worker")
        self.cfg.set("control_socket_disable", True)

    def load(self):
        return app

Application().run()
"""


@pytest.fixture
def port():
    """Run a host whose application answers with the worker's process id."""
    port = free_port()
    command = [sys.executable, "-c", _HOST, f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            seen = set()
            wait_until(lambda: seen.update(ask_once(port)) or len(seen) == 3)
            yield port
        finally:
            process.terminate()


def ask_once(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return {sock.makefile("rb").read().rpartition(b"\n")[2]}
    except OSError:
        return set()


def test_connections_that_come_at_once_are_spread_over_the_workers(port):
    most = []
    for _ in range(5):
        most.append(_most_at_one_worker(port, 48))
        time.sleep(accepting._RECOVERY + 0.1)  # what was waited in vain is forgotten
    most.sort()
    assert most[2] <= 24  # 17 as a rule; left to chance 29 to 34


def _most_at_one_worker(port, count):
    with ExitStack() as closing:
        connections = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(count)]
        for connection in connections:
            connection.connect()
            closing.callback(connection.close)
        workers = Counter()
        for connection in connections:
            connection.request("GET", "/")
            workers[connection.getresponse().read()] += 1
    return max(workers.values())
