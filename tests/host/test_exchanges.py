"""Usual requests of a connection are answered in turn; what is unusual is handed back."""

import time
from email.utils import parsedate_to_datetime

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create
from trihook.host import sockets
from trihook.host.answers import Answer, to_http, to_wsgi
from trihook.host.exchanges import Body, Exchanges

PATIENCE = 60


def _post(path=b"/score/vector", body=b"[1]", *fields):
    head = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


class Scorer:
    """Answers with what it was given, and reads bodies as far as it is told to."""

    def __init__(self, read=1 << 20):
        self.read = read
        self.seen = []

    def __call__(self, environ, model, version):
        chunks = []
        while sum(map(len, chunks)) < self.read and (chunk := environ["wsgi.input"].read(7)):
            chunks.append(chunk)
        self.seen.append((model, version, b"".join(chunks)))
        return Answer(b"%d" % len(self.seen), headers=(("X-Own", "1"),))


def _serve(pair, scorer, *, closing=lambda: False, patience=PATIENCE):
    return gevent.spawn(Exchanges(pair[1], scorer, closing, patience).serve)


def _replies(data):
    """Return the statuses and bodies of replies, one after the other."""
    replies = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        fields = dict(line.split(b": ") for line in head.split(b"\r\n")[1:])
        length = int(fields[b"Content-Length"])
        replies.append((head.split()[1], fields[b"Connection"], rest[:length]))
        data = rest[length:]
    return replies


def _read_all(sock, size):
    data = b""
    while len(_replies_ended(data)) < size:
        data += sock.recv(65536)
    return _replies(data)


def _replies_ended(data):
    return data.split(b"\r\n\r\n")[1:]


def test_requests_are_answered_until_the_client_goes(pair):
    scorer = Scorer()
    serving = _serve(pair, scorer)
    for n in range(3):
        pair[0].sendall(_post(b"/score/m/versions/2", b"[%d]" % n))
        assert _read_all(pair[0], 1) == [(b"200", b"keep-alive", b"%d" % (n + 1))]
    pair[0].shutdown(socket.SHUT_WR)
    assert serving.get(timeout=10) == b""
    assert scorer.seen == [("m", "2", b"[0]"), ("m", "2", b"[1]"), ("m", "2", b"[2]")]


def test_requests_that_came_together_are_answered_in_turn(pair):
    scorer = Scorer()
    pair[0].sendall(_post(body=b"a") + _post(body=b"") + _post(body=b"ccc"))
    pair[0].shutdown(socket.SHUT_WR)
    assert _serve(pair, scorer).get(timeout=10) == b""
    assert [body for *_, body in scorer.seen] == [b"a", b"", b"ccc"]


def test_a_connection_whose_requests_are_all_there_lets_another_one_go_on(pair):
    order = []

    def scorer(environ, model, version):
        order.append(model)
        return Answer(b"1")

    busy, waiting = pair, socket.socketpair()
    with waiting[0], waiting[1]:
        other = _serve(waiting, scorer)
        gevent.sleep(0)  # until it waits
        for (client, _), model in ((busy, b"busy"), (waiting, b"other")):
            client.sendall(_post(b"/score/" + model) * 10)
            client.shutdown(socket.SHUT_WR)
        gevent.joinall([_serve(busy, scorer), other], timeout=10, raise_error=True)
    halves = order[:10].count("other"), order[10:].count("other")
    assert min(halves) >= 4, order


def test_a_body_may_come_later_than_its_head(pair):
    scorer = Scorer()
    request = _post(body=b"x" * 100_000)
    serving = _serve(pair, scorer)
    for at in range(0, len(request), 30_000):
        pair[0].sendall(request[at : at + 30_000])
        gevent.sleep(0.01)
    pair[0].shutdown(socket.SHUT_WR)
    assert serving.get(timeout=10) == b""
    assert scorer.seen == [("vector", "", b"x" * 100_000)]


@pytest.mark.parametrize("size", [100, 200_000])
def test_what_is_not_read_of_a_body_is_passed_over(pair, size):
    scorer = Scorer(read=0)
    serving = _serve(pair, scorer)
    pair[0].sendall(_post(body=b"x" * size) + _post(b"/score/next"))
    pair[0].shutdown(socket.SHUT_WR)
    assert serving.get(timeout=10) == b""
    assert [model for model, *_ in scorer.seen] == ["vector", "next"]


