"""A request goes through hooks and Triton; what fails is told, and fails as little as may be."""

import itertools
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from trihook import (
    DeadlineError,
    HookError,
    HookResultError,
    Inference,
    Item,
    ModelRef,
    OverloadedError,
    PayloadError,
    Reply,
    TritonError,
    TritonUnavailableError,
    UnknownModelError,
    UnsupportedMediaTypeError,
    hookimpl,
    pipeline,
)
from trihook.config import Settings
from trihook.deadline import Deadline
from trihook.runtime import ThreadRuntime
from trihook.testing import Harness, InlineRuntime, make_model, make_request
from trihook.triton.catalog import Catalog

MODEL = make_model("double", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"], max_batch_size=8)
OTHER = replace(MODEL, name="other")


def double(model, inputs):
    if (inputs["x"] < 0).any():
        raise ValueError("negative")
    return {"y": inputs["x"] * 2}


def _harness(*plugins, models=(MODEL,), infer=double, **options):
    return Harness(*plugins, models=models, infer=infer, **options)


def _plugin(**hooks):
    """Return a plugin of functions, each a hook's implementation."""
    members = {name: staticmethod(hookimpl(function)) for name, function in hooks.items()}
    return type("Plugin", (), members)


def _errors(outcome):
    return [one.error and type(one.error) for one in outcome.scored]


# what goes well


def test_a_request_goes_all_the_way():
    outcome = _harness().score(make_request([1.5]))
    [one] = outcome.scored
    assert (outcome.model, outcome.ref.name) == (MODEL, "double")
    assert (outcome.selected_by, one.preprocessed_by, one.postprocessed_by) == ("core",) * 3
    assert one.body == b'{"outputs":{"y":[3.0]}}'
    assert one.inputs.tensors["x"].tolist() == [[1.5]]
    assert one.outputs["y"].tolist() == [3.0]
    assert one.error is None


def test_every_stage_is_timed():
    outcome = _harness().score(make_request([1.0]))
    assert list(outcome.seconds) == ["select_model", "preprocess", "infer", "postprocess"]
    assert all(seconds >= 0 for seconds in outcome.seconds.values())


def test_items_keep_their_order_and_their_state():
    plugin = _plugin(
        preprocess=lambda item: item.state.update(given=item.data) or {"x": [item.data]},
        postprocess=lambda outputs, item: [item.state["given"], float(outputs["y"][0])],
    )
    outcome = _harness(plugin).score(make_request(*map(float, range(20))))
    assert [one.body for one in outcome.scored] == [
        f"[{n}.0,{2 * n}.0]".encode() for n in range(20)
    ]


def test_a_request_without_items_has_no_replies():
    outcome = _harness().score(make_request())
    assert outcome.scored == ()
    assert "infer" not in outcome.seconds


def test_hooks_get_their_arguments():
    seen = {}
    plugin = _plugin(
        select_model=lambda request, models: seen.update(models=models, request=request),
        preprocess=lambda item, model, request: seen.update(pre=(item, model, request)),
        postprocess=lambda outputs, item, model, request: seen.update(
            post=(dict(outputs), item, model, request)
        ),
    )
    request = make_request([1.0])
    _harness(plugin).score(request)
    [item] = request.items
    assert seen["request"] is request
    assert dict(seen["models"]) == {"double": MODEL}
    assert seen["pre"] == (item, MODEL, request)
    assert seen["post"] == ({"y": np.float32([2])}, item, MODEL, request)


# the model


def test_the_model_that_the_request_names_is_taken():
    harness = _harness(models=[MODEL, OTHER])
    assert harness.score(make_request([1.0], model="other")).model == OTHER


def test_a_plugin_may_choose_the_model():
    plugin = _plugin(select_model=lambda: ModelRef("other", reason="it is new"))
    outcome = _harness(plugin, models=[MODEL, OTHER]).score(make_request([1.0]))
    assert (outcome.model, outcome.selected_by) == (OTHER, "Plugin")
    assert outcome.ref.reason == "it is new"


def test_the_default_model_of_the_settings_is_taken():
    settings = Settings.model_validate({"default_model": "other"})
    harness = _harness(models=[MODEL, OTHER], settings=settings)
    assert harness.score(make_request([1.0])).model == OTHER


def test_without_a_choice_the_models_are_listed():
    with pytest.raises(UnknownModelError, match="loaded are: 'double', 'other'") as caught:
        _harness(models=[MODEL, OTHER]).score(make_request([1.0]))
    assert caught.value.stage == "select_model"


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        ({"model": "none"}, "model 'none' is not loaded"),
        ({"model": "double", "version": "9"}, "model 'double' at version '9' is not loaded"),
    ],
)
def test_a_model_that_is_not_loaded_is_the_callers_error(sent, what):
    with pytest.raises(UnknownModelError, match=what) as caught:
        _harness().score(make_request([1.0], **sent))
    assert (caught.value.stage, caught.value.plugin) == ("select_model", "")


