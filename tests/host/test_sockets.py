"""Clients that stop in the middle, of a request or of reading a reply, are not waited for long."""

from types import SimpleNamespace

import gevent
import pytest
from gunicorn.config import Config
from trihook.host import sockets
from trihook.host.answers import Answer
from trihook.host.exchanges import Exchanges
from trihook.host.sockets import PatientSocket, linger, send_all
from trihook.host.worker import Worker

PATIENCE = 0.3
LISTENER = SimpleNamespace(getsockname=lambda: ("127.0.0.1", 80))
LARGE = bytes(4_000_000)


def _read_slowly(sock, size, pause):
    """Read all of it in four steps."""
    came = 0
    for step in range(1, 5):
        gevent.sleep(pause)
        while came < size * step // 4 and (data := sock.recv(65536)):
            came += len(data)
    return came


def test_what_the_client_reads_is_sent_however_slowly(pair):
    reading = gevent.spawn(_read_slowly, pair[0], len(LARGE), PATIENCE / 2)
    send_all(pair[1], LARGE, PATIENCE)
    pair[1].close()
    assert reading.get(timeout=10) == len(LARGE)


def test_a_client_that_reads_no_further_is_given_up(pair):
    with gevent.Timeout(20), pytest.raises(BrokenPipeError, match="the client reads no further"):
        send_all(pair[1], LARGE, PATIENCE)
    assert pair[1].gettimeout() is None


def test_an_exchange_ends_where_the_client_reads_no_further(pair):
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
    exchanges = Exchanges(pair[1], lambda *_: Answer(LARGE), lambda: False, PATIENCE)
    pair[0].sendall(head * 3)
    with gevent.Timeout(20), pytest.raises(BrokenPipeError):
        exchanges.serve()


def test_what_has_come_is_given_again_and_then_what_comes(pair):
    pair[0].sendall(b"later")
    patient = PatientSocket(pair[1], PATIENCE, b"early")
    assert [patient.recv(3), patient.recv(9), patient.recv(9)] == [b"ear", b"ly", b"later"]


def test_only_while_a_request_is_served_there_is_no_patience(pair):
    patient = PatientSocket(pair[1], PATIENCE)
    waiting = gevent.spawn(patient.recv, 9)
    gevent.sleep(2 * PATIENCE)
    pair[0].sendall(b"late")
    assert waiting.get(timeout=5) == b"late"
    patient.is_serving = True
    with pytest.raises(TimeoutError):
        patient.recv(9)
    pair[0].sendall(b"too late")
    assert patient.recv(9) == b""


# what Gunicorn reads


def _read_body(environ, start_response):
    try:
        body = environ["wsgi.input"].read()
    except TimeoutError:
        start_response("400 Bad Request", [("Content-Length", "4")])
        return [b"late"]
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def _answer_much(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(LARGE)))])
    return [LARGE]


def _handle(pair, app):
    """Serve a connection as a worker does; return what was logged as an exception."""
    logged = []
    cfg = Config()
    cfg.set("keepalive", 1)
    silent = dict.fromkeys(["access", "debug", "warning"], lambda *_, **__: None)
    log = SimpleNamespace(exception=lambda *said: logged.append(said), **silent)
    worker = Worker(1, 1, [], SimpleNamespace(), 30, cfg, log)
    worker.wsgi, worker.alive = app, True
    worker.handle(LISTENER, pair[1], ("127.0.0.1", 1))
    worker.tmp.close()
    return logged


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1\r\nHost: x\r\nContent-Length: 9",
        b"HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9",
        b"HTTP/1.0\r\nContent-Length: 9",
    ],
    ids=["kept", "close", "old"],
)
def test_a_body_that_stops_is_answered_and_the_connection_ends(pair, head):
    pair[0].sendall(b"POST / " + head + b"\r\n\r\n[1")
    with gevent.Timeout(20):
        assert _handle(pair, _read_body) == []
    reply = pair[0].recv(65536)
    assert reply.split()[1] == b"400"
    assert reply.endswith(b"late")
    assert pair[0].recv(1) == b""


def _refuse(environ, start_response):
    start_response("413 Content Too Large", [("Content-Length", "5")])
    return [b"large"]


def _send_in_two(sock, data):
    """Send a part of it, and the rest after the reply; return what comes."""
    sock.sendall(data[:1000])
    came = sock.recv(65536)
    sock.sendall(data[1000:])
    while piece := sock.recv(65536):
        came += piece
    return came


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2097152",
        b"HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked",
        b"HTTP/1.0\r\nContent-Length: 2097152",
        b"HTTP/1.1\r\nHost: x y\r\n\r\nno header",
    ],
    ids=["close", "chunked", "old", "no request"],
)
def test_a_refusal_reaches_a_client_that_still_sends(pair, head):
    body = b"200000\r\n" * (b"chunked" in head) + bytes(1 << 21)
    sending = gevent.spawn(_send_in_two, pair[0], b"POST / " + head + b"\r\n\r\n" + body)
    with gevent.Timeout(20):
        assert _handle(pair, _refuse) == []
        assert sending.get().split()[1] in (b"413", b"400")


def test_a_client_that_sends_without_end_is_not_heard_out(pair, monkeypatch):
    def send_without_end():
        while True:
            pair[0].sendall(bytes(65536))

    monkeypatch.setattr(sockets, "_LINGER", 0.1)
    sending = gevent.spawn(send_without_end)
    with gevent.Timeout(20):
        linger(pair[1], pair[1].recv)
    sending.kill()


def test_a_client_that_has_sent_all_is_not_waited_for(pair, monkeypatch):
    monkeypatch.setattr(sockets, "_LINGER", 100)
    pair[0].sendall(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n[1]")
    with gevent.Timeout(20):
        assert _handle(pair, _read_body) == []
    assert pair[0].recv(65536).endswith(b"[1]")


def test_a_client_that_is_to_go_on_and_reads_nothing_is_given_up(pair):
    patient = PatientSocket(pair[1], PATIENCE)
    assert patient.send(b"HTTP/1.1 100 Continue\r\n\r\n") == 25
    with gevent.Timeout(20), pytest.raises(BrokenPipeError):
        patient.send(LARGE)


def test_nobody_waits_for_a_client_that_does_not_read_a_reply(pair):
    pair[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    with gevent.Timeout(20):
        assert _handle(pair, _answer_much) == []
