"""A reply leaves in one piece, and reads as Gunicorn alone would have written it."""

import gc
import re
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace

import gevent
import pytest
from gevent import socket as gevent_socket
from gunicorn.config import Config
from gunicorn.workers.ggevent import GeventWorker
from servers import free_port, running_host
from trihook.host.accepting import Places
from trihook.host.sockets import JoinedSocket
from trihook.host.worker import Worker

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"{}"


class Recording:
    """A client's socket that notes what is sent, call by call."""

    def __init__(self, sock=None):
        self.sent = []
        self._sock = sock

    def sendall(self, data):
        self.sent.append(bytes(data))
        if self._sock is not None:
            self._sock.sendall(data)

    def send(self, data, timeout=None):
        self.sendall(data)
        return len(data)

    def sendfile(self, file, offset=0, count=None):
        self.sent.append(("file", file, offset, count))
        return count

    def shutdown(self, how):
        self.sent.append(("shutdown", how))

    def __getattr__(self, name):
        return getattr(self._sock, name)


@pytest.fixture
def below():
    return Recording()


@pytest.fixture
def joined(below):
    return JoinedSocket(below)


# the socket


def test_the_first_two_pieces_go_as_one(below, joined):
    joined.sendall(HEAD)
    assert below.sent == []
    joined.sendall(BODY)
    assert below.sent == [HEAD + BODY]


def test_whatever_follows_goes_at_once(below, joined):
    for piece in (HEAD, b"1", b"2", b"3"):
        joined.sendall(piece)
    assert below.sent == [HEAD + b"1", b"2", b"3"]


def test_a_head_without_a_body_goes_at_the_end(below, joined):
    joined.sendall(HEAD)
    joined.flush()
    joined.flush()
    assert below.sent == [HEAD]


def test_an_empty_body_lets_the_head_go(below, joined):
    joined.sendall(HEAD)
    joined.sendall(b"")
    assert below.sent == [HEAD]


def test_nothing_held_is_nothing_sent(below, joined):
    joined.flush()
    assert below.sent == []


def test_after_a_flush_nothing_is_held_back(below, joined):
    joined.sendall(HEAD)
    joined.flush()
    joined.sendall(b"1")
    joined.sendall(b"2")
    assert below.sent == [HEAD, b"1", b"2"]


def test_what_is_sent_directly_goes_at_once_and_leaves_the_reply_whole(below, joined):
    assert joined.send(b"HTTP/1.1 100 Continue\r\n\r\n") == 25
    joined.sendall(HEAD)
    joined.sendall(BODY)
    assert below.sent == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + BODY]


def test_what_is_sent_directly_comes_after_what_is_held(below, joined):
    joined.sendall(HEAD)
    assert joined.send(BODY) == 2
    assert below.sent == [HEAD, BODY]


def test_a_file_comes_after_the_head(below, joined):
    file = object()
    joined.sendall(HEAD)
    assert joined.sendfile(file, offset=1, count=2) == 2
    assert below.sent == [HEAD, ("file", file, 1, 2)]


def test_what_is_held_is_dropped_where_the_connection_is_shut_down(below, joined):
    joined.sendall(HEAD)
    joined.shutdown(socket.SHUT_RDWR)
    joined.flush()
    assert below.sent == [("shutdown", socket.SHUT_RDWR)]


def test_what_is_held_is_dropped_even_if_the_peer_has_gone(below, joined, monkeypatch):
    def gone(how):
        raise OSError

    monkeypatch.setattr(below, "shutdown", gone)
    joined.sendall(HEAD)
    with pytest.raises(OSError):  # noqa: PT011 - sockets have no other
        joined.shutdown(socket.SHUT_RDWR)
    joined.flush()
    assert below.sent == []


def test_what_could_not_be_sent_is_not_sent_again(below, joined, monkeypatch):
    def gone(data):
        raise BrokenPipeError

    joined.sendall(HEAD)
    monkeypatch.setattr(below, "sendall", gone)
    with pytest.raises(BrokenPipeError):
        joined.sendall(BODY)
    monkeypatch.undo()
    joined.flush()
    assert below.sent == []


def test_everything_else_is_the_socket_s_own():
    one, other = socket.socketpair()
    with one, other:
        joined = JoinedSocket(one)
        assert joined.fileno() == one.fileno()
        other.sendall(b"x")
        assert joined.recv(1) == b"x"


# the worker, with a socket that notes what it is given


LISTENER = SimpleNamespace(getsockname=lambda: ("127.0.0.1", 80))
ADDRESS = ("127.0.0.1", 1)
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n[1]"


@contextmanager
def _worker(app=None):
    """Yield a worker that no arbiter started."""
    cfg = Config()
    cfg.set("keepalive", 5)
    log = SimpleNamespace(**dict.fromkeys(["access", "debug", "exception", "warning"], _ignore))
    worker = Worker(1, 1, [], SimpleNamespace(), 30, cfg, log)
    worker.wsgi, worker.alive = app, True
    yield worker
    worker.tmp.close()


