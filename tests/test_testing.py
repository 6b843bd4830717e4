"""Plugin authors' harness is the real pipeline, and its fake Triton speaks the real protocol."""

import doctest
import re

import numpy as np
import pytest
import trihook.testing
from trihook import (
    HookError,
    Inference,
    Item,
    PayloadError,
    PluginError,
    Reply,
    RequestedOutput,
    TensorSpec,
    TritonError,
    TritonUnavailableError,
    hookimpl,
)
from trihook.config import Settings
from trihook.host.app import create_app
from trihook.testing import FakeTriton, Harness, make_model, make_request
from trihook.triton.catalog import Catalog

SUM = make_model("sum", inputs=["x FP32 [?]"], outputs=["total FP32 []"], max_batch_size=4)


def add_up(model, inputs):
    return {"total": inputs["x"].sum(axis=1)}


class Numbers:
    """Takes a JSON list, replies with its sum."""

    @hookimpl
    def preprocess(self, item):
        if not isinstance(item.data, list):
            raise PayloadError("expected a list")
        return {"x": item.data}

    @hookimpl
    def postprocess(self, outputs):
        return float(outputs["total"])


def test_the_example_of_the_documentation_runs():
    failures, tests = doctest.testmod(trihook.testing)
    assert tests > 5
    assert failures == 0


def test_a_reply_is_what_the_sender_gets():
    harness = Harness(Numbers(), models=[SUM], infer=add_up)
    assert harness.reply([1, 2, 3]) == 6.0


def test_a_reply_of_another_media_type_is_bytes():
    class Text(Numbers):
        @hookimpl
        def postprocess(self, outputs):
            return Reply(b"six", media_type="text/plain")

    assert Harness(Text(), models=[SUM], infer=add_up).reply([6]) == b"six"


def test_reply_raises_what_the_item_failed_with():
    harness = Harness(Numbers(), models=[SUM], infer=add_up)
    with pytest.raises(PayloadError, match="expected a list") as caught:
        harness.reply("text")
    assert (caught.value.stage, caught.value.plugin) == ("preprocess", "Numbers")


def test_score_tells_of_every_item():
    harness = Harness(Numbers(), models=[SUM], infer=add_up)
    outcome = harness.score(make_request([1], "text", [2, 2]))
    assert [one.body for one in outcome.scored] == [b"1.0", b"", b"4.0"]
    assert outcome.scored[0].preprocessed_by == "Numbers"


def test_items_are_batched_as_the_model_allows():
    harness = Harness(Numbers(), models=[SUM], infer=add_up)
    harness.score(make_request(*([float(n)] for n in range(6))))
    assert [len(inputs["x"]) for inputs in harness.triton.inferences] == [4, 2]


def test_a_misspelt_hook_is_found():
    class Misspelt:
        @hookimpl
        def preproces(self, item): ...

    with pytest.raises(PluginError, match=r"'preproces'.*did you mean 'preprocess'"):
        Harness(Misspelt(), models=[SUM], infer=add_up)


def test_two_plugins_of_one_class_are_both_asked():
    class Picky:
        def __init__(self, word):
            self.word = word

        @hookimpl
        def postprocess(self, item):
            return self.word if item.data == [self.word] else None

    model = make_model(inputs=["x BYTES [1]"], outputs=["y BYTES [1]"])
    harness = Harness(
        Picky("a"), Picky("b"), models=[model], infer=lambda model, inputs: {"y": [b""]}
    )
    assert (harness.reply(["a"]), harness.reply(["b"])) == ("a", "b")


def test_what_infer_raises_is_a_refusal_by_triton():
    def refuse(model, inputs):
        raise ZeroDivisionError

    with pytest.raises(TritonError, match="refused an inference of model 'sum'"):
        Harness(Numbers(), models=[SUM], infer=refuse).reply([1])


def test_a_scoring_error_of_infer_is_raised_as_it_is():
    def vanish(model, inputs):
        raise TritonUnavailableError("gone")

    with pytest.raises(TritonUnavailableError, match="gone"):
        Harness(Numbers(), models=[SUM], infer=vanish).reply([1])


