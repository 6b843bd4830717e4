"""Systems of several processes: ready once each of them listens, whole while each runs."""

import signal
import socket
from pathlib import Path

import pytest
from trihook_bench import compared, rounds, systems
from trihook_bench.load import Load
from trihook_bench.peers import Peer
from trihook_bench.ports import count_listeners
from trihook_bench.results import Cell
from trihook_bench.systems import Backend, StartError, running_system
from trihook_bench.works import WORKS

GOOD = Load(100, 1.0, 100.0, 1.0, 2.0, 3.0, 4.0)
BACKEND = Backend(1, 2, Path(), -1)
SERVER = """
import socket, socketserver, sys, time
from http.server import BaseHTTPRequestHandler

class Server(socketserver.TCPServer):
    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

time.sleep(float(sys.argv[2]))
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
FIRST = ("{python}", "-c", SERVER, "{port}", "0")
LATE = ("{python}", "-c", SERVER, "{port}", "0.5")
ENDS = ("{python}", "-c", "")


@pytest.fixture(autouse=True)
def _logs(monkeypatch, tmp_path):
    monkeypatch.setattr(systems, "LOGS", tmp_path)


def _peer(folder, *commands):
    return Peer(
        name="a", folder=folder, title="A", package="", role="ceiling", settings="",
        works=("vector",), commands=commands, environment={}, targets={}, ready="/", local=(),
        pauses=False,
    )  # fmt: skip


def _listening(port=0):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def test_each_socket_that_listens_at_a_port_counts():
    with _listening() as first:
        port = first.getsockname()[1]
        assert count_listeners(port) == 1
        with _listening(port), socket.create_connection(("127.0.0.1", port)):
            assert count_listeners(port) == 2
        assert count_listeners(port) == 1
    assert count_listeners(port) == 0


def test_a_system_is_ready_once_each_of_its_processes_listens(tmp_path):
    with running_system(_peer(tmp_path, FIRST, LATE), "vector", BACKEND) as system:
        assert count_listeners(system.port) == 2
        assert system.is_whole


def test_a_system_does_not_start_if_one_of_its_processes_ends(tmp_path):
    peer = _peer(tmp_path, FIRST, ENDS)
    with pytest.raises(StartError, match="it ended"), running_system(peer, "vector", BACKEND):
        pass


def test_what_a_system_answers_does_not_count_once_a_process_of_it_has_ended(monkeypatch, tmp_path):
    with running_system(_peer(tmp_path, FIRST, FIRST), "vector", BACKEND) as system:

        def run_load(*_):
            if len(samples) == 1:
                system.commands[1].send_signal(signal.SIGKILL)
                system.commands[1].wait()
            return GOOD

        monkeypatch.setattr(rounds, "run_load", run_load)
        plans, samples = {"a": tmp_path}, []
        work = WORKS["vector"]
        for sample in rounds._rounds(work, {"a": system}, plans, BACKEND, 3, 1, (8,)):
            samples.append(sample)  # noqa: PERF402 - what becomes of one depends on how many
        assert not system.is_whole
    loads = tuple(sample.load for sample in samples)
    assert [load.is_valid for load in loads] == [True, False, False]
    cell = Cell("vector", 8, {"a": loads}, {"a": "ceiling"})
    assert not cell.is_valid("a")
    assert "a process of it has ended" in rounds._describe(samples[1])
    record = {"systems": {"a": {"title": "A"}}, "absent": {}, "not_installed": []}
    [said] = compared._warn([cell], record)
    assert said.startswith("> **INVALID: vector@8, A**: 0 wrong")
    assert said.endswith("of 200 replies; a process of it had ended")
