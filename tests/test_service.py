"""The parts are put together from the settings, and say what is not ready."""

from dataclasses import replace
from types import SimpleNamespace

import gevent
import pytest
from trihook import PluginError
from trihook import service as service_module
from trihook.config import Settings
from trihook.defaults import Defaults
from trihook.plugins import load_plugins
from trihook.service import build_service, choose_limits
from trihook.testing import FakeTriton, InlineRuntime, make_model, make_request
from trihook.triton import busy_polling
from trihook.triton.lanes import Limits

MODEL = make_model("m", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
BROKEN = SimpleNamespace(name="broken", dist=None, load=lambda: None)


def _build(*points, triton=None, **settings):
    return build_service(
        Settings.model_validate(settings),
        InlineRuntime(),
        load_plugins(Defaults(), entry_points=points),
        triton or FakeTriton([MODEL], lambda model, inputs: {"y": inputs["x"]}),
    )


def test_a_broken_plugin_stops_it():
    with pytest.raises(PluginError, match="plugin 'broken' of distribution"):
        _build(BROKEN)


def test_a_broken_plugin_is_left_out_if_the_settings_say_so():
    service = _build(BROKEN, skip_broken_plugins=True)
    assert [plugin.name for plugin in service.plugins.problems] == ["broken"]
    assert service.pipeline.score(make_request([1.0])).scored[0].error is None


def test_nothing_is_asked_of_triton_before_the_first_request():
    triton = FakeTriton([MODEL], lambda model, inputs: {})
    triton.reachable = False
    assert _build(triton=triton).catalog.models == {}


def test_options_of_the_settings_reach_the_models():
    service = _build(options={"a": 1}, models={"m": {"options": {"b": 2}}})
    assert service.unready() == ()
    assert service.catalog.models["m"].options == {"a": 1, "b": 2}


def test_all_that_is_not_ready_is_told():
    service = _build(default_model="x", models={"y": {}, "m": {}})
    assert service.unready() == ("model 'x' is not ready", "model 'y' is not ready")


def test_a_triton_that_goes_down_between_two_questions_is_told():
    class Failing(FakeTriton):
        def is_ready(self):
            return True

    triton = Failing([MODEL], lambda model, inputs: {})
    triton.reachable = False
    assert _build(triton=triton).unready() == ("Triton cannot be reached",)


def test_a_client_is_made_from_the_settings():
    service = build_service(
        Settings.model_validate({"triton_url": "triton.example:9000"}),
        InlineRuntime(),
        load_plugins(Defaults(), entry_points=[]),
    )
    assert service.client.url == "http://triton.example:9000"
    service.close()


def test_the_client_has_the_connections_and_the_patience_of_the_settings(monkeypatch):
    given = {}

    def make(url, **options):
        given[url] = options
        return FakeTriton([MODEL], lambda model, inputs: {"y": inputs["x"]})

    monkeypatch.setattr(service_module, "TritonClient", make)
    for timeout in (0, 2, 600):
        settings = {"triton_url": f"t:{timeout + 1}", "triton_connections": 3, "timeout": timeout}
        build_service(
            Settings.model_validate({**settings, "share_memory": False}),
            InlineRuntime(),
            load_plugins(Defaults(), entry_points=[]),
        )
    assert given == {
        f"t:{timeout + 1}": {"connections": 3, "timeout": patience, "share_memory": False}
        for timeout, patience in [(0, 5.0), (2, 2.0), (600, 5.0)]
    }


def _ask(service):
    """Return the model that scored; what it left to read in the background is read."""
    outcome = service.pipeline.score(make_request([1.0]))
    assert outcome.scored[0].error is None
    gevent.sleep(0.01)
    return outcome.model


@pytest.mark.parametrize(("interval", "instances"), [(1e-9, 2), (1e9, 1)])
def test_metadata_are_as_old_as_the_settings_allow(interval, instances):
    triton = FakeTriton([MODEL], lambda model, inputs: {"y": inputs["x"]})
    service = _build(triton=triton, refresh_interval=interval)
    assert _ask(service).instances == 1
    triton.models["m"] = replace(MODEL, instances=2)
    _ask(service)
    assert _ask(service).instances == instances


def test_a_reply_of_another_version_leads_to_a_reading():
    triton = FakeTriton([MODEL], lambda model, inputs: {"y": inputs["x"]})
    service = _build(triton=triton, refresh_interval=1e9)
    assert _ask(service).version == "1"
    triton.models["m"] = replace(MODEL, version="2", versions=("2",))
    assert [_ask(service).version for _ in range(3)] == ["1", "1", "2"]


# how a model is fed


def _limits(model, **settings):
    return choose_limits(model, Settings.model_validate(settings))


@pytest.mark.parametrize(
    ("allowed", "wanted", "rows"),
    [(8, None, 8), (8, 2, 2), (8, 8, 8), (8, 100, 8), (1, None, 1), (0, None, 0), (0, 4, 0)],
)
def test_an_inference_has_as_many_rows_as_the_model_allows_and_the_settings_want(
    allowed, wanted, rows
):
    model = replace(MODEL, max_batch_size=allowed)
    own = {} if wanted is None else {"max_batch": wanted}
    assert _limits(model, models={"m": own}).rows == rows


@pytest.mark.parametrize(
    ("instances", "workers", "concurrency"),
    [(1, 1, 1), (4, 1, 4), (4, 2, 2), (4, 3, 2), (1, 4, 1), (5, 2, 3)],
)
def test_the_workers_together_keep_all_instances_busy(instances, workers, concurrency):
    model = replace(MODEL, max_batch_size=8, instances=instances)
    assert _limits(model, workers=workers).concurrency == concurrency


def test_where_nothing_goes_together_inferences_wait_in_triton():
    model = replace(MODEL, max_batch_size=0, instances=1)
    limits = _limits(model, triton_connections=7, workers=2)
    assert (limits.concurrency, limits.ahead) == (6, 0)


@pytest.mark.parametrize("allowed", [0, 8])
def test_the_settings_win_over_what_is_chosen(allowed):
    model = replace(MODEL, max_batch_size=allowed, instances=4)
    own = {"concurrency": 3, "max_delay": 0.5}
    limits = _limits(model, models={"m": own, "other": {"concurrency": 9}}, workers=2)
    assert (limits.concurrency, limits.ahead, limits.max_delay) == (3, 0, 0.5)


def test_the_settings_of_one_model_are_nothing_to_another():
    model = replace(MODEL, max_batch_size=8)
    assert _limits(model, models={"other": {"max_batch": 2, "max_delay": 1}}) == Limits(
        8, 1, 0.0, ahead=1
    )


def test_the_limits_of_the_settings_reach_the_batches():
    triton = FakeTriton(
        [replace(MODEL, max_batch_size=8)], lambda model, inputs: {"y": inputs["x"]}
    )
    service = _build(triton=triton, models={"m": {"max_batch": 2}})
    outcome = service.pipeline.score(make_request(*[[float(n)] for n in range(5)]))
    assert [one.outputs["y"].tolist() for one in outcome.scored] == [[n] for n in range(5)]
    assert sorted(len(inputs["x"]) for inputs in triton.inferences) == [1, 2, 2]


@pytest.mark.parametrize(("share", "sizes"), [(True, [3]), (False, [1, 1, 1])])
def test_whether_requests_share_is_up_to_the_settings(share, sizes):
    triton = FakeTriton(
        [replace(MODEL, max_batch_size=8)], lambda model, inputs: {"y": inputs["x"]}
    )
    service = _build(triton=triton, share_batches=share)
    service.unready()
    calls = [gevent.spawn(service.pipeline.score, make_request([n])) for n in (1.0, 2.0, 3.0)]
    gevent.joinall(calls, timeout=5, raise_error=True)
    assert [call.value.scored[0].outputs["y"].tolist() for call in calls] == [[1.0], [2.0], [3.0]]
    assert [len(inputs["x"]) for inputs in triton.inferences] == sizes


@pytest.mark.parametrize("busy_poll", [0.0, 60.0])
def test_whether_the_hub_stays_awake_is_up_to_who_builds_it(monkeypatch, busy_poll):
    looks = []
    monkeypatch.setattr(busy_polling, "_give_way", lambda: looks.append(None))

    def wait(_model, inputs):
        for _ in range(5):  # once the hub may find that it is over already
            gevent.sleep(0.001)
        return {"y": inputs["x"]}

    service = build_service(
        Settings(),
        InlineRuntime(),
        load_plugins(Defaults(), entry_points=[]),
        FakeTriton([MODEL], wait),
        busy_poll=busy_poll,
    )
    assert service.pipeline.score(make_request([1.0])).scored[0].error is None
    assert bool(looks) is bool(busy_poll)


def test_how_many_may_wait_is_up_to_the_settings():
    service = _build(max_queue=2)
    lane = service.batcher._lane(MODEL, "")
    lane.waiting = 1
    assert not service.batcher.is_full("m")
    lane.waiting = 2
    assert service.batcher.is_full("m")