def test_a_wrapper_that_leaves_the_callers_choice_does_not_make_it_its_own():
    class Explaining:
        @hookimpl(wrapper=True)
        def select_model(self):
            ref = yield
            return ModelRef(ref.name, ref.version, "the caller knows best")

    with pytest.raises(UnknownModelError, match="model 'none' is not loaded"):
        _harness(Explaining()).score(make_request([1.0], model="none"))


def test_a_plugins_choice_that_is_not_loaded_is_the_plugins_error():
    with pytest.raises(HookResultError, match="'Plugin' chose model 'none', which is not loaded"):
        _harness(_plugin(select_model=lambda: "none")).score(make_request([1.0]))


def test_a_plugins_choice_that_is_not_ready_is_not_the_plugins_error(monkeypatch):
    monkeypatch.setattr(Catalog, "lists", lambda _, name: name == "late")
    with pytest.raises(TritonUnavailableError, match="model 'late' is not ready") as caught:
        _harness(_plugin(select_model=lambda: "late")).score(make_request([1.0]))
    assert (caught.value.stage, caught.value.plugin) == ("select_model", "")


@pytest.mark.parametrize("plugins", [(), (_plugin(select_model=lambda: "double"),)])
def test_the_version_alone_is_that_of_whichever_model_is_chosen(plugins):
    harness = _harness(*plugins, models=[replace(MODEL, versions=("1", "2"))])
    outcome = harness.score(make_request([1.0], version="1"))
    assert (outcome.ref.version, outcome.model.version) == ("1", "1")
    with pytest.raises(UnknownModelError, match="model 'double' at version '9' is not loaded"):
        harness.score(make_request([1.0], version="9"))


def test_the_version_of_the_named_model_is_not_that_of_another():
    class Rerouting:
        @hookimpl(wrapper=True)
        def select_model(self):
            yield
            return "other"

    harness = _harness(Rerouting(), models=[MODEL, OTHER])
    outcome = harness.score(make_request([1.0], model="double", version="9"))
    assert (outcome.ref.name, outcome.ref.version) == ("other", "")


@pytest.mark.parametrize(
    "inference",
    [
        Inference({"x": [1.0]}, padding={"y": 0}),
        Inference({"x": [1.0]}, outputs=("y",)),
        type("Odd", (dict,), {"__iter__": lambda self: 1 / 0})({"x": [1.0]}),
    ],
    ids=["padding", "outputs", "odd mapping"],
)
def test_what_a_plugin_returns_for_one_item_is_that_items_matter(inference):
    odd = _plugin(preprocess=lambda item: inference if item.data == "odd" else {"x": item.data})
    outcome = _harness(odd).score(make_request("odd", [1.0]))
    first, second = outcome.scored
    assert second.body == b'{"outputs":{"y":[2.0]}}'
    assert isinstance(first.error, HookResultError)
    assert first.error.plugin == "Plugin"


def test_parameters_of_a_plugin_reach_triton():
    plugin = _plugin(
        preprocess=lambda item: Inference({"x": item.data}, parameters={"priority": 2})
    )
    harness = _harness(plugin)
    harness.score(make_request([1.0]))
    assert harness.triton.parameters == [{"priority": 2}]


