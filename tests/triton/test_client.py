"""Whatever Triton does, the client says so in time, sends nothing twice and leaks nothing."""

import contextlib
import gc
import socket
import struct
import threading
import time
from pathlib import Path

import gevent
import numpy as np
import orjson
import pytest
from trihook import DeadlineError, TritonError, TritonLostError, TritonUnavailableError
from trihook.deadline import Deadline
from trihook.testing import make_model
from trihook.triton.client import TritonClient, TritonRefusalError, model_path

MODEL = make_model(inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
LARGE = b"x" * 8_000_000  # more than the sockets of both sides take in


def _http(body=b"", status="200 OK", headers=""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def answer(*pieces):
    """Send these bytes, and wait for the next request."""

    def act(connection, ended):
        for piece in pieces:
            connection.sendall(piece)
        return True

    return act


def answer_and_close(*pieces):
    def act(connection, ended):
        answer(*pieces)(connection, ended)
        return False

    return act


def reset(connection, ended):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang(connection, ended):
    ended.wait()
    return False


def trickle(connection, ended):
    """Send a byte now and then, always sooner than any read would time out."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not ended.wait(0.01):
        connection.sendall(b"x")
    return False


class Server:
    """A TCP server that gives the n-th request the n-th action of its script, then the last."""

    def __init__(self, *script, on_connect=None, reads=True):
        self.requests = []
        self.connections = 0
        self._script, self._on_connect, self._reads = script, on_connect, reads
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = []
        self._start(self._accept)

    def wait_for(self, count):
        """Let greenlets go on until so many requests have arrived."""
        with gevent.Timeout(20):
            while len(self.requests) < count:
                gevent.sleep(0.005)

    def close(self):
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._start(self._serve, connection)

    def _serve(self, connection):
        connection.settimeout(0.05)
        with connection, contextlib.suppress(OSError):
            if self._on_connect and not self._on_connect(connection, self._ended):
                return
            while self._reads and (request := self._read(connection)):
                self.requests.append(request)
                action = self._script[min(len(self.requests), len(self._script)) - 1]
                connection.settimeout(5)
                if not action(connection, self._ended):
                    return
                connection.settimeout(0.05)
            self._ended.wait()

    def _read(self, connection):
        """Return the method and path of the next request, after reading all of it."""
        data = b""
        while not self._ended.is_set():
            head, end, body = data.partition(b"\r\n\r\n")
            lower = head.lower()
            length = 0
            if b"content-length:" in lower:
                length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
            if end and len(body) >= length:
                return head.split(b" HTTP")[0].decode()
            try:
                received = connection.recv(1 << 20)
            except TimeoutError:
                continue
            if not received:
                return ""
            data += received
        return ""


@pytest.fixture
def serve():
    """Return a function that starts a server and returns it with a client."""
    started = []

    def start(*script, connections=4, timeout=5, **options):
        server = Server(*script, **options)
        client = TritonClient(server.url, connections=connections, timeout=timeout)
        started.extend([client, server])
        return server, client

    yield start
    for each in started:
        each.close()


def _get(client, seconds=5):
    return client.request("GET", "/", deadline=Deadline.after(seconds))


def _post(client, seconds=5, body=b"body"):
    return client.request("POST", "/", [body], deadline=Deadline.after(seconds))


def _wait_while_idle(client):
    """Wait until something has come, or the end, on the connection that is idle."""
    [(_, poll)] = client._questions._idle
    assert poll.poll(20_000)


# what goes well


def test_an_answer_is_read_whatever_its_status(serve):
    server, client = serve(answer(_http(b"no", "404 Not Found")))
    got = _get(client)
    assert (got.status, got.body, got.header_length) == (404, b"no", None)
    assert server.requests == ["GET /"]


def test_the_length_of_the_tensor_header_is_read(serve):
    headers = "Inference-Header-Content-Length: 2\r\n"
    _, client = serve(answer(_http(b"{}", headers=headers)))
    assert _get(client).header_length == 2


def test_a_chunked_answer_is_read(serve):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    _, client = serve(answer(*(chunked[n : n + 1] for n in range(len(chunked)))))
    assert _get(client).body == b"abc"


def test_a_connection_is_kept_alive(serve):
    server, client = serve(answer(_http(b"a")))
    for _ in range(3):
        _post(client)
    assert (server.connections, len(server.requests)) == (1, 3)


def test_a_large_body_arrives(serve):
    server, client = serve(answer(_http(b"a")))
    assert _post(client, body=LARGE).body == b"a"
    assert server.requests == ["POST /"]


def test_no_more_connections_are_open_than_allowed(serve):
    server, client = serve(answer(_http(b"a")), connections=2)
    gevent.joinall([gevent.spawn(_post, client) for _ in range(8)], raise_error=True)
    assert (server.connections, len(server.requests)) == (2, 8)


@pytest.mark.parametrize("prefix", ["", "http://"])
def test_an_address_may_have_a_scheme(serve, prefix):
    server, _ = serve(answer(_http(b"a")))
    client = TritonClient(prefix + server.url)
    assert _get(client).body == b"a"
    client.close()


@pytest.mark.parametrize(("path", "asked"), [("/", "/v2/x"), ("/triton/", "/triton/v2/x")])
def test_an_address_may_have_a_path(serve, path, asked):
    server, _ = serve(answer(_http(b"a")))
    client = TritonClient(server.url + path)
    client.request("GET", "/v2/x")
    client.close()
    assert server.requests == [f"GET {asked}"]


# what goes wrong


def test_a_refused_connection_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = TritonClient(f"127.0.0.1:{port}")
    for ask in (_get, _post):
        with pytest.raises(TritonUnavailableError, match="cannot be reached"):
            ask(client)


def test_a_name_that_nobody_has_is_unavailable():
    with pytest.raises(TritonUnavailableError, match="cannot be reached"):
        _get(TritonClient("no-such-host.invalid:8000"))


WRONG = {
    "reset": (reset, TritonLostError),
    "eof": (answer_and_close(), TritonLostError),
    "eof in the header": (answer_and_close(b"HTTP/1.1 200 OK\r\nContent-"), TritonLostError),
    "eof in the body": (answer_and_close(_http(b"abc")[:-1]), TritonLostError),
    "eof in a chunk": (
        answer_and_close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        TritonLostError,
    ),
    "a body that is too long": (answer_and_close(_http(b"abc") + b"d"), TritonError),
    "garbage": (answer_and_close(b"\x00\xff garbage \r\n\r\n"), TritonError),
    "another protocol": (answer_and_close(b"SSH-2.0-OpenSSH_9.2\r\n"), TritonError),
    "a length that is none": (
        answer(_http(b"a", headers="Inference-Header-Content-Length: x\r\n")),
        TritonError,
    ),
    "two lengths": (
        answer_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        TritonError,
    ),
}


@pytest.mark.parametrize("way", WRONG)
def test_a_post_that_fails_is_told_and_never_sent_again(serve, way):
    action, expected = WRONG[way]
    server, client = serve(action)
    with pytest.raises(expected) as caught:
        _post(client)
    assert type(caught.value) is expected
    assert caught.value.__cause__ is not None
    assert server.requests == ["POST /"]


@pytest.mark.parametrize("way", WRONG)
def test_the_client_recovers_at_once(serve, way):
    action, expected = WRONG[way]
    _, client = serve(action, answer(_http(b"well")), connections=1)
    with pytest.raises(expected):
        _post(client)
    assert _post(client).body == b"well"


def test_a_connection_that_is_reset_when_made_is_unavailable(serve):
    server, client = serve(answer(_http()), on_connect=reset)
    with pytest.raises(TritonUnavailableError):
        _post(client)
    assert server.requests == []


def test_bytes_that_came_while_it_was_idle_do_not_answer_the_next_request(serve):
    is_idle = threading.Event()

    def answer_and_babble(connection, ended):
        connection.sendall(_http(b"first"))
        is_idle.wait(20)
        connection.sendall(_http(b"stray"))
        return True

    _, client = serve(answer_and_babble, answer(_http(b"second")))
    assert _post(client).body == b"first"
    is_idle.set()
    _wait_while_idle(client)
    assert _post(client).body == b"second"


def test_a_connection_closed_while_it_was_idle_is_not_used(serve):
    server, client = serve(answer_and_close(_http(b"first")), answer(_http(b"second")))
    assert _post(client).body == b"first"
    _wait_while_idle(client)
    assert _post(client).body == b"second"
    assert server.requests == ["POST /", "POST /"]


def test_an_answer_with_another_behind_it_is_refused(serve):
    _, client = serve(answer(_http(b"first") + _http(b"stray")), answer(_http(b"second")))
    with pytest.raises(TritonError, match="no HTTP"):
        _post(client)
    assert _post(client).body == b"second"


# deadlines


@pytest.mark.parametrize("action", [hang, trickle], ids=["hang", "trickle"])
def test_a_deadline_is_over_the_whole_call(serve, action):
    server, client = serve(action)
    with pytest.raises(DeadlineError, match="did not answer in time"):
        _post(client, 1)
    server.wait_for(1)
    assert server.requests == ["POST /"]


def test_a_server_that_reads_nothing_meets_the_deadline(serve):
    _, client = serve(reads=False)
    with pytest.raises(DeadlineError):
        _post(client, 0.1, LARGE)


def test_without_a_deadline_the_clients_own_timeout_holds(serve):
    _, client = serve(hang, timeout=0.1)
    with pytest.raises(DeadlineError):
        client.request("GET", "/")


def test_what_has_no_time_left_is_not_sent(serve):
    server, client = serve(answer(_http(b"a")))
    _post(client)
    with pytest.raises(DeadlineError, match="no time left"):
        client.request("POST", "/", deadline=Deadline(time.monotonic() - 1))
    assert server.requests == ["POST /"]


@pytest.mark.parametrize("action", [hang, trickle], ids=["hang", "trickle"])
def test_deadlines_use_up_no_connections(serve, action):
    server, client = serve(*[action] * 6, answer(_http(b"well")), connections=2)
    for turn in range(3):
        calls = [gevent.spawn(_fails_in_time, client) for _ in range(2)]
        gevent.joinall(calls, raise_error=True)
        server.wait_for(2 * turn + 2)
    bodies = [gevent.spawn(_post, client) for _ in range(4)]
    gevent.joinall(bodies, raise_error=True)
    assert [call.value.body for call in bodies] == [b"well"] * 4


def _fails_in_time(client):
    with pytest.raises(DeadlineError):
        _post(client, 1)


def test_who_waits_for_a_connection_is_served_when_another_meets_its_deadline(serve):
    server, client = serve(hang, answer(_http(b"well")), connections=1)
    first = gevent.spawn(_fails_in_time, client)
    server.wait_for(1)
    waiting = [gevent.spawn(_post, client) for _ in range(3)]
    gevent.joinall([first, *waiting], raise_error=True)
    assert [call.value.body for call in waiting] == [b"well"] * 3


def test_who_waits_for_a_connection_meets_its_own_deadline(serve):
    server, client = serve(hang, connections=1)
    first = gevent.spawn(_post, client, 60)
    server.wait_for(1)
    with pytest.raises(DeadlineError):
        _post(client, 0.02)
    assert not first.ready()
    first.kill()
    assert server.requests == ["POST /"]


def test_a_timeout_of_somebody_else_is_theirs(serve):
    _, client = serve(hang, answer(_http(b"well")), connections=1)
    with gevent.Timeout(1) as theirs, pytest.raises(gevent.Timeout) as caught:
        _post(client)
    assert caught.value is theirs
    assert _post(client).body == b"well"


def test_a_greenlet_that_is_killed_gives_its_connection_back(serve):
    server, client = serve(hang, answer(_http(b"well")), connections=1)
    doomed = gevent.spawn(_post, client)
    server.wait_for(1)
    doomed.kill()
    assert _post(client).body == b"well"


# descriptors


def _descriptors():
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "action",
    [answer(_http(b"a")), reset, answer_and_close(), hang, trickle, answer_and_close(b"garbage")],
    ids=["answer", "reset", "eof", "hang", "trickle", "garbage"],
)
def test_descriptors_return_to_where_they_were(action):
    def run():
        server = Server(action)
        client = TritonClient(server.url, connections=2)
        for _ in range(4):
            with contextlib.suppress(TritonError, TritonUnavailableError, DeadlineError):
                _post(client, 0.05)
        client.close()
        server.close()

    run()  # the hub and its resolver keep some of their own
    before = _descriptors()
    run()
    assert _descriptors() == before


def test_a_body_that_was_cut_off_by_the_deadline_leaves_no_socket():
    server = Server(reads=False)
    client = TritonClient(server.url)
    _fails_in_time(client)
    before = _descriptors()
    for _ in range(3):
        with pytest.raises(DeadlineError):
            _post(client, 0.05, LARGE)
    client.close()
    server.close()
    assert _descriptors() <= before


# Triton's questions and answers


def _json(value, status="200 OK"):
    return answer(_http(orjson.dumps(value), status))


def test_ready_is_a_question_that_never_fails(serve):
    _, client = serve(
        answer(_http()),
        answer(_http(status="400 Bad Request")),
        reset,
        answer_and_close(b"?"),
        hang,
        timeout=1,
    )
    assert [client.is_ready() for _ in range(5)] == [True, False, False, False, False]


def test_a_models_readiness_is_asked_for_by_name_and_version(serve):
    server, client = serve(answer(_http()), answer(_http(status="400 Bad Request")))
    assert client.is_model_ready("a b/c")
    assert not client.is_model_ready("m", "2")
    assert server.requests == [
        "GET /v2/models/a%20b%2Fc/ready",
        "GET /v2/models/m/versions/2/ready",
    ]


def test_index_metadata_and_config_are_asked_for(serve):
    server, client = serve(_json([{"name": "m"}]), _json({"name": "m"}), _json({"input": []}))
    assert client.index() == [{"name": "m"}]
    assert client.metadata("m") == {"name": "m"}
    assert client.config("m", "2") == {"input": []}
    assert server.requests == [
        "POST /v2/repository/index",
        "GET /v2/models/m",
        "GET /v2/models/m/versions/2/config",
    ]


@pytest.mark.parametrize("value", [{}, None, "m", [1], [{}], [{"name": 3}], [["name"]]])
def test_an_index_that_is_none_is_tritons_error(serve, value):
    _, client = serve(_json(value))
    with pytest.raises(TritonError, match="no repository index"):
        client.index()


@pytest.mark.parametrize("value", [[], None, 3])
def test_metadata_that_are_no_object_are_tritons_error(serve, value):
    _, client = serve(_json(value))
    with pytest.raises(TritonError, match="no JSON object"):
        client.metadata("m")


def test_what_is_no_json_is_tritons_error(serve):
    _, client = serve(answer(_http(b"<html>")))
    with pytest.raises(TritonError, match="no JSON"):
        client.index()


def test_a_status_says_whether_to_come_back(serve):
    _, client = serve(answer(_http(status="503 Unavailable")), answer(_http(status="500 Oh")))
    with pytest.raises(TritonUnavailableError, match="not ready"):
        client.index()
    with pytest.raises(TritonError, match="status 500"):
        client.index()


# inferences


def _infer(client, seconds=5.0, **options):
    tensors = {"x": [np.ones(1, "f4")]}
    return client.infer(MODEL, tensors, deadline=Deadline.after(seconds), **options)


def _outputs(request_id=""):
    header = {"id": request_id, "model_version": "1",
              "outputs": [{"name": "y", "datatype": "FP32", "shape": [1],
                           "parameters": {"binary_data_size": 4}}]}  # fmt: skip
    head = orjson.dumps(header)
    length = f"Inference-Header-Content-Length: {len(head)}\r\n"
    return answer(_http(head + np.float32(5).tobytes(), headers=length))


def test_an_inference_is_a_post_to_the_model(serve):
    server, client = serve(_outputs("id"))
    outputs, version = _infer(client, request_id="id")
    assert (outputs["y"].tolist(), version) == ([5.0], "1")
    assert server.requests == ["POST /v2/models/model/infer"]


def test_an_inference_may_name_its_version(serve):
    server, client = serve(_outputs())
    _infer(client, version="7")
    assert server.requests == ["POST /v2/models/model/versions/7/infer"]


def test_the_answer_to_another_request_is_never_taken(serve):
    _, client = serve(_outputs("other"))
    with pytest.raises(TritonError, match="not what the model declares"):
        _infer(client, request_id="mine")


def test_a_refusal_is_told_from_a_model_that_is_gone(serve):
    refusal = answer(_http(b'{"error":"/secret"}', "400 Bad Request"))
    _, client = serve(refusal, answer(_http()), refusal, answer(_http(status="400 Bad")))
    with pytest.raises(TritonError, match="refused an inference of model 'model'") as caught:
        _infer(client)
    assert isinstance(caught.value.__cause__, TritonRefusalError)
    assert "secret" not in str(caught.value)
    with pytest.raises(TritonUnavailableError, match="model 'model' is not ready"):
        _infer(client)


def test_a_proxy_that_says_503_in_html_is_unavailable(serve):
    server, client = serve(answer(_http(b"<html>", "503 Service Unavailable")))
    with pytest.raises(TritonUnavailableError):
        _infer(client)
    assert server.requests == ["POST /v2/models/model/infer"]


def test_a_proxy_that_says_502_in_html_is_no_answer(serve):
    _, client = serve(answer(_http(b"<html>", "502 Bad Gateway")))
    with pytest.raises(TritonUnavailableError):
        _infer(client)


def test_a_proxy_that_says_200_in_html_is_tritons_error(serve):
    _, client = serve(answer(_http(b"<html>")))
    with pytest.raises(TritonError, match="not what the model declares"):
        _infer(client)


def test_inferences_do_not_hold_up_what_else_is_asked(serve):
    server, client = serve(hang, answer(_http(b"well")), connections=1)
    busy = gevent.spawn(_infer, client, 60)
    server.wait_for(1)
    assert client.is_ready()
    assert not busy.ready()
    busy.kill()


def test_asking_about_a_refusal_keeps_to_the_deadline(serve):
    server, client = serve(answer(_http(status="400 Bad Request")), hang, timeout=60)
    with gevent.Timeout(10), pytest.raises(DeadlineError):
        _infer(client, 1)
    server.wait_for(2)


@pytest.mark.parametrize(
    ("name", "version", "path"),
    [
        ("m", "", "/v2/models/m"),
        ("m", "1", "/v2/models/m/versions/1"),
        ("../x?y#z", "a/b", "/v2/models/..%2Fx%3Fy%23z/versions/a%2Fb"),
        ("größe", "", "/v2/models/gr%C3%B6%C3%9Fe"),
    ],
)
def test_paths_are_quoted(name, version, path):
    assert model_path(name, version) == path
