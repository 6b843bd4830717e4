"""Every status that the host promises, provoked on real servers."""

import http.client
import io
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from PIL import Image
from servers import add_plugin, control, free_port, running_host, wait_until

TROUBLE = '''
"""A plugin that does what ?trouble= says."""
import time

import numpy as np
from trihook import PayloadError, hookimpl


@hookimpl(tryfirst=True)
def select_model(request):
    if request.query.get("trouble") == "select":
        return "no-such-model"


@hookimpl(tryfirst=True)
def preprocess(request):
    trouble = request.query.get("trouble")
    if trouble == "raise":
        raise ValueError("secret path /etc/passwd")
    if trouble == "exit":
        raise SystemExit("secret path /etc/passwd")
    if trouble == "refuse":
        raise PayloadError("this item is not to my liking")
    if trouble == "slow":
        time.sleep(30)
    return {
        "nonsense": "not a mapping",
        "name": {"wrong": np.zeros(3, np.float32)},
        "shape": {"x": np.zeros((7, 7), np.float32)},
        "dtype": {"x": np.array(["a", "b", "c"])},
    }.get(trouble)


@hookimpl(tryfirst=True)
def postprocess(request):
    trouble = request.query.get("trouble")
    if trouble == "reply":
        return {"reply": object()}
    if trouble == "post":
        raise KeyError("secret path /etc/passwd")
'''
SETTINGS = """
timeout = 2.0
max_body_bytes = 1000000
max_requests = 4
[options]
max_pixels = 1000000
"""
SHAPE = {"message", "code", "stage", "plugin", "request_id"}
VECTOR = {"x": [1, 2, 3]}


@pytest.fixture(scope="module")
def strict(triton, tmp_path_factory):
    """A host with small limits and a plugin that makes trouble on demand."""
    folder = tmp_path_factory.mktemp("plugins")
    add_plugin(folder, "trihook-trouble", "trouble", TROUBLE)
    with running_host(triton.url, settings=SETTINGS, plugins=folder) as host:
        yield host


def assert_error(answer, status, code, stage, plugin=""):
    assert answer.status == status, answer.body
    error = answer.json
    assert set(error) == SHAPE
    assert (error["code"], error["stage"], error["plugin"]) == (code, stage, plugin)
    assert error["request_id"] == answer.headers["x-request-id"]
    text = answer.body.decode()
    assert not any(leak in text for leak in ("Traceback", "/etc/passwd", "File \\", ".py"))


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"x": NaN}', b"[" * 100_000, b"\xff\xfe", b'{"x": 1e999}']
)
def test_a_malformed_body_is_400(strict, body):
    answer = strict.post("/score/vector", body, Content_Type="application/json")
    assert_error(answer, 400, "bad_payload", answer.json["stage"], answer.json["plugin"])


@pytest.mark.parametrize(
    "value",
    [
        {"x": "text"},
        {"x": [1, 2]},
        {"x": [[1, 2, 3], [4]]},
        {"x": None},
        {"y": [1, 2, 3]},
        {"x": {"b64": "%"}},
        {"inputs": {"x": [1, 2, 3], "z": 1}},
        "text",
        None,
        {},
    ],
)
def test_tensors_of_the_wrong_type_or_shape_are_400(strict, value):
    assert_error(strict.post("/score/vector", value), 400, "bad_payload", "preprocess", "core")


def test_an_undecodable_picture_is_400(strict, jpeg):
    answer = strict.post("/score/grey", jpeg[:5000], Content_Type="image/jpeg")
    assert_error(answer, 400, "bad_payload", "preprocess", "pillow")


def test_a_body_that_ends_early_is_400(strict):
    head = (
        b"POST /score/vector HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", strict.port)) as connection:
        connection.sendall(head + b'{"x": [1, 2, 3]}')
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"ends after 16 of the 100 bytes" in answer