def test_a_plugin_that_fails_to_choose_fails_the_request():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(HookError) as caught:
        _harness(_plugin(select_model=fail)).score(make_request([1.0]))
    assert (caught.value.stage, caught.value.plugin) == ("select_model", "Plugin")


def test_a_plugin_may_refuse_the_request():
    def refuse():
        raise PayloadError("no model for this")

    with pytest.raises(PayloadError) as caught:
        _harness(_plugin(select_model=refuse)).score(make_request([1.0]))
    assert (caught.value.stage, caught.value.plugin) == ("select_model", "Plugin")


def test_a_triton_that_is_down_fails_the_request():
    harness = _harness()
    harness.triton.reachable = False
    with pytest.raises(TritonUnavailableError) as caught:
        harness.score(make_request([1.0]))
    assert caught.value.stage == "select_model"


def test_the_version_that_the_request_names_is_inferred():
    harness = _harness(models=[replace(MODEL, version="2", versions=("1", "2"))])
    asked = []
    answer = harness.triton.request
    harness.triton.request = lambda method, path, *rest, **more: (
        asked.append(path) or answer(method, path, *rest, **more)
    )
    outcome = harness.score(make_request([1.0], model="double", version="1"))
    assert outcome.model.version == "1"
    assert asked[-1] == "/v2/models/double/versions/1/infer"


# one item fails alone


def _fussy(item):
    if item.data == "raise":
        raise ZeroDivisionError("secret")
    if item.data == "refuse":
        raise PayloadError("not this one")
    if item.data == "skip":
        return None
    if item.data == "misfit":
        return {"x": [1.0, 2.0]}
    if item.data == "nonsense":
        return 3
    return {"x": [item.data]}


@pytest.mark.parametrize(
    ("bad", "expected", "stage", "plugin"),
    [
        ("raise", HookError, "preprocess", "Plugin"),
        ("refuse", PayloadError, "preprocess", "Plugin"),
        ("misfit", HookResultError, "preprocess", "Plugin"),
        ("nonsense", HookResultError, "preprocess", "Plugin"),
        (-1.0, TritonError, "infer", ""),
    ],
)
def test_one_item_fails_alone(bad, expected, stage, plugin):
    harness = _harness(_plugin(preprocess=_fussy))
    outcome = harness.score(make_request(1.0, bad, 3.0))
    assert _errors(outcome) == [None, expected, None]
    assert [one.body for one in outcome.scored][::2] == [
        b'{"outputs":{"y":[2.0]}}',
        b'{"outputs":{"y":[6.0]}}',
    ]
    error = outcome.scored[1].error
    assert (error.stage, error.plugin) == (stage, plugin)
    assert "secret" not in error.message


def test_bytes_that_no_plugin_takes_are_of_an_unsupported_type():
    outcome = _harness().score(make_request(Item(b"", "image/png"), [1.0], Item(b"", "")))
    assert _errors(outcome) == [UnsupportedMediaTypeError, None, UnsupportedMediaTypeError]
    assert "takes 'image/png' for model 'double'" in outcome.scored[0].error.message
    assert "a body without a media type" in outcome.scored[2].error.message


def test_one_reply_fails_alone():
    def postprocess(outputs):
        value = float(outputs["y"][0])
        return {2.0: object(), 4.0: Reply("\ud800", media_type="text/plain")}.get(value, value)

    outcome = _harness(_plugin(postprocess=postprocess)).score(make_request([1.0], [2.0], [3.0]))
    assert _errors(outcome) == [HookResultError, HookResultError, None]
    for one in outcome.scored[:2]:
        assert (one.error.stage, one.error.plugin) == ("postprocess", "Plugin")
        assert "cannot be encoded" in one.error.message


def test_a_postprocess_that_raises_fails_its_item():
    def postprocess(item):
        return 1 / item.data[0]

    outcome = _harness(_plugin(postprocess=postprocess)).score(make_request([0.0], [1.0]))
    assert _errors(outcome) == [HookError, None]
    assert outcome.scored[0].error.stage == "postprocess"


def test_items_that_failed_are_not_postprocessed():
    seen = []
    plugin = _plugin(preprocess=_fussy, postprocess=lambda item: seen.append(item.data))
    _harness(plugin).score(make_request("raise", -1.0, 1.0))
    assert seen == [1.0]


