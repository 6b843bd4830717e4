"""The parts are put together from the settings, and say what is not ready."""

from types import SimpleNamespace

import pytest
from trihook import PluginError
from trihook.config import Settings
from trihook.defaults import Defaults
from trihook.plugins import load_plugins
from trihook.service import build_service
from trihook.testing import FakeTriton, InlineRuntime, make_model, make_request

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
