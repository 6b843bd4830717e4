"""Any worker tells Prometheus of all of them, also of those that are gone."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from scraped import Samples
from servers import add_plugin, running_host, wait_until, workers_of

COUNTING = """
from prometheus_client import Counter
from trihook import hookimpl

SEEN = Counter("author_items", "What a plugin counts by itself.")

@hookimpl
def preprocess():
    SEEN.inc()
"""
SETTINGS = "workers = 2\nmetrics = true\n"
SLOW = {"x": [3]}  # seconds that the model takes


@pytest.fixture
def host(triton, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    add_plugin(plugins, "trihook-author", "author", COUNTING)
    with running_host(triton.url, settings=SETTINGS, plugins=plugins) as host:
        yield host
    assert not list(tmp_path.glob("trihook-metrics-*")), "the counts are left behind"


def _read(host):
    answer = host.request("GET", "/metrics")
    assert answer.status == 200
    return Samples(answer.body.decode())


def test_each_worker_tells_of_all_requests(host):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: host.post("/score/vector", [n, 2, 3]), range(40)))
    assert [answer.status for answer in answers] == [200] * 40
    for _ in range(6):  # a connection each, which goes to either worker
        samples = _read(host)
        assert samples.of("requests_total", model="vector", status="200") == 40
        assert samples.of("items_total", model="vector") == 40
        assert samples.of("request_duration_seconds_count", model="vector") == 40
        assert samples["author_items_total", frozenset()] == 40


def test_what_a_killed_worker_had_counted_stays_and_what_it_had_begun_does_not(host):
    assert [host.post("/score/vector", [n, 2, 3]).status for n in range(20)] == [200] * 20
    before = workers_of(host.process.pid)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            pool.submit(_post_in_vain, host)
        wait_until(lambda: _read(host).of("requests_in_progress") == 2)
        for worker in before:
            os.kill(worker, signal.SIGKILL)
    wait_until(lambda: set(workers_of(host.process.pid)).isdisjoint(before) and host.is_ready())
    samples = _read(host)
    assert samples.of("requests_in_progress") == 0
    assert samples.of("requests_total", model="vector", status="200") == 20


def _post_in_vain(host):
    with suppress(OSError):
        host.post("/score/moody", SLOW)