def test_where_all_items_fail_nothing_is_inferred():
    harness = _harness(_plugin(preprocess=_fussy))
    outcome = harness.score(make_request("raise", "refuse"))
    assert _errors(outcome) == [HookError, PayloadError]
    assert harness.triton.inferences == []
    assert "infer" not in outcome.seconds


# replies


@pytest.mark.parametrize("value", [b"\x89PNG", "text"])
def test_a_single_reply_may_have_any_media_type(value):
    plugin = _plugin(postprocess=lambda: Reply(value, 201, "text/plain", {"X-A": "b"}))
    [one] = _harness(plugin).score(make_request([1.0])).scored
    assert one.body == (value if isinstance(value, bytes) else value.encode())
    assert (one.reply.status, one.reply.media_type) == (201, "text/plain")


@pytest.mark.parametrize("many", [False, True])
def test_json_of_another_name_is_json(many):
    reply = Reply({"title": "x"}, media_type="application/problem+json")
    plugin = _plugin(postprocess=lambda: reply)
    [one] = _harness(plugin).score(make_request([1.0], many=many)).scored
    assert one.body == b'{"title":"x"}'
    assert _harness(plugin).reply([1.0]) == {"title": "x"}


def test_among_several_only_json_has_a_place():
    plugin = _plugin(postprocess=lambda: Reply(b"", media_type="image/png"))
    outcome = _harness(plugin).score(make_request([1.0], many=True))
    assert _errors(outcome) == [HookResultError]
    assert "has no place among several" in outcome.scored[0].error.message


# a model that changed


def _reloading(new, *, after=1):
    """Return a harness whose model is replaced by ``new`` before its ``after``-th inference."""
    calls = []

    def infer(model, inputs):
        calls.append(model)
        if len(calls) == after:
            harness.triton.models["double"] = new
        if inputs["x"].shape[1:] != new.inputs[0].shape:
            raise ValueError("unexpected shape")
        return {"y": inputs["x"] * 2}

    plugin = _plugin(
        preprocess=lambda item, model: {"x": np.full(model.inputs[0].shape, item.data[0])}
    )
    harness = _harness(plugin, infer=infer)
    return harness, calls


WIDER = make_model("double", inputs=["x FP32 [2]"], outputs=["y FP32 [2]"], max_batch_size=8)


def test_refused_items_are_preprocessed_again_for_a_model_that_changed():
    harness, calls = _reloading(WIDER)
    outcome = harness.score(make_request([1.0]))
    assert outcome.model == WIDER
    assert [one.body for one in outcome.scored] == [b'{"outputs":{"y":[2.0,2.0]}}']
    assert len(calls) == 2


def test_an_item_is_postprocessed_for_the_model_that_scored_it():
    single = make_model("double", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
    wider = make_model("double", inputs=["x FP32 [2]"], outputs=["y FP32 [2]"])

    def infer(model, inputs):
        if len(harness.triton.inferences) == 2:
            harness.triton.models["double"] = wider
            raise ValueError
        return {"y": inputs["x"] * 2}

    plugin = _plugin(
        preprocess=lambda item, model: {"x": np.full(model.inputs[0].shape, item.data[0])},
        postprocess=lambda outputs, model: [*outputs["y"].shape, *model.outputs[0].shape],
    )
    harness = _harness(plugin, models=[single], infer=infer)
    outcome = harness.score(make_request([1.0], [2.0]))
    assert sorted(one.body for one in outcome.scored) == [b"[1,1]", b"[2,2]"]


@pytest.mark.parametrize(("stateful", "inferred"), [(False, 2), (True, 1)])
def test_what_a_model_with_state_has_seen_is_not_sent_to_it_again(stateful, inferred):
    model = replace(MODEL, stateful=stateful)
    wider = make_model("double", inputs=["x FP32 [1]"], outputs=["y FP32 [2]"], max_batch_size=8)

    def infer(model, inputs):
        harness.triton.models["double"] = replace(wider, stateful=stateful)
        return {"y": np.repeat(inputs["x"], 2, axis=1)}  # which it did not declare

    harness = _harness(models=[model], infer=infer)
    outcome = harness.score(make_request([1.0]))
    assert len(harness.triton.inferences) == inferred
    assert _errors(outcome) == ([TritonError] if stateful else [None])


def test_refused_items_of_a_model_that_did_not_change_stay_refused():
    harness = _harness()
    outcome = harness.score(make_request([-1.0]))
    assert _errors(outcome) == [TritonError]
    assert len(harness.triton.inferences) == 1


def test_a_model_that_changed_is_tried_once():
    def infer(model, inputs):
        harness.triton.models["double"] = replace(
            MODEL,
            options={"n": str(len(harness.triton.inferences))},
            instances=100 - len(harness.triton.inferences),
        )
        raise ValueError

    harness = _harness(infer=infer)
    assert _errors(harness.score(make_request([1.0]))) == [TritonError]
    assert len(harness.triton.inferences) == 2


def test_stages_that_run_twice_add_up(monkeypatch):
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks))
    harness, _ = _reloading(WIDER)
    monkeypatch.setattr(pipeline, "time", clock)
    outcome = harness.score(make_request([1.0]))
    assert outcome.seconds == {"select_model": 1, "preprocess": 2, "infer": 2, "postprocess": 1}