def test_an_unreachable_triton_can_be_played():
    harness = Harness(Numbers(), models=[SUM], infer=add_up)
    harness.triton.reachable = False
    with pytest.raises(TritonUnavailableError):
        harness.reply([1])


@pytest.mark.parametrize(
    "wrong",
    [{}, {"total": [[1.0]]}, {"total": [1.0], "more": [1.0]}, {"total": [1.0, 2.0]}],
    ids=["missing", "rank", "undeclared", "rows"],
)
def test_outputs_that_the_model_does_not_declare_are_an_error(wrong):
    harness = Harness(Numbers(), models=[SUM], infer=lambda model, inputs: wrong)
    with pytest.raises(TritonError, match="not what the model declares"):
        harness.reply([1])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (None, "infer returned NoneType, expected a mapping of outputs to arrays"),
        ([1.0], "infer returned list, expected a mapping of outputs to arrays"),
        ({"total": ["a"]}, "infer returned for output 'total' what is no FP32: text data"),
        ({"total": [[1.0], [1.0, 2.0]]}, "infer returned for output 'total' what is no FP32: "),
    ],
)
def test_what_infer_must_not_return_is_named(wrong, said):
    harness = Harness(Numbers(), models=[SUM], infer=lambda model, inputs: wrong)
    with pytest.raises((TypeError, ValueError)) as caught:
        harness.reply([1])
    assert str(caught.value).startswith(said)


def test_a_plugin_that_raises_is_blamed():
    class Broken:
        @hookimpl
        def preprocess(self):
            raise KeyError("x")

    with pytest.raises(HookError, match="plugin 'Broken' raised KeyError in preprocess"):
        Harness(Broken(), models=[SUM], infer=add_up).reply([1])


def test_a_harness_can_be_served():
    app = create_app(Harness(Numbers(), models=[SUM], infer=add_up).service)
    assert app.test_client().post("/score/sum", json=[1, 2]).json == 3.0


def test_options_reach_the_plugins_with_their_types():
    seen = []

    class Curious:
        @hookimpl
        def preprocess(self, model):
            seen.append(model.options)

    model = make_model(inputs=["x FP32 [1]"], outputs=["y FP32 [1]"], options={"n": 1, "s": "a"})
    Harness(Curious(), models=[model], infer=lambda model, inputs: {"y": [1]}).reply([1])
    assert seen == [{"n": 1, "s": "a"}]


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        ({"models": {"model": {"max_batch": 2}}}, {"lower": False}),
        ({"options": {"lower": True}}, {"lower": True}),
        ({"models": {"model": {"options": {"lower": True}}}}, {"lower": True}),
    ],
)
def test_options_of_the_settings_come_before_those_of_a_model(settings, seen):
    class Curious:
        @hookimpl
        def preprocess(self, model):
            raise PayloadError(str(model.options))

    model = make_model(inputs=["x FP32 [1]"], outputs=["y FP32 [1]"], options={"lower": False})
    harness = Harness(
        Curious(), models=[model], infer=add_up, settings=Settings.model_validate(settings)
    )
    with pytest.raises(PayloadError, match=f"^{seen}$"):
        harness.reply([1])


DATATYPES = {
    "BOOL": [True, False],
    "UINT8": [0, 255],
    "UINT16": [0, 65535],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [2**63, 2**64 - 1],
    "INT8": [-128, 127],
    "INT16": [-32768, 32767],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FP16": [0.5, -65504.0],
    "FP32": [0.1, -1e38],
    "FP64": [0.1, 1e308],
    "BF16": [0.5, 256.0],
    "BYTES": ["", "größe"],
}


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_goes_through_the_wire_and_back(datatype):
    model = make_model(
        inputs=[f"x {datatype} [2]"], outputs=[f"y {datatype} [2]"], max_batch_size=2
    )
    harness = Harness(models=[model], infer=lambda model, inputs: {"y": inputs["x"]})
    values = DATATYPES[datatype]
    expected = np.float32(values).tolist() if datatype == "FP32" else values
    sent = harness.score(make_request(values)).scored[0]
    assert sent.outputs["y"].tolist() == [
        value.encode() if isinstance(value, str) else value for value in expected
    ]


