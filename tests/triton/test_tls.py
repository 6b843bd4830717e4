"""With TLS, too, a request keeps to its deadline and holds nobody up, in a process as it comes."""

import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gevent
import pytest
import trustme
from gevent import monkey
from trihook import DeadlineError, TritonUnavailableError
from trihook.deadline import Deadline
from trihook.triton.client import TritonClient


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(authority, monkeypatch, tmp_path):
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


class Server(ThreadingHTTPServer):
    """Answers requests two at a time, and never one that is alone."""

    daemon_threads = True

    def __init__(self, context):
        super().__init__(("127.0.0.1", 0), Handler)
        self.both = threading.Barrier(2, timeout=10)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://localhost:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        """Say nothing of callers that do not trust it."""

    def close(self):
        self.both.abort()
        self.shutdown()
        self.server_close()
        self.thread.join(10)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with suppress(threading.BrokenBarrierError):
            self.server.both.wait()
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *arguments):
        """Keep quiet."""


@pytest.fixture
def server(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = Server(context)
    yield server
    server.close()


def test_requests_are_under_way_side_by_side(server, trusted):
    assert not monkey.is_module_patched("ssl")
    client = TritonClient(server.url)
    asking = [gevent.spawn(client.request, "GET", "/v2/health/ready") for _ in range(2)]
    gevent.joinall(asking, timeout=10, raise_error=True)
    assert [each.value.status for each in asking] == [200, 200]
    client.close()


def test_a_deadline_ends_a_request_that_is_not_answered(server, trusted):
    client = TritonClient(server.url)
    with pytest.raises(DeadlineError):
        client.request("GET", "/v2/health/ready", deadline=Deadline.after(0.2))
    client.close()


def test_a_server_that_the_system_does_not_trust_is_asked_nothing(server):
    with pytest.raises(TritonUnavailableError, match="no secure connection"):
        TritonClient(server.url).request("GET", "/v2/health/ready")
