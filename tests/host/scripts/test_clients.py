"""Clients that say nothing, or stop in the middle, do not hold up a worker that serves one."""

import socket
import threading

import pytest
from trihook.host.scripts import clients
from trihook.host.scripts.clients import PatientClient, SilentClients, accept, has_asked


@pytest.fixture
def pair():
    client, server = socket.socketpair()
    with client, server:
        yield client, server


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def _connect(listener):
    """Return a client's socket, and what the server has of it."""
    return socket.create_connection(listener.getsockname()), accept(listener)


def test_what_stops_has_ended(pair):
    patient = PatientClient(pair[1], 0.05)
    pair[0].sendall(b"GET /")
    assert [patient.recv(100), patient.recv(100)] == [b"GET /", b""]


def test_a_reply_that_is_read_slowly_is_sent_whole(pair):
    reply, came = bytes(3_000_000), []

    def read():
        while data := pair[0].recv(500_000):
            came.append(len(data))
            threading.Event().wait(0.01)

    reading = threading.Thread(target=read)
    reading.start()
    PatientClient(pair[1], 5).sendall(reply)
    pair[1].shutdown(socket.SHUT_WR)
    reading.join()
    assert sum(came) == len(reply)


def test_a_reply_that_is_not_read_is_given_up(pair):
    with pytest.raises(BrokenPipeError, match="reads no further"):
        PatientClient(pair[1], 0.05).sendall(bytes(10_000_000))


def test_who_has_sent_something_is_told_from_who_has_not(listener):
    (first, asking), (second, silent) = _connect(listener), _connect(listener)
    with first, second, asking.sock, silent.sock:
        first.sendall(b"G")
        assert (has_asked(asking), has_asked(silent)) == (True, False)
        assert asking.address == first.getsockname()
        first.close()
        assert has_asked(asking)


def test_silent_clients_are_taken_once_something_has_come(listener):
    waiting = SilentClients()
    (first, one), (second, two) = _connect(listener), _connect(listener)
    with first, second, one.sock, two.sock:
        waiting.add(one)
        waiting.add(two)
        assert waiting.take([listener, two.sock]) == [two]
        assert list(waiting) == [one.sock]
        assert waiting.take([two.sock]) == []
    waiting.close()
    assert list(waiting) == []


def test_the_oldest_of_too_many_is_ended(listener, monkeypatch):
    monkeypatch.setattr(clients, "_MOST", 2)
    waiting = SilentClients()
    connected = [_connect(listener) for _ in range(3)]
    for _, client in connected:
        waiting.add(client)
    assert list(waiting) == [client.sock for _, client in connected[1:]]
    assert connected[0][0].recv(1) == b""
    waiting.close()
    for sock, _ in connected:
        sock.close()


def test_who_is_silent_too_long_is_ended(listener, monkeypatch):
    waiting = SilentClients()
    sock, client = _connect(listener)
    with sock:
        waiting.add(client)
        monkeypatch.setattr(clients, "_SILENCE", -1)
        assert waiting.take([]) == []
        assert sock.recv(1) == b""