@pytest.mark.parametrize(
    "other",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /score HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\n\r\n",
        _post(b"/score", b"[1]", b"Connection: close"),
        b"POST /score HTTP/1.1\r\nHo",
        b"\x16\x03\x01nonsense",
    ],
)
def test_from_the_first_unusual_request_on_all_is_handed_back(pair, other):
    scorer = Scorer()
    pair[0].sendall(_post() + other + _post())
    assert _serve(pair, scorer).get(timeout=10) == other + _post()
    assert len(scorer.seen) == 1


def test_a_body_that_is_cut_off_ends_the_connection(pair):
    scorer = Scorer()
    pair[0].sendall(_post(body=b"x" * 10)[:-3])
    pair[0].shutdown(socket.SHUT_WR)
    assert _serve(pair, scorer).get(timeout=10) == b""
    assert scorer.seen == [("vector", "", b"x" * 7)]


def test_a_worker_that_is_ending_says_so_and_closes(pair):
    scorer = Scorer()
    pair[0].sendall(_post())
    assert _serve(pair, scorer, closing=lambda: True).get(timeout=10) == b""
    assert _replies(pair[0].recv(65536)) == [(b"200", b"close", b"1")]


def test_requests_that_have_come_are_answered_before_a_connection_is_closed(pair):
    scorer = Scorer()
    pair[0].sendall(_post() * 3)
    assert _serve(pair, scorer, closing=lambda: True).get(timeout=10) == b""
    assert [(status, said) for status, said, _ in _read_all(pair[0], 3)] == [
        (b"200", b"keep-alive"),
        (b"200", b"keep-alive"),
        (b"200", b"close"),
    ]


def test_the_last_reply_reaches_a_client_that_still_sends(pair):
    serving = _serve(pair, Scorer(read=0), closing=lambda: True)
    request = _post(body=b"x" * (1 << 22))
    pair[0].sendall(request[:1000])
    assert _read_all(pair[0], 1) == [(b"200", b"close", b"1")]
    assert pair[0].recv(1) == b""
    pair[0].sendall(request[1000:])
    assert serving.get(timeout=10) == b""


def test_a_client_that_sends_without_end_is_not_heard_out(pair, monkeypatch):
    monkeypatch.setattr(sockets, "_LINGER", 0.05)
    serving = _serve(pair, Scorer(read=0), closing=lambda: True)
    pair[0].sendall(_post(body=b"x" * 1000)[:-1])
    assert serving.get(timeout=10) == b""


def test_a_client_that_sends_nothing_is_given_up(pair):
    assert _serve(pair, Scorer(), patience=0.05).get(timeout=10) == b""


def test_only_waiting_for_a_request_counts_as_patience(pair):
    def score(environ, model, version):
        gevent.sleep(0.5)
        return Answer(b"{}")

    serving = _serve(pair, score, patience=0.2)
    pair[0].sendall(_post())
    assert serving.get(timeout=10) == b""
    assert _replies(pair[0].recv(65536)) == [(b"200", b"keep-alive", b"{}")]


def test_a_reply_larger_than_the_socket_takes_at_once_is_sent_whole(pair):
    body = bytes(range(256)) * 40_000
    serving = _serve(pair, lambda *_: Answer(body))
    pair[0].sendall(_post())
    pair[0].shutdown(socket.SHUT_WR)
    data = b""
    while chunk := pair[0].recv(1 << 20):
        data += chunk
        if data.endswith(body):
            break
    assert serving.get(timeout=10) == b""
    assert data.partition(b"\r\n\r\n")[2] == body


def test_a_client_that_has_gone_is_an_os_error(pair):
    def score(environ, model, version):
        pair[0].close()
        return Answer(b"x" * 10_000_000)

    pair[0].sendall(_post())
    with pytest.raises(OSError):  # noqa: PT011 - of whichever kind
        _serve(pair, score).get(timeout=10)


