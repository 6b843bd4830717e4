"""The client before servers that follow a script: what is tried again, and what is said."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from servers import free_port, wait_until
from trihook import HostError, HostUnreachableError
from trihook.client import ScoringClient

HANG = object()
CLOSE = object()
CLOSE_AFTER = object()  # answer, and close the connection without having announced it


def answer(status: int, body: object = None, **headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Content_Type": "application/json", "Content_Length": str(len(content)), **headers}
    lines = [f"HTTP/1.1 {status} Said", *(f"{k.replace('_', '-')}: {v}" for k, v in named.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@dataclass
class Script:
    """A server on a port of its own, and the requests that it got."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/score"


@contextmanager
def scripted(*steps: object) -> Iterator[Script]:
    """Answer the n-th request with the n-th step: bytes, HANG, CLOSE, or (bytes, CLOSE_AFTER)."""
    over = threading.Event()
    pending = list(steps)

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while not over.is_set() and (request := read_request(stream)):
                script.requests.append(request)
                step = pending.pop(0)
                if step is HANG:
                    over.wait()
                if step is HANG or step is CLOSE:
                    return
                content, *then = step if isinstance(step, tuple) else (step,)
                connection.sendall(content)
                if then:
                    connection.shutdown(socket.SHUT_RDWR)
                    return

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                script.connections += 1
                open_connections.append(connection)
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    threads: list[threading.Thread] = []
    open_connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = Script(listener.getsockname()[1])
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield script
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in open_connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


@contextmanager
def asking(*steps: object, **options: Any) -> Iterator[tuple[Script, ScoringClient]]:
    """Yield a server with a script, and a client of it."""
    with scripted(*steps) as server, ScoringClient(server.uri, **options) as client:
        yield server, client


