"""The client speaks HTTP as any scoring URI expects, and says what went wrong."""

import http.server
import json
import socket
import subprocess
import sys
import threading

import pytest
from trihook_bidaf import client

REPLY = {"answer": "1872", "start": 9, "end": 13, "words": ["1872"]}


@pytest.fixture
def server():
    """Answer every POST with ``status`` and ``reply``, and keep what was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.asked.append((self.path, dict(self.headers), json.loads(body)))
            reply = self.server.reply
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.status, server.reply = [], 200, json.dumps(REPLY).encode()
        server.uri = f"http://127.0.0.1:{server.server_port}/score"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(*arguments, text=""):
    command = [sys.executable, "-m", "trihook_bidaf.client", *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, input=text, timeout=60
    )


def test_context_and_query_are_posted_as_json(server):
    assert client.ask(server.uri, "Built in 1872 — é.", "When?") == REPLY
    ((path, headers, body),) = server.asked
    assert path == "/score"
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers
    assert body == {"context": "Built in 1872 — é.", "query": "When?"}


def test_a_key_goes_along_as_bearer_token(server):
    client.ask(server.uri, "a", "b", key="secret")
    assert server.asked[0][1]["Authorization"] == "Bearer secret"


def test_only_http_is_spoken():
    with pytest.raises(ValueError, match="expected an http or https URI, got 'file:///etc/passwd'"):
        client.ask("file:///etc/passwd", "a", "b")


def test_the_command_prints_answer_and_offsets(server):
    done = run(server.uri, "-", "When?", text="Built in 1872.")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1872  [9:13]\n", "")
    assert server.asked[0][2]["context"] == "Built in 1872."


def test_a_text_in_another_encoding_is_refused():
    command = [sys.executable, "-m", "trihook_bidaf.client", "http://localhost/", "-", "When?"]
    text = "Straße".encode("cp1252")
    done = subprocess.run(command, check=False, capture_output=True, input=text)
    assert done.returncode == 2
    assert done.stderr.endswith(b"error: the context is not UTF-8: see its byte 4\n")


def test_an_error_of_the_server_is_shown(server):
    server.status, server.reply = 400, b'{"message": "no words"}'
    done = run(server.uri, "a", "b")
    assert done.returncode == 1
    assert done.stderr == f'{server.uri} answered 400: {{"message": "no words"}}\n'


def test_a_server_that_is_not_there_is_reported():
    done = run("http://127.0.0.1:1/score", "a", "b")
    assert done.returncode == 1
    assert done.stderr.startswith("http://127.0.0.1:1/score cannot be reached: ")


def test_what_a_server_says_of_an_error_is_shown_in_one_line_and_cut_between_characters(server):
    server.status, server.reply = 502, ("<html>\n <b>" + "é" * 5_000).encode()
    done = run(server.uri, "a", "b")
    assert done.returncode == 1
    assert done.stderr == f"{server.uri} answered 502: <html> <b>{'é' * 989}\n"


def test_an_error_that_says_nothing_has_its_status(server):
    server.status, server.reply = 500, b""
    done = run(server.uri, "a", "b")
    said = f"{server.uri} answered 500: Internal Server Error\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("reply", [b"<html>", b"\xff\xff", b"[1]", b'{"outputs": {}}'])
def test_an_answer_to_something_else_is_reported(server, reply):
    server.reply = reply
    done = run(server.uri, "a", "b")
    said = f"{server.uri} answered with something else than an answer to a question\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_a_uri_without_scheme_is_reported():
    done = run("localhost:5001/score", "a", "b")
    assert done.returncode == 1
    assert done.stderr == (
        "localhost:5001/score cannot be asked: "
        "expected an http or https URI, got 'localhost:5001/score'\n"
    )


def test_a_server_that_does_not_answer_in_time_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/score"
        done = run(uri, "a", "b", "--timeout", "0.2")
    assert (done.returncode, done.stderr) == (1, f"{uri} did not answer in time\n")


def test_a_server_that_hangs_up_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}/score"

        def hang_up():
            connection, _ = server.accept()
            connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)  # nobody may come
        thread.start()
        done = run(uri, "a", "b")
        thread.join()
    assert done.returncode == 1
    assert done.stderr.startswith(f"{uri} cannot be ")
    assert done.stderr.count("\n") == 1