def test_an_item_that_a_plugin_refuses_is_400_in_its_words(strict):
    answer = strict.post("/score/vector?trouble=refuse", VECTOR)
    assert_error(answer, 400, "bad_payload", "preprocess", "trouble")
    assert answer.json["message"] == "this item is not to my liking"


@pytest.mark.parametrize("path", ["/score/unknown", "/score/vector/versions/9", "/score"])
def test_a_model_that_is_not_there_is_404(strict, path):
    answer = strict.post(path, VECTOR)
    assert_error(answer, 404, "unknown_model", "select_model")


def test_a_route_that_is_not_there_is_404_and_a_wrong_method_405(strict):
    assert_error(strict.request("GET", "/nowhere"), 404, "not_found", "request")
    answer = strict.request("GET", "/score")
    assert_error(answer, 405, "method_not_allowed", "request")
    assert "POST" in answer.headers["allow"]


def test_a_body_over_the_limit_is_413(strict):
    answer = strict.post("/score/vector", b" " * 1_000_001, Content_Type="application/json")
    assert_error(answer, 413, "payload_too_large", "request")


def test_a_chunked_body_over_the_limit_is_413(strict):
    chunk = b"%x\r\n" % 100_000 + b" " * 100_000 + b"\r\n"
    head = b"POST /score/vector HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", strict.port)) as connection:
        connection.sendall(head + 10 * chunk + b"1\r\n \r\n0\r\n\r\n")
        answer = connection.makefile("rb").readline()
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_picture_over_the_limit_is_413(strict):
    file = io.BytesIO()
    Image.new("1", (1001, 1000)).save(file, "PNG")
    answer = strict.post("/score/grey", file.getvalue(), Content_Type="image/png")
    assert_error(answer, 413, "payload_too_large", "preprocess", "pillow")


@pytest.mark.parametrize("media_type", ["application/pdf", "text/csv", ""])
def test_a_media_type_that_no_plugin_takes_is_415(strict, media_type):
    answer = strict.post("/score/vector", b"%PDF-1.7", Content_Type=media_type)
    assert_error(answer, 415, "unsupported_media_type", "preprocess")


@pytest.mark.parametrize(
    ("trouble", "code", "stage"),
    [
        ("raise", "plugin_failed", "preprocess"),
        ("exit", "plugin_failed", "preprocess"),
        ("nonsense", "plugin_result", "preprocess"),
        ("name", "plugin_result", "preprocess"),
        ("shape", "plugin_result", "preprocess"),
        ("dtype", "plugin_result", "preprocess"),
        ("reply", "plugin_result", "postprocess"),
        ("post", "plugin_failed", "postprocess"),
    ],
)
def test_a_plugin_that_raises_or_answers_nonsense_is_500_and_blamed(strict, trouble, code, stage):
    answer = strict.post(f"/score/vector?trouble={trouble}", VECTOR)
    assert_error(answer, 500, code, stage, "trouble")
    assert strict.post("/score/vector", VECTOR).status == 200


def test_a_plugin_that_chooses_a_model_that_is_not_there_is_500(strict):
    answer = strict.post("/score?trouble=select", VECTOR)
    assert_error(answer, 500, "plugin_result", "select_model", "trouble")


def test_what_a_plugin_raised_is_logged_once_with_its_traceback(strict):
    said = "plugin 'trouble' raised KeyError in postprocess"
    raised = "KeyError: 'secret path /etc/passwd'"
    before = strict.log
    strict.post("/score/vector?trouble=post", VECTOR)
    new = strict.log.removeprefix(before)
    # once as the message, once more at the end of the traceback, which begins with its cause
    assert (new.count(f"postprocess: {said}"), new.count(f"HookError: {said}")) == (1, 1)
    assert new.count(raised) == 1


def test_an_inference_that_triton_refuses_is_502(strict):
    assert_error(strict.post("/score/moody", {"x": [-1.0]}), 502, "triton_error", "infer")