def test_an_item_that_the_changed_model_does_not_take_is_not_inferred_again():
    def preprocess(item, model):
        if model.inputs == WIDER.inputs:
            raise PayloadError("too small")
        return {"x": item.data}

    def infer(model, inputs):
        harness.triton.models["double"] = WIDER
        raise ValueError

    harness = _harness(_plugin(preprocess=preprocess), infer=infer)
    outcome = harness.score(make_request([1.0]))
    assert _errors(outcome) == [PayloadError]
    assert len(harness.triton.inferences) == 1


def test_a_second_pass_that_finds_no_place_fails_no_other_item(monkeypatch):
    def infer(model, inputs):
        harness.triton.models["double"] = WIDER
        if (inputs["x"] < 0).any():
            raise ValueError
        return {"y": inputs["x"] * 2}

    def submit(items, model, **options):
        if model == WIDER:
            raise OverloadedError("no place")
        return given(items, model, **options)

    plugin = _plugin(
        preprocess=lambda item, model: {"x": np.full(model.inputs[0].shape, item.data[0])}
    )
    harness = _harness(plugin, infer=infer)
    given = harness.service.batcher.submit
    monkeypatch.setattr(harness.service.batcher, "submit", submit)
    good, bad = harness.score(make_request([1.0], [-1.0])).scored
    assert good.body == b'{"outputs":{"y":[2.0]}}'
    assert (bad.error.message, bad.error.stage) == ("no place", "infer")


def test_a_triton_that_goes_down_after_refusing_fails_no_other_item(monkeypatch):
    def fail(*args, **kwargs):
        raise TritonUnavailableError("down")

    harness = _harness()
    monkeypatch.setattr(harness.service.catalog, "changed", fail)
    outcome = harness.score(make_request([1.0], [-1.0]))
    assert _errors(outcome) == [None, TritonError]


# deadlines


@pytest.fixture
def threads():
    runtime = ThreadRuntime(1)
    yield runtime
    runtime.close()


@pytest.fixture
def end():
    event = threading.Event()
    yield event
    event.set()


def _late(harness, *items, seconds=0.6):
    with pytest.raises(DeadlineError) as caught:
        harness.service.pipeline.score(make_request(*items), Deadline.after(seconds))
    return caught.value


@pytest.mark.parametrize("hook", ["select_model", "preprocess", "postprocess"])
def test_a_hook_that_hangs_is_blamed(threads, end, hook):
    plugin = _plugin(**{hook: lambda: end.wait(5) and None})
    error = _late(_harness(plugin, runtime=threads), [1.0], seconds=2)
    assert (error.stage, error.plugin) == (hook, "Plugin")
    assert error.message == f"plugin 'Plugin' took too long in {hook}"


