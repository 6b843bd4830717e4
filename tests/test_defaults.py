"""The core's own plugin: what needs no other plugin, and what it will not take."""

import base64
import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook import Item, ModelRef, PayloadError
from trihook.defaults import Defaults
from trihook.replies import encode_json
from trihook.testing import Harness, make_model, make_request
from trihook.triton.inputs import build_inputs

ONE = make_model("one", inputs=["x FP32 [2]"], outputs=["y FP32 [2]"])
TWO = make_model(
    "two", inputs=["a INT64 [1]", "t BYTES [1]"], outputs=["y FP32 [1]"], max_batch_size=4
)
TEXT = make_model("text", inputs=["t BYTES [?]"], outputs=["t BYTES [?]"])


def _inputs(data, model=ONE):
    return dict(Defaults().preprocess(Item(data), model).inputs)


def _fitted(data, model=ONE):
    """Return the input tensors that the pipeline makes of an item, or raise what it is told."""
    [one] = Harness(models=[model], infer=lambda *_: {}).score(make_request(Item(data))).scored
    if one.inputs is None:
        raise one.error
    return one.inputs.tensors


# the model


def test_the_model_that_the_request_names_is_chosen():
    request = make_request(1, model="m", version="3")
    assert Defaults().select_named(request) == ModelRef("m", "3", "the request names it")
    assert Defaults().select_named(make_request(1)) is None


def test_the_default_model_is_chosen_otherwise():
    assert Defaults("m").select_default({}).name == "m"
    assert "default_model" in Defaults("m").select_default({"one": ONE}).reason


def test_the_only_model_is_chosen_otherwise():
    assert Defaults().select_default({"one": ONE}).name == "one"


@pytest.mark.parametrize("models", [{}, {"one": ONE, "two": TWO}])
def test_without_a_single_model_none_is_chosen(models):
    assert Defaults().select_default(models) is None


# tensors of a JSON item


@pytest.mark.parametrize(
    "data", [{"inputs": {"x": [1, 2]}}, {"x": [1, 2]}, [1, 2], {"inputs": {"x": [1, 2]}, "id": 1}]
)
def test_the_tensor_of_a_model_with_one_input_is_written_three_ways(data):
    assert _inputs(data) == {"x": [1, 2]}


@pytest.mark.parametrize("data", [{"inputs": {"a": [1], "t": ["x"]}}, {"a": [1], "t": ["x"]}])
def test_several_tensors_are_named(data):
    assert _inputs(data, TWO) == {"a": [1], "t": ["x"]}


def test_an_input_may_be_called_inputs():
    model = make_model(inputs=["inputs FP32 [2]"], outputs=["y FP32 [1]"])
    assert _inputs({"inputs": [1, 2]}, model) == {"inputs": [1, 2]}
    assert _inputs({"inputs": {"inputs": [1, 2]}}, model) == {"inputs": [1, 2]}


def test_bytes_are_not_for_the_core():
    assert Defaults().preprocess(Item(b"\xff\xd8", "image/jpeg"), ONE) is None


@pytest.mark.parametrize("raw", [b"", b"\x00\xff", b"a\x00\x00"])
def test_bytes_in_json_are_base64(raw):
    text = base64.b64encode(raw).decode()
    assert _inputs([{"b64": text}, "plain"], TEXT) == {"t": [raw, "plain"]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "holds no tensors"),
        (None, "got null"),
        ({"z": [1, 2]}, "got the names 'z'"),
        ({"x": [1, 2], "z": 1}, "got the names 'x', 'z'"),
        (dict.fromkeys(map(str, range(99))), "'14', '15', … (99)"),
        ({"inputs": {"z": [1]}}, "declares no input 'z'"),
        ({"inputs": {}}, "x FP32 [2] is missing"),
        ([1, 2, 3], "shape [3]"),
        ([1, [2]], "not of one length"),
        (["a", "b"], "text data cannot be cast to FP32"),
        ([True, False], "boolean data cannot be cast"),
        ([None, 1], "cannot be cast to FP32"),
        ([1, 2**70], "cannot be cast to FP32"),
        ([1e300, 1], "too large for FP32"),
        ({"x": [{"b64": "!"}, 1]}, "not base64"),
        ({"x": [{"b64": 1}, 1]}, 'expected {"b64"'),
        ({"x": [{"b64": "AA==", "more": 1}]}, 'expected {"b64"'),
        ({"x": [{"a": 1}]}, 'expected {"b64"'),
        ({"x": json.loads("[" * 40 + "]" * 40)}, "nested more than 32 deep"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_item_that_does_not_fit_is_refused_with_what_was_expected(data, words):
    with pytest.raises(PayloadError) as caught:
        _fitted(data)
    assert words in str(caught.value)


def test_lists_alone_are_ambiguous_for_several_fitted():
    with pytest.raises(PayloadError, match=r"expected .*a INT64 \[1\], t BYTES \[1\]; got a list"):
        _fitted([1], TWO)


@pytest.mark.parametrize("depth", [33, 900])
def test_depth_is_refused_and_not_recursed_into(depth):
    with pytest.raises(PayloadError):
        _fitted({"t": json.loads("[" * depth + '"a"' + "]" * depth)}, TEXT)
    with pytest.raises(PayloadError, match="nested more than 32 deep"):
        _fitted(
            {"t": json.loads('[{"b64": "aa=="},' + "[" * depth + '"a"' + "]" * (depth + 1))}, TEXT
        )


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["inputs", "x", "a", "t", "b64", "z"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON_VALUES, st.sampled_from([ONE, TWO, TEXT]))
def test_any_item_is_either_tensors_that_fit_or_refused(data, model):
    with contextlib.suppress(PayloadError):
        _fitted(data, model)


# the reply


def _reply(**outputs):
    return json.loads(encode_json(Defaults().postprocess(outputs)))


def test_outputs_are_nested_lists_by_name():
    reply = _reply(y=np.array([[1.5, 2]], np.float32), n=np.array(3), b=np.array([True]))
    assert reply == {"outputs": {"y": [[1.5, 2.0]], "n": 3, "b": [True]}}


def test_texts_are_utf8_and_other_bytes_base64():
    reply = _reply(t=np.array([["größe".encode(), b"\xff\x00"]], object), s=np.array(b"", object))
    assert reply == {"outputs": {"t": [["größe", {"b64": "/wA="}]], "s": ""}}


def test_what_comes_out_can_go_in_again():
    harness = Harness(models=[TEXT], infer=lambda model, inputs: {"t": inputs["t"]})
    values = ["größe", {"b64": "/wA="}, ""]
    assert harness.reply(values) == {"outputs": {"t": values}}


@pytest.mark.parametrize("model", [ONE, TWO, TEXT])
def test_the_example_fits(model):
    item = Defaults().example(model)
    build_inputs(Defaults().preprocess(item, model), model)
    assert json.loads(encode_json(item.data))["inputs"].keys() == {s.name for s in model.inputs}