def test_the_fake_describes_its_models_as_they_are():
    model = make_model(
        "all",
        inputs=[TensorSpec("x", "FP32", (3, -1), optional=True, layout="NCHW"), "y BYTES [1]"],
        outputs=["z INT64 []"],
        version="7",
        max_batch_size=8,
        platform="onnxruntime_onnx",
        versions=("3", "7"),
        dynamic_batching=True,
        stateful=True,
        decoupled=True,
        instances=2,
        options={"labels": "imagenet", "scale": "0.5"},
    )
    catalog = Catalog(FakeTriton([model], add_up))
    catalog.refresh()
    assert catalog.models == {"all": model}
    assert catalog.find("all", "3").version == "3"
    assert catalog.find("all", "4") is None
    assert catalog.find("none") is None


def test_a_classification_is_taken_as_it_stands():
    class Top:
        @hookimpl
        def preprocess(self, item):
            return Inference({"x": item.data}, (RequestedOutput("y", class_count=2),))

    model = make_model(inputs=["x FP32 [3]"], outputs=["y FP32 [3]"], max_batch_size=2)
    harness = Harness(
        Top(), models=[model], infer=lambda model, inputs: {"y": [["0.5:1", "0.3:0"]]}
    )
    assert harness.reply([0.3, 0.5, 0.2]) == {"outputs": {"y": ["0.5:1", "0.3:0"]}}


def test_only_the_outputs_asked_for_come_back():
    class Some:
        @hookimpl
        def preprocess(self, item):
            return Inference({"x": item.data}, (RequestedOutput("z"),))

    model = make_model(inputs=["x FP32 [1]"], outputs=["y FP32 [1]", "z FP32 [1]"])
    harness = Harness(Some(), models=[model], infer=lambda model, inputs: {"y": [1], "z": [2]})
    assert harness.reply([0]) == {"outputs": {"z": [2.0]}}


def test_a_tensor_is_written_as_it_is_printed():
    [spec] = make_model(inputs=["pixels FP32 [3, ?, 224]"], outputs=[]).inputs
    assert spec == TensorSpec("pixels", "FP32", (3, -1, 224))
    assert str(spec) == "pixels FP32 [3, ?, 224]"


@pytest.mark.parametrize(
    "text", ["pixels", "x FP32 [-2]", "x FP32 [1 2]", "x FP32 [1,,2]", "x FP32 [-]"]
)
def test_what_is_no_tensor_is_refused(text):
    with pytest.raises(ValueError, match=f"{re.escape(repr(text))} is no tensor"):
        make_model(inputs=[text], outputs=[])


def test_a_datatype_that_triton_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"'rgb FLOAT \[3\]' has no datatype .* FP16, FP32, FP64"):
        make_model(inputs=["rgb FLOAT [3]"], outputs=[])


def test_a_request_numbers_its_items():
    request = make_request(b"raw", Item("text", name="a.txt"), [1])
    assert [item.index for item in request.items] == [0, 1, 2]
    assert [item.media_type for item in request.items] == [
        "",
        "application/json",
        "application/json",
    ]
    assert (request.many, make_request([1]).many, make_request().many) == (True, False, True)


def test_requests_of_the_same_item_share_no_state():
    item = Item(b"raw", state={"page": 1})
    first, again = make_request(item), make_request(item, item)
    first.items[0].state["words"] = 7
    again.items[0].state["page"] = 2
    states = [each.state for each in (item, *first.items, *again.items)]
    assert states == [{"page": 1}, {"page": 1, "words": 7}, {"page": 2}, {"page": 1}]


def test_what_is_sent_arrives_as_it_does_over_http():
    request = make_request({"a": (1, 2)}, np.arange(2), 1.5, headers={"X-Arm": "b"})
    assert [item.data for item in request.items] == [{"a": [1, 2]}, [0, 1], 1.5]
    assert request.headers == {"x-arm": "b"}


def test_a_request_takes_further_fields():
    request = make_request(b"", query={"top": "3"}, many=True)
    assert (request.query, request.many) == ({"top": "3"}, True)