def test_a_body_gives_no_more_than_its_own(pair):
    pair[0].sendall(b"defgh")
    body = Body(pair[1], b"abc", 5)
    assert [body.read(2), body.read(2), body.read(9), body.read(1)] == [b"ab", b"c", b"de", b""]
    assert body.left == 0


# how answers look


def _by_gunicorn(answer):
    """Return what Gunicorn writes for an answer."""
    sent = []
    request = next(RequestParser(Config(), iter([_post()]), ("127.0.0.1", 1)))
    sock = type("Sock", (), {"sendall": lambda self, data: sent.append(bytes(data))})()
    response, _ = create(request, sock, ("127.0.0.1", 1), ("127.0.0.1", 80), Config())
    for piece in to_wsgi(answer, response.start_response):
        response.write(piece)
    response.close()
    return b"".join(sent)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"{}"),
        Answer(b"", 200, "text/plain"),
        Answer(b"{}", 503, headers=(("Retry-After", "1"), ("X-A", " \tb\xe4 "))),
        Answer(b"", 204),
        Answer(b"ignored", 304),
        Answer(b"{}", 599),
        Answer(b"\x00\xff" * 100, 201, "image/png"),
    ],
)
def test_answers_are_written_as_gunicorn_writes_them(answer):
    written = _by_gunicorn(answer)
    date = written.partition(b"Date: ")[2].partition(b"\r\n")[0].decode()
    assert to_http(answer, "gunicorn", date, keep=True) == written


def test_replies_tell_the_time(pair):
    before = int(time.time())
    pair[0].sendall(_post())
    pair[0].shutdown(socket.SHUT_WR)
    _serve(pair, Scorer()).get(timeout=10)
    date = pair[0].recv(65536).partition(b"Date: ")[2].partition(b"\r\n")[0].decode()
    assert before <= parsedate_to_datetime(date).timestamp() <= time.time()


# clients that do not go on


def test_a_body_that_stops_coming_is_an_error_in_time(pair):
    client, server = pair
    seen = []

    def score(environ, model, version):
        try:
            environ["wsgi.input"].read(5)
            environ["wsgi.input"].read(5)
        except TimeoutError as exc:
            seen.append(exc)
        return Answer(status=400)

    client.sendall(_post(body=b"begun")[:-1])
    assert Exchanges(server, score, lambda: False, 0.1).serve() == b""
    assert len(seen) == 1
    assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_what_is_passed_over_has_an_end(pair):
    endless = gevent.spawn(_send_for_ever, pair[0])
    serving = _serve(pair, lambda *_: Answer(status=413), patience=0.1)
    assert serving.get(timeout=10) == b""
    endless.kill()


def _send_for_ever(client):
    client.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999\r\n\r\n")
    while True:
        client.sendall(b"x" * 100)
        gevent.sleep(0.001)


def test_one_who_asks_nothing_is_not_waited_for_at_the_end(pair):
    exchanges = Exchanges(pair[1], Scorer(), lambda: True, PATIENCE)
    serving = gevent.spawn(exchanges.serve)
    gevent.sleep(0.01)
    exchanges.end_if_idle()
    assert serving.get(timeout=5) == b""


def test_one_whose_request_has_come_by_then_is_answered(pair):
    client, server = pair
    exchanges = Exchanges(server, Scorer(), lambda: True, PATIENCE)
    serving = gevent.spawn(exchanges.serve)
    gevent.sleep(0.01)
    client.sendall(_post())
    exchanges.end_if_idle()
    assert serving.get(timeout=5) == b""
    assert _replies(client.recv(65536)) == [(b"200", b"close", b"1")]


def test_one_who_is_served_is_not_cut_off_at_the_end(pair):
    client, server = pair
    begun = Event()

    def score(environ, model, version):
        begun.set()
        body = b""
        while chunk := environ["wsgi.input"].read(10):
            body += chunk
        return Answer(body)

    exchanges = Exchanges(server, score, lambda: True, PATIENCE)
    serving = gevent.spawn(exchanges.serve)
    client.sendall(_post(body=b"abcdef")[:-3])
    begun.wait(5)
    exchanges.end_if_idle()
    client.sendall(b"def")
    assert serving.get(timeout=5) == b""
    assert _replies(client.recv(65536)) == [(b"200", b"close", b"abcdef")]