def _serve(app, sent):
    """Return what one connection's requests made the worker send, call by call."""
    client, server = socket.socketpair()
    with client, server, _worker(app) as worker:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        recording = Recording(server)
        worker.handle(LISTENER, recording, ADDRESS)
        return recording.sent


def _ignore(*arguments, **options):
    pass


def _app(*pieces, status="200 OK", length=True):
    """Return an application that answers with these pieces."""
    headers = [("Content-Length", str(sum(map(len, pieces))))] if length else []

    def app(environ, start_response):
        environ["wsgi.input"].read()
        start_response(status, headers)
        return list(pieces)

    return app


def test_a_reply_is_sent_in_one_call():
    [reply] = _serve(_app(BODY), POST)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == BODY


def test_each_reply_of_a_connection_is_sent_in_one_call():
    replies = _serve(_app(BODY), POST * 3)
    assert [reply.partition(b"\r\n\r\n")[2] for reply in replies] == [BODY] * 3


def test_pieces_of_a_reply_are_not_held_up():
    first, *rest = _serve(_app(b"a", b"b", b"c"), POST)
    assert first.endswith(b"\r\n\r\na")
    assert rest == [b"b", b"c"]


def test_a_streamed_reply_goes_in_chunks_as_it_comes():
    first, *rest = _serve(_app(b"ab", b"cde", length=False), POST)
    assert first.endswith(b"\r\n\r\n2\r\nab\r\n")
    assert b"Transfer-Encoding: chunked" in first
    assert rest == [b"3\r\ncde\r\n", b"0\r\n\r\n"]


@pytest.mark.parametrize("pieces", [(), (b"",)])
def test_an_empty_reply_is_a_head(pieces):
    sent = b"".join(_serve(_app(*pieces), POST))
    assert sent.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert sent.endswith(b"\r\n\r\n")


def test_a_reply_to_head_has_no_body():
    sent = b"".join(_serve(_app(BODY), b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert b"Content-Length: 2\r\n" in sent
    assert sent.endswith(b"\r\n\r\n")


def test_a_client_that_waits_to_go_on_is_told_at_once():
    sent = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    go_on, reply = _serve(_app(BODY), sent)
    assert go_on == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_file_is_sent_after_its_head(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "7")])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    head, (kind, _, offset, count) = _serve(app, POST)
    assert head.endswith(b"\r\n\r\n")
    assert (kind, offset, count) == ("file", 0, 7)


def test_an_application_that_fails_before_its_reply_is_500():
    def app(environ, start_response):
        raise ZeroDivisionError

    sent = b"".join(_serve(app, POST))
    assert sent.startswith(b"HTTP/1.1 500 ")
    assert sent.count(b"HTTP/1.1") == 1


def test_a_reply_that_breaks_off_is_cut_off_and_never_two_replies():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "10")])
        yield b"12345"
        raise ZeroDivisionError

    first, *rest = _serve(app, POST + POST)
    assert first.endswith(b"12345")
    assert rest == [("shutdown", socket.SHUT_RDWR)]


def test_a_reply_that_breaks_off_before_its_body_is_no_reply():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "10")])
        yield b""
        raise ZeroDivisionError

    sent = _serve(app, POST)
    assert sent[-1] == ("shutdown", socket.SHUT_RDWR)


def test_a_request_that_is_no_http_is_refused():
    sent = b"".join(_serve(_app(BODY), b"nonsense\r\n\r\n"))
    assert sent.startswith(b"HTTP/1.1 400 ")


def test_a_connection_whose_requests_are_all_there_lets_another_one_go_on():
    order = []

    def app(environ, start_response):
        order.append(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with ExitStack() as ending:
        worker = ending.enter_context(_worker(app))
        busy, other = (
            [ending.enter_context(end) for end in gevent_socket.socketpair()] for _ in "ab"
        )
        handling = [gevent.spawn(worker.handle, LISTENER, other[1], ADDRESS)]
        gevent.sleep(0)  # until it waits
        for (client, _), path in ((busy, b"/busy"), (other, b"/other")):
            client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path * 10)
            client.shutdown(socket.SHUT_WR)
        handling.append(gevent.spawn(worker.handle, LISTENER, busy[1], ADDRESS))
        gevent.joinall(handling, timeout=10, raise_error=True)
    halves = order[:10].count("/other"), order[10:].count("/other")
    assert min(halves) >= 4, order


@pytest.mark.parametrize("error", [None, SystemExit])
def test_what_is_loaded_is_frozen_as_long_as_it_serves(monkeypatch, error):
    frozen = []

    def serve(_worker):
        frozen.append(gc.get_freeze_count())
        if error is not None:
            raise error

    monkeypatch.setattr(GeventWorker, "run", serve)
    worker = Worker.__new__(Worker)
    worker.place = Places().take()
    with suppress(SystemExit):
        worker.run()
    assert frozen[0] > 1000
    assert gc.get_freeze_count() == 0  # or the interpreter would end with tracebacks


def test_a_worker_that_is_to_end_quickly_stops_without_raising():
    with _worker() as worker:
        worker.handle_quit(signal.SIGQUIT, None)
        assert worker.alive is False


