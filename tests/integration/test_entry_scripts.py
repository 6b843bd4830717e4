"""Entry scripts on real servers: generated ones beside Azure's, and any one under ours."""

import itertools
import json
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from azml.environment import azure_python
from azml.hosts import AZURE, OURS, Start, end, exit_status, launch, running
from click.testing import CliRunner
from servers import free_port, multipart, photograph, running_host, wait_until
from trihook.cli.main import cli

CONTEXT = "The observatory on Mount Arden was founded in 1921 by Clara Voss."
QUESTION = {"context": CONTEXT, "query": "Who founded the observatory?"}
JSON, PNG = "application/json", "image/png"


def generate(folder, triton, *arguments):
    """Return how to start a server with a generated script, and the script."""
    path = folder / "score.py"
    url = triton.url.partition("//")[2]
    command = ["generate", "entry-script", "--output", str(path), "--triton-url", url]
    done = CliRunner().invoke(cli, [*command, *arguments])
    assert done.exit_code == 0, done.output
    # the script lies elsewhere than the current folder
    return Start(("--entry_script", str(path)))


def ask(server, body, media_type, path="/score", **options):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = (("Content-Type", media_type), ("X-Request-Id", "same"))
    return server.ask(options.get("method", "POST"), path, body, headers)


def essence(answer):
    """Return what is the same under every server."""
    kept = {"content-type", "x-trihook-model", "server-timing", "x-request-id", "retry-after"}
    named = {name: value for name, value in answer.headers if name in kept}
    return answer.status, named, json.loads(answer.body)


def pictures():
    cat = photograph("chelsea.png")
    both = multipart(("a.png", PNG, cat), ("b.png", PNG, cat[:2000]))
    return {
        "picture": (cat, PNG),
        "two, one broken": both,
        "cut-off picture": (cat[:9000], PNG),
        "no picture": (b"text", "text/plain"),
        "empty": (b"", PNG),
        "unknown model": (cat, PNG, "/score?model=nothing"),
        "other model": ({"x": [1, 2, 3]}, JSON, "/score?model=vector"),
    }


def questions():
    return {
        "question": (QUESTION, JSON),
        "several": ({"instances": [QUESTION, {"context": CONTEXT}, 3]}, JSON),
        "no query": ({"context": CONTEXT}, JSON),
        "cut-off JSON": (b'{"context": ', JSON),
        "curl's media type": (json.dumps(QUESTION).encode(), "application/x-www-form-urlencoded"),
        "not UTF-8": (b'{"context": "\xff"}', JSON),
        "picture": (photograph("coffee.png"), PNG),
    }


EXAMPLES = {
    "bidaf": (questions, "bidaf_onnx", ("--plugin", "nltk", "--plugin", "bidaf")),
    "densenet": (
        pictures,
        "efficientnet_lite0",
        ("--plugin", "pillow", "--plugin", "densenet", "--option", "efficientnet_lite0.top=2"),
    ),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_generated_script_answers_alike_under_azures_server_ours_and_without_it(
    triton, tmp_path, example
):
    make, model, arguments = EXAMPLES[example]
    start = generate(tmp_path, triton, "--model", model, *arguments)
    settings = f'default_model = "{model}"\n[models.efficientnet_lite0.options]\ntop = 2\n'
    with (
        running(AZURE, start, tmp_path / "azure") as azure,
        running(OURS, start, tmp_path / "ours", sys.executable) as ours,
        running_host(triton.url.partition("//")[2], settings=settings) as host,
    ):
        statuses = set()
        for name, request in make().items():
            expected = essence(ask(azure, *request))
            assert essence(ask(ours, *request)) == expected, name
            body, media_type, path = (*request, "/score")[:3]
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            answer = host.post(path, sent, Content_Type=media_type, X_Request_Id="same")
            assert (answer.status, answer.json) == (expected[0], expected[2]), name
            statuses.add(answer.status)
        assert {200, 400} <= statuses


@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_a_generated_script_answers_many_at_once_on_threads_and_greenlets(triton, tmp_path, worker):
    start = generate(tmp_path, triton, "--model", "bidaf_onnx")
    options = f"--no-control-socket --threads 8 --worker-class {worker}"
    start.environment["GUNICORN_CMD_ARGS"] = options
    start.environment["WORKER_PRELOAD"] = str(worker == "gthread")
    with running(AZURE, start, tmp_path / "azure") as server, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(server, QUESTION, JSON), range(24)))
        assert f"Using worker: {worker}" in server.log.read_text()
    assert {(answer.status, json.loads(answer.body)["answer"]) for answer in answers} == {
        (200, "Clara Voss")
    }