def test_one_refused_item_in_a_batch_fails_alone(strict):
    instances = [{"x": [0.0]}, {"x": [-1.0]}, {"x": [0.0]}]
    answer = strict.post("/score/moody", {"instances": instances})
    assert answer.status == 200
    first, second, third = answer.json["predictions"]
    assert first == third == {"outputs": {"y": [0.0]}}
    assert second["error"]["code"] == "triton_error"


def test_items_that_all_fail_give_the_first_one_s_status(strict):
    answer = strict.post("/score/moody", {"instances": [{"x": [-1.0]}, {"x": "text"}]})
    assert answer.status == 502
    assert [p["error"]["code"] for p in answer.json["predictions"]] == [
        "triton_error",
        "bad_payload",
    ]


def test_a_model_that_is_not_ready_is_503_with_retry_after(strict, triton):
    body = {"picture": [[[0]] * 128] * 96}
    assert strict.post("/score/grey", body).status == 200
    control(triton.url, "unload", "grey")
    try:
        wait_until(lambda: strict.post("/score/grey", body).status != 200)
        answer = strict.post("/score/grey", body)
        assert_error(answer, 503, "triton_unavailable", answer.json["stage"])
        assert answer.headers["retry-after"] == "1"
    finally:
        control(triton.url, "load", "grey")
    wait_until(lambda: strict.post("/score/grey", body).status == 200)


def test_a_triton_that_is_not_there_is_503_with_retry_after():
    with running_host(f"127.0.0.1:{free_port()}", ready=False) as host:
        answer = host.post("/score/vector", VECTOR)
        assert_error(answer, 503, "triton_unavailable", "select_model")
        assert answer.headers["retry-after"] == "1"
        assert host.request("GET", "/v2/health/ready").status == 503


def test_a_model_that_takes_too_long_is_504(strict):
    answer = strict.post("/score/moody", {"x": [4.0]})
    assert_error(answer, 504, "deadline_exceeded", "infer")


def test_a_plugin_that_takes_too_long_is_504_and_blamed(strict):
    answer = strict.post("/score/vector?trouble=slow", VECTOR)
    assert_error(answer, 504, "deadline_exceeded", "preprocess", "trouble")


def test_more_requests_than_the_host_takes_are_503_before_their_bodies_are_read(strict):
    with ExitStack() as waiting:
        for _ in range(4):
            begin_request(strict, "vector", waiting)
        assert_refused_unread(strict, "vector", waiting)
    wait_until(lambda: strict.post("/score/vector", VECTOR).status == 200)


def test_a_full_queue_is_503_before_the_body_is_read_and_other_models_are_scored(triton):
    settings = "max_queue = 2\n[models.moody]\nconcurrency = 1\nmax_batch = 1\n"
    with running_host(triton.url, settings=settings) as host, ThreadPoolExecutor(3) as threads:
        posts = [threads.submit(host.post, "/score/moody", {"x": [3.0]}) for _ in range(3)]
        with ExitStack() as waiting:
            assert_refused_unread(host, "moody", waiting)
            assert host.post("/score/vector", VECTOR).status == 200
        assert [post.result().status for post in posts] == [200] * 3
        assert host.post("/score/moody", {"x": [0.0]}).status == 200


def begin_request(host, model, waiting):
    """Send a head and never its body: whoever waits for that does not answer."""
    head = f"POST /score/{model} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", host.port), timeout=0.2)
    waiting.enter_context(connection).sendall(head.encode())
    return connection


def assert_refused_unread(host, model, waiting):
    def refused():
        answer = http.client.HTTPResponse(begin_request(host, model, waiting))
        try:
            answer.begin()
        except TimeoutError:
            return None  # it was let in
        return answer.status, answer.headers["Retry-After"], json.loads(answer.read())["code"]

    assert wait_until(refused) == (503, "1", "overloaded")