def read_request(stream) -> bytes:
    head = b""
    if stream.peek(1)[:1] == b"\x16":  # a TLS handshake, which has no lines
        return stream.read(1)
    while line := stream.readline():
        head += line
        if line == b"\r\n":
            break
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (stream.read(int(length[0].split(b":")[1])) if length else b"")


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Let nothing wait; return the seconds that would have been waited."""
    seconds: list[float] = []
    monkeypatch.setattr("trihook.client.time.sleep", seconds.append)
    return seconds


def test_a_reply_is_parsed_with_what_its_headers_say():
    headers = {
        "X_Request_Id": "id-1",
        "X_Trihook_Model": "vector/1",
        "Server_Timing": "preprocess;dur=1.5, infer;dur=20, cache;desc=hit, odd;dur=x",
    }
    with asking(answer(200, {"label": "cat"}, **headers)) as (_, client):
        reply = client.score_json([1, 2])
    assert (reply.value, reply.model, reply.request_id) == ({"label": "cat"}, "vector/1", "id-1")
    assert reply.stages == {"preprocess": 1.5, "infer": 20.0}


def test_a_reply_has_its_status_and_media_type():
    problem = answer(202, b'{"title": "later"}', Content_Type="Application/Problem+JSON; v=1")
    with asking(problem) as (_, client):
        reply = client.score_json(1)
    assert (reply.status, reply.media_type) == (202, "application/problem+json")
    assert reply.value == {"title": "later"}


@pytest.mark.parametrize(
    ("said", "media_type", "value"),
    [
        (b'{"detail": "no cat"}', "application/json", {"detail": "no cat"}),
        (b"\x89PNG", "image/png", b"\x89PNG"),
    ],
)
def test_what_a_plugin_says_with_an_error_status_is_not_lost(said, media_type, value):
    refusal = answer(422, said, Content_Type=media_type)
    with asking(refusal) as (_, client), pytest.raises(HostError) as caught:
        client.score_json(1)
    assert (caught.value.status, caught.value.value) == (422, value)


def test_headers_go_with_each_request():
    with asking(answer(200), headers={"X-Arm": "b", "Content-Type": "x"}) as (server, client):
        client.score_json(1)
    head = server.requests[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert b"X-Arm: b" in head
    assert [line for line in head if b"Content-Type" in line] == [b"Content-Type: application/json"]


@pytest.mark.parametrize("headers", [{"X Arm": "b"}, {"X-Arm": "b\r\nX: y"}, {"X-Arm": "日"}])
def test_what_no_header_can_carry_is_refused(headers):
    with pytest.raises(ValueError, match="is no header, or has a value that none can carry"):
        ScoringClient("localhost", headers=headers)


def test_what_is_no_json_stays_bytes():
    picture = answer(200, b"\x89PNG", Content_Type="image/png")
    torn = answer(200, b'{"label": ', Content_Type="application/json; charset=utf-8")
    with asking(picture, torn) as (_, client):
        assert client.score(b"x", "text/plain").value == b"\x89PNG"
        assert client.score(b"x", "text/plain").value == b'{"label": '


def test_the_request_carries_body_media_type_and_key():
    with asking(answer(200), key="secret\n") as (server, client):
        client.score(b"\x00raw", "image/png")
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /score HTTP/1.1"
    assert {b"Content-Type: image/png", b"Authorization: Bearer secret"} <= set(lines)
    assert body == b"\x00raw"


def test_without_a_key_no_authorization_is_sent():
    with asking(answer(200)) as (server, client):
        client.score_json(1)
    assert b"Authorization" not in server.requests[0]


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "\x00"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(key):
    with pytest.raises(ValueError, match="the key holds a character") as caught:
        ScoringClient("localhost", key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("uri", ["ftp://localhost/score", "http:///score", "http://h:99999/"])
def test_an_address_that_is_none_is_refused(uri):
    with pytest.raises(ValueError, match=r"is no http or https address|[Pp]ort"):
        ScoringClient(uri)


@pytest.mark.parametrize("host", ["a..b", ".a", "a" * 64, "a b", "a\x00b"])
def test_a_name_that_no_host_can_have_is_refused_before_it_is_looked_up(host):
    with pytest.raises(ValueError, match=r"^'http://.*/score' is no http or https address$"):
        ScoringClient(f"http://{host}/score")


@pytest.mark.parametrize("host", ["a.b.", "a_b", "grün.example", "a" * 63, "[::1]"])
def test_a_name_that_a_host_can_have_is_taken(host):
    assert ScoringClient(f"http://{host}/score").uri == f"http://{host}/score"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/score"),
        ("/score/m?top=1", "/score/m?top=1"),
        ("/score/grün?name=a b", "/score/gr%C3%BCn?name=a%20b"),
        ("/score/a%2Fb", "/score/a%2Fb"),
    ],
)
def test_the_path_and_query_are_sent_as_given(path, target):
    with scripted(answer(200)) as server:
        client = ScoringClient(f"127.0.0.1:{server.port}{path}")
        client.score_json(1)
        client.close()
    assert server.requests[0].startswith(f"POST {target} HTTP/1.1\r\n".encode())


def test_a_connection_is_kept():
    with asking(*[answer(200)] * 3) as (server, client):
        for _ in range(3):
            client.score_json(1)
        assert server.connections == 1


def test_a_connection_that_the_host_has_closed_is_replaced():
    steps = ((answer(200), CLOSE_AFTER), answer(200, "second"))
    with asking(*steps, retries=0) as (server, client):
        client.score_json(1)
        wait_for_end(client)
        assert client.score_json(1).value == "second"
        assert server.connections == 2


def wait_for_end(client: ScoringClient) -> None:
    """Wait until the host's end of the connection has arrived."""
    sock = client._connection.sock
    assert sock.recv(1, socket.MSG_PEEK) == b""


@pytest.mark.parametrize("status", [503, 429])
def test_a_refused_request_is_sent_again_after_what_the_host_asks(status, waits):
    steps = (answer(status, Retry_After="3"), answer(status), answer(200, "done"))
    with asking(*steps) as (server, client):
        assert client.score_json(1).value == "done"
    assert waits == [3.0, 1.0]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("code", "stage"), [("triton_lost", "infer"), ("unavailable", "postprocess")]
)
def test_what_may_have_run_is_not_sent_again(code, stage):
    body = {"message": "not now", "code": code, "stage": stage}
    with (
        asking(answer(503, body), answer(200)) as (server, client),
        pytest.raises(HostError) as caught,
    ):
        client.score_json(1)
    assert caught.value.code == code
    assert len(server.requests) == 1


def test_items_of_which_one_may_have_run_are_not_sent_again():
    items = [{"error": {"message": "gone" * 100, "code": code}} for code in ("x", "triton_lost")]
    with asking(answer(503, {"predictions": items}), answer(200)) as (server, client):
        assert client.score_json(1).value == {"predictions": items}
    assert len(server.requests) == 1


def test_nobody_is_waited_for_longer_than_five_seconds(waits):
    steps = (answer(503, Retry_After="3600"), answer(200))
    with asking(*steps) as (_, client):
        client.score_json(1)
    assert waits == [5.0]


def test_the_last_refusal_is_raised():
    body = {"message": "the worker has 256 requests under way", "code": "overloaded"}
    with (
        asking(*[answer(503, body)] * 3) as (server, client),
        pytest.raises(HostError, match="256 requests under way") as caught,
    ):
        client.score_json(1)
    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    assert len(server.requests) == 3


