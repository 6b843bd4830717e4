"""What an ONNX model makes of a Triton model configuration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from trihook.local.backends.onnxruntime.onnx_signature import (
    Signature,
    Tensor,
    complete,
    read_tensors,
    scalar_shapes,
    validate,
)

BATCHED = Signature((Tensor("x", "TYPE_FP32", (-1, 3)),), (Tensor("y", "TYPE_FP32", (-1, 2)),))
FIXED = Signature((Tensor("x", "TYPE_FP32", (1, 3)),), (Tensor("y", "TYPE_FP32", (1, 2)),))


def config(**fields: Any) -> dict[str, Any]:
    """A configuration as Triton gives it to the stub, with what a test is about."""
    empty = {"input": [], "output": [], "batch_input": [], "batch_output": []}
    return {"max_batch_size": 0, **empty, **fields}


def declared(name: str, *dims: int, datatype: str = "TYPE_FP32", **more: Any) -> dict[str, Any]:
    return {"name": name, "data_type": datatype, "dims": list(dims), **more}


def one_of_each(signature_input: tuple[int, ...], output: tuple[int, ...]) -> Signature:
    return Signature(
        (Tensor("x", "TYPE_FP32", signature_input),), (Tensor("y", "TYPE_FP32", output),)
    )


def test_onnx_shapes_and_types_become_tritons() -> None:
    args = [
        SimpleNamespace(name="a", type="tensor(float16)", shape=["batch", 3, None]),
        SimpleNamespace(name="b", type="tensor(string)", shape=[]),
    ]
    assert read_tensors(args) == (
        Tensor("a", "TYPE_FP16", (-1, 3, -1)),
        Tensor("b", "TYPE_STRING", ()),
    )


@pytest.mark.parametrize("kind", ["tensor(bfloat16)", "seq(map(int64,tensor(float)))"])
def test_a_type_that_triton_lacks_is_named_with_its_tensor(kind: str) -> None:
    with pytest.raises(ValueError, match=r"'probabilities' is of type .*, which is not supported"):
        read_tensors([SimpleNamespace(name="probabilities", type=kind, shape=[1])])


def test_a_model_whose_first_dimensions_are_all_dynamic_batches() -> None:
    assert complete(config(), BATCHED) == {
        "max_batch_size": 4,
        "dynamic_batching": {},
        "input": [declared("x", 3)],
        "output": [declared("y", 2)],
    }


@pytest.mark.parametrize(
    ("signature_input", "output"), [((1, 3), (-1, 2)), ((-1, 3), (2, 2)), ((-1, 3), ())]
)
def test_one_fixed_first_dimension_keeps_a_model_from_batching(
    signature_input: tuple[int, ...], output: tuple[int, ...]
) -> None:
    fields = complete(config(), one_of_each(signature_input, output))
    assert fields["max_batch_size"] == 0
    assert "dynamic_batching" not in fields
    assert fields["input"][0]["dims"] == list(signature_input)


def test_one_number_a_row_is_reshaped() -> None:
    fields = complete(config(), one_of_each((-1, 3), (-1,)))
    assert fields["output"] == [declared("y", 1, reshape={"shape": []})]


def test_a_scalar_outside_of_a_batch_is_declared_as_one_number() -> None:
    assert complete(config(), one_of_each((2,), ()))["output"] == [declared("y", 1)]


def test_a_given_max_batch_size_is_kept() -> None:
    assert complete(config(max_batch_size=16), BATCHED)["max_batch_size"] == 16
    assert "dynamic_batching" not in complete(config(max_batch_size=1), BATCHED)


def test_a_max_batch_size_for_a_model_that_cannot_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="max_batch_size is 8, but the model does not support"):
        complete(config(max_batch_size=8), FIXED)


@pytest.mark.parametrize("scheduler", ["dynamic_batching", "sequence_batching"])
def test_a_given_scheduler_is_kept(scheduler: str) -> None:
    fields = complete(config(**{scheduler: {}}), BATCHED)
    assert "dynamic_batching" not in fields


def test_a_given_side_is_kept_and_the_other_filled_in() -> None:
    fields = complete(config(input=[declared("x", 3)]), BATCHED)
    assert "input" not in fields
    assert fields["output"] == [declared("y", 2)]


def test_nothing_is_added_where_inputs_and_outputs_are_given() -> None:
    assert complete(config(input=[declared("x", 3)], output=[declared("y", 2)]), BATCHED) == {}


@pytest.mark.parametrize("signature", [BATCHED, FIXED, one_of_each((-1,), (-1,))])
def test_what_is_filled_in_is_valid(signature: Signature) -> None:
    blank = config()
    validate({**blank, **complete(blank, signature)}, signature)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input": []}, "lacks the model's required input 'x'"),
        ({"input": [declared("x", 3, optional=True)]}, "'x' cannot be optional in a model that"),
        ({"input": [declared("x", 3), declared("z", 1)]}, "declares input 'z', and .* are 'x'"),
        ({"output": [declared("z", 2)]}, "declares output 'z', and the model's are 'y'"),
        (
            {"input": [declared("x", 3, datatype="TYPE_FP16")]},
            "input 'x' is TYPE_FP32 in the model and TYPE_FP16 in the configuration",
        ),
        ({"input": [declared("x", 4)]}, r"'x' has shape \[-1, 3\] in the model and \[-1, 4\]"),
        ({"output": [declared("y", -1)]}, r"'y' has shape \[-1, 2\] in the model and \[-1, -1\]"),
        ({"max_batch_size": 0}, r"'x' has shape \[-1, 3\] in the model and \[3\]"),
        ({"batch_input": [{}]}, "batch_input is not supported"),
        ({"sequence_batching": {"state": [{}]}}, "sequence_batching.state is not supported"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(fields: dict[str, Any], message: str) -> None:
    fitting = config(max_batch_size=4, input=[declared("x", 3)], output=[declared("y", 2)])
    validate(fitting, BATCHED)
    with pytest.raises(ValueError, match=message):
        validate({**fitting, **fields}, BATCHED)


def test_a_configuration_may_narrow_a_dynamic_input_but_not_an_output() -> None:
    signature = one_of_each((-1, -1), (-1, -1))
    sides = {"input": [declared("x", 8)], "output": [declared("y", -1)]}
    validate(config(max_batch_size=4, **sides), signature)
    with pytest.raises(ValueError, match="output 'y'"):
        validate(config(max_batch_size=4, **{**sides, "output": [declared("y", 8)]}), signature)


def test_a_configured_shape_is_compared_after_its_reshape() -> None:
    reshaped = declared("x", 3, reshape={"shape": [1, 3]})
    validate(config(input=[reshaped], output=[declared("y", 1, 2)]), FIXED)


def test_a_replaceable_weight_may_be_an_optional_input() -> None:
    signature = Signature(FIXED.inputs, FIXED.outputs, (Tensor("w", "TYPE_FP32", (3,)),))
    inputs = [declared("x", 1, 3), declared("w", 3, optional=True)]
    validate(config(input=inputs, output=[declared("y", 1, 2)]), signature)


def test_an_input_that_the_model_needs_may_not_be_optional() -> None:
    inputs = [declared("x", 1, 3, optional=True)]
    with pytest.raises(ValueError, match="lacks the model's required input 'x'"):
        validate(config(input=inputs, output=[declared("y", 1, 2)]), FIXED)


def test_a_sequence_control_counts_as_an_input() -> None:
    signature = Signature((*BATCHED.inputs, Tensor("START", "TYPE_FP32", (-1, 1))), BATCHED.outputs)
    sides = {"input": [declared("x", 3)], "output": [declared("y", 2)]}
    control = {"control_input": [{"name": "START"}]}
    validate(config(max_batch_size=4, sequence_batching=control, **sides), signature)


def test_scalars_have_the_shape_that_the_configuration_gives_them() -> None:
    signature = one_of_each((), (2,))
    fields = config(input=[declared("x", 1, 1)], output=[declared("y", 2)])
    assert scalar_shapes(fields, signature) == {"x": (1, 1)}
