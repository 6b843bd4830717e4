"""Prometheus is told what becomes of requests, in labels that no caller can make up."""

import sys
from types import SimpleNamespace

import pytest
from scraped import Samples
from trihook import ConfigError, DeadlineError, ModelRef, PayloadError, hookimpl
from trihook.config import Settings
from trihook.host.app import create_app
from trihook.host.metrics import Metrics, check_metrics
from trihook.host.scoring import Scorer
from trihook.host.server import _Server
from trihook.testing import Harness, make_model
from trihook.triton.batching import Batcher

ONE = make_model("one", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"], max_batch_size=8)
TWO = make_model("two", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])


class Plugin:
    @hookimpl
    def preprocess(self, item):
        if item.data == "refuse":
            raise PayloadError("not this one")
        if item.data == "late":
            raise DeadlineError("too late")
        return {"x": [float(item.data)]}


def _infer(model, inputs):
    return {"y": inputs["x"]}


def _client(*models, plugin=Plugin, **settings):
    harness = Harness(
        plugin,
        models=models or (ONE, TWO),
        infer=_infer,
        settings=Settings.model_validate({"metrics": True, **settings}),
    )
    return create_app(harness.service).test_client()


def _read(client):
    return Samples(client.get("/metrics").text)


def test_nothing_is_told_unless_that_is_set():
    client = _client(metrics=False)
    assert client.get("/metrics").status_code == 404


def test_requests_are_counted_by_model_and_status():
    client = _client()
    for model in ("one", "one", "two"):
        client.post(f"/score/{model}", json="1")
    client.post("/score/one", json="refuse")
    samples = _read(client)
    assert samples.of("requests_total", model="one", status="200") == 2
    assert samples.of("requests_total", model="one", status="400") == 1
    assert samples.of("requests_total", model="two", status="200") == 1
    assert samples.of("request_duration_seconds_count", model="one") == 3
    assert samples.of("request_duration_seconds_bucket", model="one", le="+Inf") == 3


def test_items_and_their_errors_are_counted_one_by_one():
    client = _client()
    answer = client.post("/score/one", json={"instances": ["1", "refuse", "late", "refuse"]})
    assert answer.status_code == 200
    samples = _read(client)
    assert samples.of("items_total", model="one") == 4
    blamed = {
        "model": "one",
        "stage": "preprocess",
        "plugin": answer.json["predictions"][1]["error"]["plugin"],
    }
    assert samples.of("errors_total", code="bad_payload", **blamed) == 2
    assert samples.of("errors_total", code="deadline_exceeded", **blamed) == 1


def test_the_time_of_each_stage_is_told():
    client = _client()
    client.post("/score/one", json={"instances": ["1", "2"]})
    samples = _read(client)
    for stage in ("select_model", "preprocess", "infer", "postprocess"):
        assert samples.of("stage_duration_seconds_count", model="one", stage=stage) == 1


def test_names_that_callers_make_up_are_no_labels():
    client = _client()
    for number in range(3):
        assert client.post(f"/score/made-up-{number}", json="1").status_code == 404
    samples = _read(client)
    assert samples.of("requests_total", model="", status="404") == 3
    assert {labels["model"] for labels in samples.labels_of("errors_total")} == {""}


@pytest.mark.parametrize(
    ("path", "settings", "models", "label"),
    [
        ("/score/one", {}, (ONE, TWO), "one"),
        ("/score?model=two", {}, (ONE, TWO), "two"),
        ("/score", {}, (ONE,), "one"),
        ("/score", {"default_model": "two"}, (ONE, TWO), "two"),
        ("/score", {}, (ONE, TWO), ""),
    ],
)
def test_a_request_that_failed_as_a_whole_is_the_model_s_it_is_for(path, settings, models, label):
    client = _client(*models, **settings)
    client.post("/score/one", json="1")  # so that the models are known
    assert client.post(path, data=b"{", content_type="application/json").status_code == 400
    samples = _read(client)
    assert samples.of("requests_total", model=label, status="400") == 1
    of_body = {"stage": "request", "code": "bad_payload", "plugin": ""}
    assert samples.of("errors_total", model=label, **of_body) == 1


def test_what_was_known_of_a_request_that_failed_as_a_whole_is_counted(monkeypatch):
    def fail(*_, **__):
        raise DeadlineError("too late")

    class Choosing(Plugin):
        @hookimpl
        def select_model(self):
            return ModelRef("two")

    client = _client(plugin=Choosing)
    monkeypatch.setattr(Batcher, "submit", fail)
    answer = client.post("/score", json={"instances": ["1", "2", "refuse"]})
    assert answer.status_code == 504
    samples = _read(client)
    assert samples.of("requests_total", model="two", status="504") == 1
    assert samples.of("items_total", model="two") == 3
    for stage in ("select_model", "preprocess", "infer"):
        assert samples.of("stage_duration_seconds_count", model="two", stage=stage) == 1
    late = {"stage": "infer", "code": "deadline_exceeded", "plugin": ""}
    assert samples.of("errors_total", model="two", **late) == 1


def test_a_request_that_fails_in_the_host_itself_is_500(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    client = _client()
    monkeypatch.setattr(Scorer, "_read_request", fail)
    assert client.post("/score/one", json="1").status_code == 500
    samples = _read(client)
    assert samples.of("requests_total", model="", status="500") == 1
    assert samples.of("requests_in_progress") == 0


def test_what_is_under_way_is_told():
    metrics = Metrics()
    with metrics.measure():
        assert b"trihook_requests_in_progress 1.0" in metrics.render()[0]
    assert b"trihook_requests_in_progress 0.0" in metrics.render()[0]


def test_two_hosts_in_one_process_count_by_themselves():
    one, other = _client(), _client()
    one.post("/score/one", json="1")
    assert _read(one).of("requests_total", model="one", status="200") == 1
    assert _read(other).of("requests_total", model="one", status="200") is None


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version="),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version="),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept, content_type):
    answer = _client().get("/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith(content_type)


def test_without_metrics_a_worker_may_end_where_there_is_no_prometheus_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setitem(sys.modules, "prometheus_client.multiprocess", None)
    monkeypatch.setenv(
        "PROMETHEUS_MULTIPROC_DIR", "/nowhere"
    )  # as images for other programs set it
    freed = []
    worker = SimpleNamespace(place=SimpleNamespace(free=lambda: freed.append(1)), pid=1)
    _Server(Settings()).cfg.child_exit(None, worker)
    assert freed == [1]


def test_metrics_without_prometheus_client_are_a_wrong_setting(monkeypatch):
    check_metrics()
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match=r"pip install 'trihook\[metrics\]'"):
        check_metrics()