# a real Gunicorn


@pytest.fixture(scope="module")
def host():
    """A host without a Triton: what it says of that is a reply as any other."""
    with running_host(f"127.0.0.1:{free_port()}", ready=False) as host:
        yield host


def _request(path=b"/", method=b"GET", version=b"1.1", body=b"", *headers):
    lines = [method + b" " + path + b" HTTP/" + version, b"Host: x", *headers]
    if body or method == b"POST":
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Client:
    """A connection that reads replies one by one, and says how they were framed."""

    def __init__(self, host):
        self.socket = socket.create_connection(("127.0.0.1", host.port), timeout=20)
        self._file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self._file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, *, has_body=True):
        status = self._file.readline().decode().split()
        headers = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        length = int(headers.get("content-length", 0)) if has_body else 0
        return status[0], int(status[1]), headers, self._file.read(length)

    def rest(self):
        return self._file.read()


def test_a_connection_is_kept_for_the_next_request(host):
    with Client(host) as client:
        for _ in range(3):
            client.send(_request())
            version, status, headers, body = client.read()
            assert (version, status, body) == ("HTTP/1.1", 200, b"Healthy")
            assert headers["connection"] == "keep-alive"


def test_requests_sent_one_after_the_other_are_answered_in_their_order(host):
    ids = [f"id-{n}" for n in range(30)]
    with Client(host) as client:
        client.send(
            b"".join(
                _request(
                    b"/score/none", b"POST", b"1.1", b"[%d]" % n, f"X-Request-Id: {i}".encode()
                )
                if n % 2
                else _request(b"/", b"GET", b"1.1", b"", f"X-Request-Id: {i}".encode())
                for n, i in enumerate(ids)
            )
        )
        replies = [client.read() for _ in ids]
    assert [headers["x-request-id"] for _, _, headers, _ in replies] == ids
    assert [status for _, status, _, _ in replies] == [200, 503] * 15


def test_old_clients_get_one_reply_and_the_end(host):
    with Client(host) as client:
        client.send(_request(b"/score/none", b"POST", b"1.0", b"[1]"))
        version, status, headers, body = client.read()
        assert (version, status, headers["connection"]) == ("HTTP/1.0", 503, "close")
        assert body.startswith(b"{")
        assert client.rest() == b""


def test_a_client_that_says_so_gets_the_end(host):
    with Client(host) as client:
        client.send(_request(b"/", b"GET", b"1.1", b"", b"Connection: close"))
        assert client.read()[3] == b"Healthy"
        assert client.rest() == b""


def test_a_reply_to_head_leaves_the_connection_in_order(host):
    with Client(host) as client:
        client.send(_request(b"/", b"HEAD") + _request())
        assert client.read(has_body=False)[1:2] == (200,)
        assert client.read()[3] == b"Healthy"


def test_a_client_that_waits_to_send_its_body_is_told_to(host):
    head = _request(b"/score/none", b"POST", b"1.1", b"[1]", b"Expect: 100-continue")[:-3]
    with Client(host) as client:
        client.send(head)
        assert client.read(has_body=False)[1] == 100
        client.send(b"[1]")
        assert client.read()[1] == 503


def test_a_chunked_body_is_read_to_its_end(host):
    head = b"POST /score/none HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Client(host) as client:
        client.send(head + b"2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n" + _request())
        assert client.read()[1] == 503
        assert client.read()[3] == b"Healthy"


def test_many_connections_get_their_own_replies(host):
    def ask(n):
        with Client(host) as client:
            for k in range(5):
                client.send(_request(b"/", b"GET", b"1.1", b"", b"X-Request-Id: %d-%d" % (n, k)))
                got[n].append(client.read()[2]["x-request-id"])

    got = [[] for _ in range(8)]
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [[f"{n}-{k}" for k in range(5)] for n in range(8)]


def _data_segments(sock):
    """Return how many segments with data have come: ``tcpi_data_segs_in`` of Linux's tcp_info."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return int.from_bytes(info[152:156], "little")


def test_a_reply_comes_in_one_segment(host):
    with Client(host) as client:
        for count in range(1, 4):
            client.send(_request(b"/score/none", b"POST", b"1.1", b"[1]"))
            assert re.match(b'{"message"', client.read()[3])
            assert _data_segments(client.socket) == count


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [(b"POST", b"/score", b"503"), (b"GET", b"/v2/health/live", b"200")],
)
def test_a_connection_that_asks_nothing_does_not_hold_up_the_end(method, path, status):
    with running_host(f"127.0.0.1:{free_port()}", ready=False) as host:
        with socket.create_connection(("127.0.0.1", host.port), timeout=10) as idle:
            idle.sendall(_request(path, method, b"1.1", b"[1]"))
            assert idle.recv(65536).startswith(b"HTTP/1.1 " + status)
            host.process.send_signal(signal.SIGTERM)
            assert idle.recv(65536) == b""
        host.process.wait(timeout=20)  # and not after graceful_timeout, half a minute
        assert host.process.returncode == 0
        assert "Traceback" not in host.log