def test_the_item_that_hangs_is_blamed_and_not_those_that_are_done(threads, end):
    class First:
        @hookimpl(tryfirst=True)
        def preprocess(self, item):
            return {"x": [item.data]} if item.data < 3 else None

    class Hanging:
        @hookimpl
        def preprocess(self):
            end.wait(5)

    error = _late(_harness(First, Hanging, runtime=threads), 1.0, 2.0, 3.0, 4.0, seconds=2)
    assert error.plugin == "Hanging"


def test_a_wrapper_that_hangs_afterwards_is_blamed(threads, end):
    class Wrapper:
        @hookimpl(wrapper=True)
        def preprocess(self):
            answer = yield
            end.wait(5)
            return answer

    assert _late(_harness(Wrapper, runtime=threads), [1.0]).plugin == "Wrapper"


class NotQuick:
    @hookimpl
    def preprocess(self, item):
        return {"x": item.data}


def test_waiting_for_a_thread_is_blamed_on_nobody(threads, end):
    harness = _harness(NotQuick, runtime=threads)
    harness.score(make_request([1.0]))
    has_begun = threading.Event()

    def hang(_):
        has_begun.set()
        end.wait(30)

    stuck = threading.Thread(target=lambda: threads.run_hooks(hang, [1], Deadline()))
    stuck.start()
    assert has_begun.wait(20)
    error = _late(harness, [1.0], [2.0])
    end.set()
    stuck.join()
    assert error.plugin == ""
    assert error.message == "waiting for a free thread took too long in preprocess"


def test_hooks_that_together_took_the_time_are_blamed(threads):
    class Slow:
        @hookimpl
        def preprocess(self):
            time.sleep(0.15)

    error = _late(_harness(Slow, runtime=threads), *[[1.0]] * 4, seconds=0.4)
    assert error.message == "plugin 'Slow' took too long in preprocess"


def test_a_hook_that_is_done_is_not_blamed_for_the_wait_of_others():
    class OutOfThreads(InlineRuntime):
        def run_hooks(self, function, work, deadline):
            if len(work) == 1:
                return super().run_hooks(function, work, deadline)
            function(work[0])
            raise TimeoutError

    error = _late(_harness(NotQuick, runtime=OutOfThreads()), [1.0], [2.0])
    assert (error.plugin, error.stage) == ("", "preprocess")


def test_an_inference_that_is_too_slow_is_its_items_error():
    def infer(model, inputs):
        raise DeadlineError("Triton did not answer in time")

    outcome = _harness(infer=infer).score(make_request([1.0]))
    assert _errors(outcome) == [DeadlineError]
    assert outcome.scored[0].error.stage == "infer"


@pytest.mark.parametrize(("length", "is_quick"), [(10, True), (100_000, False)])
def test_long_texts_that_come_back_are_not_for_quick_hooks(length, is_quick):
    class Runtime(InlineRuntime):
        threaded = ()

        def run_hooks(self, function, work, deadline):
            self.threaded += tuple(call.hook for _, call in work)
            return super().run_hooks(function, work, deadline)

    class Quick:
        @hookimpl(quick_below=4096)
        def postprocess(self, outputs):
            return len(outputs["y"][0])

    model = make_model(inputs=["x FP32 [1]"], outputs=["y BYTES [1]"])
    runtime = Runtime()
    harness = Harness(
        Quick(),
        models=[model],
        infer=lambda model, inputs: {"y": np.array([b"x" * length], object)},
        runtime=runtime,
    )
    [one] = harness.score(make_request([1.0])).scored
    assert one.body == str(length).encode()
    assert ("postprocess" in runtime.threaded) is not is_quick


@pytest.mark.parametrize(("items", "threads"), [(256, 0), (257, 514)])
def test_hooks_of_many_items_run_in_threads_however_quick_they_are(items, threads):
    class Runtime(InlineRuntime):
        threaded = 0

        def run_hooks(self, function, work, deadline):
            self.threaded += len(work)
            return super().run_hooks(function, work, deadline)

    runtime = Runtime()
    outcome = _harness(runtime=runtime).score(make_request(*[[1.0]] * items))
    assert _errors(outcome) == [None] * items
    assert runtime.threaded == threads
