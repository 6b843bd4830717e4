"""Triton comes, goes, restarts and reloads; the host stays and follows."""

import os
import shutil
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from onnx_models import add_model, linear_model, row_sum_model
from servers import add_plugin, control, free_port, running_host, wait_until, workers_of
from trihook import HostUnreachableError
from trihook.client import ScoringClient
from trihook.local import LocalTriton

VECTOR = {"x": [1, 2, 3]}
TELLING = """
import pathlib, uuid
from trihook import hookimpl

@hookimpl(tryfirst=True)
def preprocess():
    pathlib.Path({folder!r}, uuid.uuid4().hex).touch()
"""
HANGING = """
import threading
from trihook import hookimpl
from trihook.host import hook_threads

hook_threads._STUCK = 1.0  # seconds, for the test

@hookimpl(tryfirst=True)
def preprocess(item):
    if item.data == "hang":
        threading.Event().wait()
    while item.data == "spin":
        pass
"""


NAMED = """
import os
from trihook import Reply, hookimpl

@hookimpl(tryfirst=True)
def postprocess():
    return Reply(os.getpid())
"""


@pytest.fixture
def vectors(tmp_path):
    folder = tmp_path / "triton"
    folder.mkdir()
    add_model(folder, "vector", linear_model(features=3))
    return folder


def test_readiness_turns_to_200_when_triton_comes_and_back_when_it_goes(vectors):
    port = free_port()
    with running_host(f"127.0.0.1:{port}", ready=False) as host:
        unready = host.request("GET", "/v2/health/ready")
        assert (unready.status, unready.json["ready"]) == (503, False)
        assert unready.json["reasons"] == ["Triton is not ready"]
        with LocalTriton(vectors, http_port=port):
            wait_until(host.is_ready, 10)
            assert host.post("/score/vector", VECTOR).status == 200
        wait_until(lambda: not host.is_ready(), 10)
        assert host.post("/score/vector", VECTOR).status == 503


def test_the_host_recovers_when_triton_was_stopped_and_started_again(vectors):
    port = free_port()
    with ExitStack() as stack:
        first = stack.enter_context(LocalTriton(vectors, http_port=port))
        host = stack.enter_context(running_host(f"127.0.0.1:{port}"))
        assert host.post("/score/vector", VECTOR).status == 200
        worker = host.process.pid
        first.stop()
        assert host.post("/score/vector", VECTOR).status == 503
        stack.enter_context(LocalTriton(vectors, http_port=port))
        wait_until(host.is_ready, 10)
        assert host.post("/score/vector", VECTOR).status == 200
        assert host.process.pid == worker
        assert host.log.count("Booting worker") == 1


def test_a_model_that_is_reloaded_with_other_outputs_is_scored_as_it_now_is(vectors):
    with (
        LocalTriton(
            vectors, http_port=0, model_control_mode="explicit", load_models=["*"], exit_timeout=0
        ) as triton,
        running_host(triton.url) as host,
    ):
        assert host.post("/score/vector", VECTOR).json == {"outputs": {"y": [8.0, 14.0]}}
        shutil.rmtree(vectors / "vector")
        add_model(vectors, "vector", row_sum_model())
        control(triton.url, "load", "vector")
        # the first answer that no longer fits makes the host read the model again
        answer = wait_until(lambda: _scored(host.post("/score/vector", VECTOR)), 15)
        assert answer.json == {"outputs": {"y": [6.0]}}


def test_a_new_version_is_served_without_a_restart_and_without_an_error(vectors):
    with (
        LocalTriton(
            vectors, http_port=0, model_control_mode="explicit", load_models=["*"], exit_timeout=0
        ) as triton,
        running_host(triton.url) as host,
    ):
        failed = []
        stop = threading.Event()

        def score():
            while not stop.is_set():
                answer = host.post("/score/vector", VECTOR)
                if answer.status != 200:
                    failed.append(answer.body)

        scoring = threading.Thread(target=score)
        scoring.start()
        try:
            add_model(vectors, "vector", linear_model(features=3), version=2)
            control(triton.url, "load", "vector")
            wait_until(
                lambda: host.post("/score/vector", VECTOR).headers["x-trihook-model"] == "vector/2"
            )
        finally:
            stop.set()
            scoring.join()
        assert failed == []