def script(code, *flags, **environment):
    return Start(("--entry-script", "score.py", *flags), environment, {"score.py": code})


STEADY = """
import os, pathlib, sqlite3, threading, time

def init():
    global connection, thread
    connection, thread = sqlite3.connect(":memory:"), threading.get_ident()

def run(data):
    started = time.monotonic()
    if data.startswith("until "):
        gate = pathlib.Path(data.removeprefix("until "))
        gate.with_suffix(".waiting").touch()
        while not gate.exists():
            time.sleep(0.01)
    else:
        time.sleep(float(data))
    same = thread == threading.get_ident() and bool(connection.execute("select 1").fetchone())
    return {"same": same, "pid": os.getpid(), "from": started, "to": time.monotonic()}
"""


def test_a_worker_runs_one_request_at_a_time_on_the_thread_of_init(tmp_path):
    with (
        running(OURS, script(STEADY), tmp_path / "a", sys.executable) as server,
        ThreadPoolExecutor(4) as pool,
    ):
        asked = pool.map(lambda _: server.ask("POST", "/score", b"0.1"), range(8))
        replies = [json.loads(answer.body) for answer in asked]
    assert all(reply["same"] for reply in replies)
    spans = sorted((reply["from"], reply["to"]) for reply in replies)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


@pytest.mark.parametrize("sent", [b"", b"POST /score HTTP/1.1\r\nHost: x\r\n"])
def test_connections_that_ask_nothing_hold_up_nobody_for_long(tmp_path, sent):
    start = script(STEADY)
    with running(OURS, start, tmp_path / "a", sys.executable) as server, ExitStack() as silent:
        address = ("127.0.0.1", server.port)
        socks = [silent.enter_context(socket.create_connection(address)) for _ in range(3)]
        socks[0].sendall(sent)
        assert server.ask("GET", "/").body == b"Healthy"
        socks[1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with socks[1].makefile("rb") as reply:  # which ends the connection
            assert reply.read().endswith(b"Healthy")
        socks[2].close()
        assert json.loads(server.ask("POST", "/score", b"0").body)["same"]
    assert "Traceback" not in (tmp_path / "a.log").read_text()


@contextmanager
def computing(server, gate):
    """Have the script compute meanwhile, and yield what its caller will get."""
    with ThreadPoolExecutor(1) as pool:
        try:
            answer = pool.submit(server.ask, "POST", "/score", f"until {gate}".encode())
            wait_until(gate.with_suffix(".waiting").exists)
            yield answer
        finally:
            gate.touch()


def test_the_health_port_answers_while_the_script_computes(tmp_path):
    port = free_port()
    start = script(STEADY, "--health-port", str(port))
    with running(OURS, start, tmp_path / "a", sys.executable) as server:
        with computing(server, tmp_path / "gate") as scored:
            answer = server.ask("GET", "/?a=1", port=port)
            assert (answer.status, answer.body) == (200, b"Healthy")
            assert server.ask("HEAD", "/", port=port).body == b""
            assert server.ask("POST", "/", b"1", port=port).status == 501
            assert server.ask("GET", "/score", port=port).status == 404
            assert not scored.done()
        assert scored.result().status == 200


def test_what_runs_may_end_within_a_graceful_timeout_of_less_than_a_second(tmp_path):
    start = script(STEADY, TRIHOOK_GRACEFUL_TIMEOUT="0.9")
    with running(OURS, start, tmp_path / "a", sys.executable) as server:
        with computing(server, tmp_path / "gate") as scored:
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "Handling signal: term" in server.log.read_text())
        assert scored.result().status == 200


