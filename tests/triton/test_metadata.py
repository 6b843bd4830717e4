"""Models are read from Triton's two replies, or refused as unreadable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook import Model, TensorSpec, TritonError
from trihook.triton.metadata import build_model

METADATA = {
    "name": "m",
    "versions": ["2", "10", "1"],
    "platform": "onnxruntime_onnx",
    "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [-1, 3, -1]},
        {"name": "o", "datatype": "BYTES", "shape": [-1, 1]},
    ],
    "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1]}],
}
CONFIG = {
    "max_batch_size": 8,
    "input": [
        {"name": "o", "optional": True, "format": "FORMAT_NONE"},
        {"name": "x", "optional": False, "format": "FORMAT_NCHW"},
    ],
    "instance_group": [{"count": 3}, {"count": 2, "gpus": [0, 1]}],
    "dynamic_batching": {},
    "parameters": {"size": {"string_value": "224"}, "mode": {"string_value": "crop"}},
}


def test_a_batched_model_is_read():
    assert build_model(METADATA, CONFIG, {"size": 128}) == Model(
        name="m",
        version="10",
        inputs=(
            TensorSpec("x", "FP32", (3, -1), layout="NCHW"),
            TensorSpec("o", "BYTES", (1,), optional=True),
        ),
        outputs=(TensorSpec("y", "INT64", ()),),
        max_batch_size=8,
        platform="onnxruntime_onnx",
        versions=("1", "2", "10"),
        dynamic_batching=True,
        instances=7,
        options={"size": 128, "mode": "crop"},
    )


def test_without_a_batch_size_shapes_are_whole():
    model = build_model(METADATA, {"max_batch_size": 0}, {})
    assert model.max_batch_size == 0
    assert model.inputs[0].shape == (-1, 3, -1)


def test_what_the_config_does_not_say_has_its_default():
    model = build_model(METADATA, {}, {})
    assert (model.max_batch_size, model.instances, dict(model.options)) == (0, 1, {})
    assert [model.dynamic_batching, model.stateful, model.decoupled] == [False] * 3
    assert not any(spec.optional or spec.layout for spec in model.inputs)


def test_a_sequence_batcher_makes_it_stateful():
    assert build_model(METADATA, {"sequence_batching": {}}, {}).stateful


@pytest.mark.parametrize("decoupled", [True, False])
def test_the_transaction_policy_says_whether_it_is_decoupled(decoupled):
    config = {"model_transaction_policy": {"decoupled": decoupled}}
    assert build_model(METADATA, config, {}).decoupled is decoupled


def test_nhwc_is_told():
    config = {"input": [{"name": "x", "format": "FORMAT_NHWC"}]}
    assert build_model(METADATA, config, {}).input("x").layout == "NHWC"


def test_a_model_without_versions_is_at_its_first():
    assert build_model({**METADATA, "versions": []}, {}, {}).version == "1"
    assert build_model({**METADATA, "versions": None}, {}, {}).version == "1"


@pytest.mark.parametrize(
    ("metadata", "config"),
    [
        ({}, {}),
        ({**METADATA, "inputs": None}, {}),
        ({**METADATA, "inputs": [{}]}, {}),
        ({**METADATA, "inputs": ["x"]}, {}),
        ({**METADATA, "inputs": [{"name": "x", "datatype": "FP8", "shape": [1]}]}, {}),
        ({**METADATA, "inputs": [{"name": "x", "datatype": "FP32", "shape": ["a"]}]}, {}),
        ({**METADATA, "inputs": [{"name": "x", "datatype": "FP32", "shape": 3}]}, {}),
        (METADATA, {"max_batch_size": "many"}),
        (METADATA, {"parameters": {"size": 3}}),
        (METADATA, {"parameters": [1]}),
        (METADATA, {"input": [{}]}),
        (METADATA, {"instance_group": [1]}),
        (METADATA, {"model_transaction_policy": 1}),
    ],
)
def test_what_cannot_be_read_is_tritons_error(metadata, config):
    with pytest.raises(TritonError, match="in a way that cannot be read"):
        build_model(metadata, config, {})


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["name", "shape", "count", "datatype"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*METADATA]), JSON_VALUES),
    st.dictionaries(st.sampled_from([*CONFIG]), JSON_VALUES),
)
def test_any_reply_makes_a_model_or_tritons_error(metadata, config):
    try:
        model = build_model({**METADATA, **metadata}, {**CONFIG, **config}, {})
    except TritonError:
        return
    assert isinstance(model, Model)