def test_a_redirect_is_no_reply_and_not_followed():
    moved = answer(308, "<html>", Location="https://elsewhere/score")
    with asking(moved) as (server, client), pytest.raises(HostError) as caught:
        client.score_json(1)
    assert caught.value.status == 308
    assert str(caught.value) == "Said: https://elsewhere/score"
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 404, 408, 413, 415, 424, 500, 502, 504])
def test_any_other_error_is_raised_at_once_with_the_hosts_words(status):
    body = {
        "message": "'hex' is 3, expected six digits",
        "code": "bad_payload",
        "stage": "preprocess",
        "plugin": "colour",
        "request_id": "id-1",
    }
    with asking(answer(status, body)) as (server, client), pytest.raises(HostError) as caught:
        client.score_json(1)
    assert vars(caught.value) == {**body, "status": status, "value": body}
    assert str(caught.value) == body["message"]
    assert len(server.requests) == 1


def test_azures_own_errors_have_their_message():
    body = {"error": {"code": "UserError", "message": "Please pass a valid key"}}
    with (
        asking(answer(401, body, x_request_id="id-2")) as (_, client),
        pytest.raises(HostError) as caught,
    ):
        client.score_json(1)
    said = caught.value
    assert (said.message, said.code, said.request_id) == (
        "Please pass a valid key", "UserError", "id-2",
    )  # fmt: skip


def test_an_error_that_says_nothing_has_its_reason():
    page = answer(502, b"<html>", Content_Type="text/html")
    with asking(page) as (_, client), pytest.raises(HostError, match=r"^Said$"):
        client.score_json(1)


def test_a_managed_endpoint_is_seen_through():
    original = {"ms_azureml_model_error_statuscode": "415"}
    body = {"message": "no plugin takes text/csv"}
    with (
        asking(answer(424, body, **original)) as (_, client),
        pytest.raises(HostError, match="no plugin takes") as caught,
    ):
        client.score_json(1)
    assert caught.value.status == 415


def test_what_a_managed_endpoint_passes_on_as_refused_is_sent_again():
    refused = answer(424, ms_azureml_model_error_statuscode="503")
    with asking(refused, answer(200, "done")) as (_, client):
        assert client.score_json(1).value == "done"


def test_items_that_all_failed_are_a_reply():
    body = {"predictions": [{"error": {"message": "no picture"}}]}
    with asking(answer(400, body)) as (_, client):
        assert client.score_json(1).value == body


@pytest.mark.parametrize(
    "step",
    [CLOSE, (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", CLOSE_AFTER), (b"no", CLOSE_AFTER)],
    ids=["no answer", "half an answer", "garbage"],
)
def test_a_request_that_may_have_begun_is_not_sent_again(step):
    with asking(step) as (server, client):
        with pytest.raises(HostUnreachableError, match=f"connection to {server.uri} was lost"):
            client.score_json(1)
        assert len(server.requests) == 1


def test_after_a_lost_connection_the_next_request_has_a_new_one():
    with asking(CLOSE, answer(200, "back")) as (_, client):
        with pytest.raises(HostUnreachableError):
            client.score_json(1)
        assert client.score_json(1).value == "back"


def test_after_an_answer_that_did_not_come_the_next_request_has_a_connection_of_its_own():
    with asking(HANG, answer(200, "back"), timeout=1) as (server, client):
        with pytest.raises(HostUnreachableError, match="did not answer within"):
            client.score_json(1)
        assert client.score_json(1).value == "back"
    assert server.connections == 2


def test_a_host_that_does_not_answer_is_not_waited_for():
    with asking(HANG, timeout=1.5) as (server, client):
        with pytest.raises(HostUnreachableError, match=r"did not answer within 1\.5 s"):
            client.score_json(1)
        wait_until(lambda: server.requests)
        assert len(server.requests) == 1


def test_a_refused_connection_is_tried_again(waits):
    uri = f"http://127.0.0.1:{free_port()}/score"
    with pytest.raises(HostUnreachableError, match=f"nothing listens at {uri}"):
        ScoringClient(uri).score_json(1)
    assert waits == [0.2, 0.4]


def test_a_name_that_nobody_knows_is_said_to_be_unknown():
    with pytest.raises(HostUnreachableError, match="no host of this name is known"):
        ScoringClient("http://host.invalid/score", retries=0).score_json(1)


def test_a_host_that_speaks_no_tls_is_not_trusted():
    with scripted(answer(400)) as server:
        uri = server.uri.replace("http:", "https:")
        with pytest.raises(HostUnreachableError, match=f"{uri} cannot be trusted"):
            ScoringClient(uri, retries=0, timeout=5).score_json(1)
