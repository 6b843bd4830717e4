"""Large tensors reach a real Triton by shared memory, and nobody notices but the clock."""

import json
import os
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx_models import add_model, identity_model
from servers import free_port, running_host, wait_until, workers_of
from trihook.local import LocalTriton

WIDTH = 40_000  # 160,000 bytes a tensor


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared") / "triton"
    folder.mkdir()
    add_model(folder, "wide", identity_model(np.float32, ("N", WIDTH)))
    return folder


@pytest.fixture(scope="module")
def triton(wide):
    with LocalTriton(wide, http_port=0) as triton:
        yield triton


def _regions(triton):
    with urllib.request.urlopen(f"{triton.url}/v2/systemsharedmemory/status") as answer:
        return {entry["name"] for entry in json.load(answer)}


def _worker(host):
    """Return the process id of the host's only worker."""
    [worker] = workers_of(host.process.pid)
    return worker


def _shared_by(worker, triton):
    return {name for name in _regions(triton) if f".{worker}." in name}


def _numbers(seed):
    return np.random.default_rng(seed).integers(0, 1000, WIDTH).astype(np.float32)


def _comes_back(host, seed):
    """Tell whether a tensor comes back as it was sent."""
    sent = _numbers(seed)
    answer = host.post("/score/wide", {"x": sent.tolist()})
    return answer.status == 200 and np.array_equal(answer.json["outputs"]["y"], sent)


def test_tensors_in_shared_memory_are_the_callers_own(triton):
    with running_host(triton.url, "--workers", "2") as host, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda seed: _comes_back(host, seed), range(60)))
        assert _regions(triton)


def test_it_can_be_turned_off(triton):
    before = _regions(triton)
    with running_host(triton.url, settings="share_memory = false\n") as host:
        assert all(_comes_back(host, seed) for seed in range(3))
        assert _regions(triton) <= before


def test_no_request_fails_when_triton_comes_back_without_the_regions(wide):
    port = free_port()
    with running_host(f"127.0.0.1:{port}", ready=False) as host:
        for _ in range(2):
            with LocalTriton(wide, http_port=port, exit_timeout=0) as triton:
                wait_until(host.is_ready, 20)
                assert all(_comes_back(host, seed) for seed in range(4))
                wait_until(lambda: _regions(triton))  # made in the background


def test_a_worker_that_ends_gives_up_what_it_shared(triton):
    with running_host(triton.url) as host:
        assert all(_comes_back(host, seed) for seed in range(3))
        worker = _worker(host)
        wait_until(lambda: _shared_by(worker, triton))  # made in the background
    assert not _shared_by(worker, triton)


def test_what_a_killed_worker_shared_is_given_up_by_the_next(triton):
    with running_host(triton.url) as host:
        assert all(_comes_back(host, seed) for seed in range(3))
        worker = _worker(host)
        mine = wait_until(lambda: _shared_by(worker, triton))
        os.kill(worker, signal.SIGKILL)
        wait_until(host.is_ready, 20)
        # not at once, for Triton may still read what the worker asked last
        wait_until(lambda: _comes_back(host, 0) and not mine & _regions(triton), 30)


def test_no_file_is_left(triton):
    with running_host(triton.url) as host:
        assert all(_comes_back(host, seed) for seed in range(3))
        worker = _worker(host)
        wait_until(lambda: _shared_by(worker, triton))
        wait_until(lambda: list(Path("/dev/shm").glob(f"trihook-tensors.{worker}.*")) == [])