def test_a_new_model_is_found_when_it_is_asked_for(vectors):
    with (
        LocalTriton(
            vectors, http_port=0, model_control_mode="explicit", load_models=["*"], exit_timeout=0
        ) as triton,
        running_host(triton.url) as host,
    ):
        assert host.post("/score/second", VECTOR).status == 404
        add_model(vectors, "second", row_sum_model())
        control(triton.url, "load", "second")
        answer = wait_until(lambda: _scored(host.post("/score/second", VECTOR)), 10)
        assert answer.json == {"outputs": {"y": [6.0]}}


def test_a_request_under_way_is_answered_before_a_terminated_host_ends(triton, tmp_path):
    arrived = tmp_path / "arrived"
    arrived.mkdir()
    add_plugin(tmp_path, "trihook-telling", "telling", TELLING.format(folder=str(arrived)))
    with (
        running_host(triton.url, "--workers", "2", plugins=tmp_path) as host,
        ThreadPoolExecutor() as pool,
    ):
        slow = [pool.submit(host.post, "/score/moody", {"x": [2.0]}) for _ in range(3)]
        wait_until(lambda: len(list(arrived.iterdir())) == 3)  # Triton takes two seconds for each
        host.process.terminate()
        assert [answer.result().status for answer in slow] == [200, 200, 200]
        assert host.process.wait(timeout=30) == 0


def _scored(answer):
    return answer if answer.status == 200 else None


@pytest.mark.parametrize("deed", ["hang", "spin"])
def test_a_worker_whose_hooks_never_return_is_replaced_and_others_lose_nothing(
    triton, tmp_path, deed
):
    add_plugin(tmp_path, "trihook-hanging", "hanging", HANGING)
    with (
        running_host(triton.url, settings="timeout = 4\n", plugins=tmp_path) as host,
        ThreadPoolExecutor(4) as pool,
    ):
        [before] = workers_of(host.process.pid)
        answers = [*pool.map(lambda _: host.post("/score/vector", deed), range(4))]
        assert [answer.status for answer in answers] == [504] * 4
        assert {answer.json["plugin"] for answer in answers} <= {"hanging", ""}
        while workers_of(host.process.pid) == [before]:
            assert host.post("/score/vector", VECTOR).status == 200
        assert host.post("/score/vector", VECTOR).status == 200
        assert "hooks that do not return hold the threads of this worker" in host.log


def test_connections_that_stay_open_come_to_the_worker_that_takes_the_place_of_another(
    triton, tmp_path
):
    add_plugin(tmp_path, "trihook-named", "named", NAMED)
    with running_host(triton.url, "--workers", "2", plugins=tmp_path) as host, ExitStack() as stack:
        clients = [
            stack.enter_context(ScoringClient(f"http://127.0.0.1:{host.port}/score/vector"))
            for _ in range(8)
        ]
        wait_until(lambda: len(_answering(clients)) == 2)
        os.kill(workers_of(host.process.pid)[0], signal.SIGKILL)
        _answering(clients)  # by the other one, before there are two again
        wait_until(lambda: len(workers_of(host.process.pid)) == 2 and host.is_ready())
        shares = wait_until(lambda: len(found := _answering(clients)) == 2 and found)
        assert set(shares) == set(workers_of(host.process.pid))


def _answering(clients):
    """Return how many of the clients' connections each worker has, by its process id."""
    return Counter(map(_ask, clients))


def _ask(client):
    """Return which worker answers, on another connection where that of a killed one is lost."""
    with suppress(HostUnreachableError):
        return client.score_json(VECTOR).value
    return client.score_json(VECTOR).value