@pytest.mark.parametrize("workers", ["2", "4"])
@pytest.mark.parametrize("code", ["def init(): 1 / 0\ndef run(data): pass\n", "import nothing"])
def test_a_broken_script_ends_with_3_however_many_workers_try_it(tmp_path, workers, code):
    start = script(code, "--worker-count", workers)
    log = tmp_path / "a.log"
    assert exit_status(OURS, start, tmp_path / "a", sys.executable) == 3, log.read_text()
    assert "entry script" in log.read_text()


def test_a_preloaded_broken_script_ends_with_3(tmp_path):
    start = script("import nothing", "--worker-count", "2", WORKER_PRELOAD="true")
    assert exit_status(OURS, start, tmp_path / "a", sys.executable) == 3


def test_a_taken_health_port_is_named(tmp_path):
    with running(OURS, script(STEADY), tmp_path / "a", sys.executable) as other:
        start = script(STEADY, "--health-port", str(other.port))
        assert exit_status(OURS, start, tmp_path / "b", sys.executable) == 2
    assert f"port {other.port} of 127.0.0.1 is taken" in (tmp_path / "b.log").read_text()


def test_a_worker_that_is_killed_is_replaced(tmp_path):
    with running(OURS, script(STEADY), tmp_path / "a", sys.executable) as server:
        pid = json.loads(server.ask("POST", "/score", b"0").body)["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(server.is_up)
        other = json.loads(server.ask("POST", "/score", b"0").body)["pid"]
    assert other != pid


def test_a_worker_that_is_deaf_too_long_is_replaced_and_its_caller_told(tmp_path):
    start = script(STEADY, WORKER_TIMEOUT="1")
    with running(OURS, start, tmp_path / "a", sys.executable) as server:
        answer = server.ask("POST", "/score", b"60")
        assert answer.status == 500
        assert "unexpected error" in json.loads(answer.body)["message"]
        wait_until(server.is_up)


def test_a_request_under_way_is_answered_before_the_host_ends(tmp_path):
    server = launch(OURS, script(STEADY), tmp_path / "a", free_port(), sys.executable)
    try:
        wait_until(server.is_up)
        with computing(server, tmp_path / "gate") as scored:
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "Handling signal: term" in server.log.read_text())
        assert scored.result().status == 200
        assert server.process.wait(timeout=30) == 0
    finally:
        end(server)


TELLING = """
import os

def init():
    print("printed in init()")

def run(data):
    ours = ("TRIHOOK_", "AZUREML_", "AML_")
    return {name: value for name, value in os.environ.items() if name.startswith(ours)}
"""


def test_a_script_finds_what_the_command_line_says_and_its_prints_are_logged(tmp_path):
    start = script(
        TELLING,
        *("--triton-url", "t:1", "-p", "no:bidaf", "-p", "no:nltk", "--skip-broken-plugins"),
        *("--model-dir", "models"),
        AML_APP_ROOT=str(tmp_path),
    )
    with running(OURS, start, tmp_path / "a", sys.executable) as server:
        assert "printed in init()" in server.log.read_text()
        assert json.loads(server.ask("POST", "/score", b"").body) == {
            "TRIHOOK_TRITON_URL": "t:1",
            "TRIHOOK_BLOCK_PLUGINS": "bidaf,nltk",
            "TRIHOOK_SKIP_BROKEN_PLUGINS": "true",
            "AZUREML_MODEL_DIR": "models",
            "AZUREML_ENTRY_SCRIPT": str(tmp_path / "a" / "score.py"),
            "AML_APP_ROOT": str(tmp_path),
        }


def test_options_for_scripts_need_a_script(tmp_path):
    done = CliRunner().invoke(cli, ["serve", "--model-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "--model-dir needs --entry-script" in done.output


def test_keys_are_not_silently_left_unasked(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIHOOK_KEYS", "0123456789abcdef")
    done = CliRunner().invoke(cli, ["serve", "--entry-script", str(tmp_path / "score.py")])
    assert done.exit_code == 2
    assert "with an entry script nobody asks for them" in done.output


def test_azures_environment_is_made_once():
    stamp = Path(azure_python()).parents[1] / "installed"
    made = stamp.stat().st_mtime_ns
    azure_python.cache_clear()
    azure_python()
    assert stamp.stat().st_mtime_ns == made
