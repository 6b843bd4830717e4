"""The values keep what they are given, and read well in messages."""

import dataclasses

import pytest
import trihook
from trihook import Inference, Item, Model, ModelRef, Reply, ScoringRequest, TensorSpec, types

MODEL = Model(
    "m",
    "3",
    inputs=(TensorSpec("a", "FP32", (3, -1)), TensorSpec("b", "BYTES", ())),
    outputs=(TensorSpec("c", "INT64", (1,)),),
)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (TensorSpec("a", "FP32", (3, -1, 224)), "a FP32 [3, ?, 224]"),
        (TensorSpec("b", "BYTES", ()), "b BYTES []"),
    ],
)
def test_a_tensor_reads_as_name_datatype_and_shape(spec, text):
    assert str(spec) == text


def test_a_model_reads_as_name_and_version():
    assert str(MODEL) == "m/3"


def test_a_model_finds_its_tensors_by_name():
    assert MODEL.input("b") is MODEL.inputs[1]
    assert MODEL.output("c") is MODEL.outputs[0]
    assert MODEL.input("c") is None
    assert MODEL.output("a") is None


@pytest.mark.parametrize(
    "value",
    [MODEL, MODEL.inputs[0], ModelRef("m"), Item(1), ScoringRequest(()), Inference({}), Reply(1)],
    ids=lambda value: type(value).__name__,
)
def test_values_are_frozen(value):
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)


def test_each_item_and_request_has_a_state_of_its_own():
    assert Item(1).state is not Item(1).state
    assert ScoringRequest(()).state is not ScoringRequest(()).state


def test_items_of_equal_data_are_different_items():
    assert Item(1) != Item(1)


def test_every_public_value_is_exported():
    values = {
        name
        for name, value in vars(types).items()
        if dataclasses.is_dataclass(value) and value.__module__ == types.__name__
    }
    assert values <= set(trihook.__all__)
