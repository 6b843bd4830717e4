import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from trihook_densenet import client

BEST = [{"label": "tabby", "index": 281, "score": 0.625}, {"label": "x", "index": 1, "score": 0.1}]


class Host(BaseHTTPRequestHandler):
    """Answer as the server's ``answer`` says, and keep what was asked."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Content-Type"], body))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer) + self.server.missing))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def host():
    with HTTPServer(("127.0.0.1", 0), Host) as server:
        server.asked, server.missing = [], 0
        server.answer = (200, json.dumps({**BEST[0], "top": BEST}).encode())
        server.uri = f"http://127.0.0.1:{server.server_port}/score/any"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "cat.jpg"
    path.write_bytes(b"\xff\xd8\xff the picture")
    return path


def test_a_picture_is_posted_as_it_is_with_its_media_type(host, picture):
    assert client.classify(host.uri, picture, top=2) == BEST
    assert host.asked == [("/score/any?top=2", "image/jpeg", picture.read_bytes())]


def test_what_the_uri_asks_already_is_asked_too(host, picture):
    client.classify(f"{host.uri}?api=2", picture, top=2)
    assert host.asked[0][0] == "/score/any?api=2&top=2"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.png", "image/png"), ("a.webp", "image/webp"), ("a", "application/octet-stream")],
)
def test_the_media_type_follows_the_files_name(host, tmp_path, name, media_type):
    (tmp_path / name).write_bytes(b"x")
    client.classify(host.uri, tmp_path / name)
    assert host.asked[0][1] == media_type


def test_every_label_is_shown_with_its_score(host, picture, capsys):
    assert client.main([host.uri, str(picture), str(picture), "--top", "2"]) == 0
    assert capsys.readouterr().out == "cat.jpg: tabby 0.62\ncat.jpg: x 0.10\n" * 2


def test_the_hosts_own_words_are_shown_and_the_next_picture_is_asked_about(host, picture, capsys):
    host.answer = (413, json.dumps({"message": "the picture is too large"}).encode())
    assert client.main([host.uri, str(picture), str(picture)]) == 1
    assert capsys.readouterr().err == "cat.jpg: 413, the picture is too large\n" * 2


@pytest.mark.parametrize("answer", [(502, b"<html>"), (200, b"<html>"), (200, b"{}"), (500, b"")])
def test_an_answer_that_cannot_be_read_is_no_crash(host, picture, capsys, answer):
    host.answer = answer
    assert client.main([host.uri, str(picture)]) == 1
    assert capsys.readouterr().err.startswith("cat.jpg: ")


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("answer", [b"[1]", b"null", b'{"top": 1}', b'{"top": [null]}'])
def test_json_of_another_shape_is_no_crash(host, picture, capsys, status, answer):
    host.answer = (status, answer)
    assert client.main([host.uri, str(picture)]) == 1
    said = "the host answered with something else than classes"
    expected = said if status == 200 else "HTTP Error 500: Internal Server Error"
    assert capsys.readouterr().err == f"cat.jpg: {expected}\n"


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_breaks_off_is_no_crash(host, picture, capsys, status):
    host.answer, host.missing = (status, b'{"message": "'), 1
    assert client.main([host.uri, str(picture), str(picture)]) == 1
    assert capsys.readouterr().err.count("cat.jpg: ") == 2


def test_an_address_that_is_none_is_no_crash(picture, capsys):
    assert client.main(["http://localhost:port/score", str(picture)]) == 1
    assert capsys.readouterr().err == "cat.jpg: nonnumeric port: 'port'\n"


def test_a_host_that_is_not_there_and_a_missing_file_are_reported(picture, tmp_path, capsys):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}/score"
        assert client.main([uri, str(picture), str(tmp_path / "none.jpg")]) == 1
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "cat.jpg", "none.jpg",
    ]  # fmt: skip
