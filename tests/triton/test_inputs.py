"""Arrays are fitted where one reading exists, and otherwise refused by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from trihook import Inference, MisfitError, RequestedOutput, TensorSpec
from trihook.testing import make_model
from trihook.triton.dtypes import DTYPES
from trihook.triton.inputs import build_inputs, fit, zeros

FLAT = make_model(inputs=["x FP32 [3]"], outputs=["y FP32 [1]", "z FP32 [1]"])
BATCHED = make_model(
    inputs=["x FP32 [3]", "n INT64 [1]", TensorSpec("o", "BYTES", (1,), optional=True)],
    outputs=["y FP32 [1]"],
    max_batch_size=8,
)


def _spec(datatype="FP32", *shape):
    return TensorSpec("x", datatype, shape)


class Stubborn(np.ndarray):
    """An array that reshapes as numpy's matrix does: not at all."""

    def reshape(self, *shape, **options):
        return self


# shapes


@pytest.mark.parametrize(
    ("declared", "came", "expected"),
    [
        ((3,), (3,), (3,)),
        ((-1,), (5,), (5,)),
        ((-1,), (0,), (0,)),
        ((0,), (0,), (0,)),
        ((2, -1), (2, 0), (2, 0)),
        ((), (), ()),
        ((1,), (), (1,)),
        ((1, 1, 1), (), (1, 1, 1)),
        ((1, 3), (3,), (1, 3)),
        ((1, 1, 2, 2), (2, 2), (1, 1, 2, 2)),
        ((-1, 3), (3,), (1, 3)),
        ((-1, -1), (2,), (1, 2)),
    ],
)
def test_a_shape_that_has_one_reading_is_fitted(declared, came, expected):
    assert fit(np.zeros(came, "f4"), _spec("FP32", *declared)).shape == expected


@pytest.mark.parametrize(
    ("declared", "came"),
    [
        ((3,), (2,)),
        ((3,), (1, 3)),
        ((3,), ()),
        ((2, 3), (3,)),
        ((2, 3), (6,)),
        ((2, 3), (3, 2)),
        ((3, 1), (3,)),
        ((2, 1, 3), (3,)),
        ((), (1,)),
        ((-1,), (2, 2)),
        ((0,), (1,)),
    ],
)
def test_any_other_shape_is_refused_with_both(declared, came):
    spec = _spec("FP32", *declared)
    sizes = ", ".join(map(str, came))
    with pytest.raises(MisfitError) as caught:
        fit(np.zeros(came, "f4"), spec)
    assert str(caught.value) == f"input {spec} does not take an array of shape [{sizes}]"


def test_a_batch_dimension_is_taken_only_where_the_model_has_one():
    array = np.zeros((5, 3), "f4")
    assert fit(array, _spec("FP32", 3), batched=True).shape == (5, 3)
    with pytest.raises(MisfitError):
        fit(array, _spec("FP32", 3))
    with pytest.raises(MisfitError):
        fit(array[np.newaxis], _spec("FP32", 3), batched=True)


def test_a_leading_one_is_not_taken_for_a_batch_dimension():
    assert fit(np.zeros((3, 4), "f4"), _spec("FP32", 1, 3, 4), batched=True).shape == (1, 3, 4)


# values


@pytest.mark.parametrize(
    "value",
    [
        np.arange(12, dtype="f4").reshape(3, 4).T,
        np.arange(24, dtype="f4").reshape(4, 6)[:, ::2],
        np.arange(12, dtype=">f4").reshape(4, 3),
        np.arange(12, dtype="i2").reshape(4, 3),
        np.asfortranarray(np.arange(12, dtype="f8").reshape(4, 3)),
        np.arange(12).reshape(4, 3).view(Stubborn),
        np.arange(12).reshape(4, 3).tolist(),
        tuple(map(tuple, np.arange(12).reshape(4, 3).tolist())),
        [np.zeros(3), np.ones(3), [1, 2, 3], (4, 5, 6)],
        np.broadcast_to(np.float32(1), (4, 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_layout_becomes_contiguous_and_native(value):
    result = fit(value, _spec("FP32", 4, 3))
    assert type(result) is np.ndarray
    assert (result.dtype, result.shape) == (np.float32, (4, 3))
    assert result.flags.c_contiguous
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, np.asarray(value, "f4"))


def test_a_subclass_of_arrays_gets_none_of_its_rules():
    array = np.ones((2, 3), "f4").view(Stubborn)
    assert fit(array, _spec("FP32", 1, 2, 3)).shape == (1, 2, 3)


def test_values_that_numpy_masks_are_not_invented():
    with pytest.raises(MisfitError, match="masked"):
        fit(np.ma.masked_array([1.0, 2.0], [False, True]), _spec("FP32", 2))
    assert fit(np.ma.masked_array([1.0, 2.0]), _spec("FP32", 2)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("values", [[5, 2**63], [2**64 - 1], [0, 2**63 - 1]])
def test_whole_numbers_small_and_huge_may_stand_together(values):
    result = fit(values, _spec("UINT64", -1))
    assert (result.dtype, result.tolist()) == (np.uint64, values)


@pytest.mark.parametrize("values", [[2**64], [-1, 2**63], [0.5, 2**63], ["1", 2**63]])
def test_what_uint64_does_not_hold_is_refused(values):
    with pytest.raises(MisfitError, match=r"input x UINT64 \[\?\] does not take"):
        fit(values, _spec("UINT64", -1))


def test_an_array_like_is_asked_for_its_array():
    class Like:
        def __array__(self, dtype=None, copy=None):
            return np.ones(3)

    assert fit(Like(), _spec("FP32", 3)).tolist() == [1, 1, 1]


def test_an_array_like_that_fails_is_a_misfit():
    class Like:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("it requires grad")

    with pytest.raises(MisfitError, match=r"x FP32 \[3\] does not take what came: Like"):
        fit(Like(), _spec("FP32", 3))


@pytest.mark.parametrize("datatype", ["FP32", "INT64", "BYTES"])
@pytest.mark.parametrize("value", [[[1], [1, 2]], [["a"], ["b", "c"]], ["a", ["b"]], [1, [2]]])
def test_ragged_lists_are_refused(datatype, value):
    with pytest.raises(MisfitError, match=r"does not take what came: |does not take an array"):
        fit(value, _spec(datatype, -1, -1))


def test_ragged_texts_are_called_so():
    with pytest.raises(MisfitError, match="the lists in it are not of one length"):
        fit([["a"], ["b", "c"]], _spec("BYTES", -1, -1))


def test_texts_keep_their_trailing_nuls():
    result = fit([["a\0", b"b\0\0"]], _spec("BYTES", -1, 2))
    assert result.tolist() == [[b"a\0", b"b\0\0"]]


def test_a_single_text_is_a_tensor():
    assert fit("größe", _spec("BYTES", 1)).tolist() == ["größe".encode()]


@given(st.data())
def test_every_array_of_a_datatype_comes_out_as_it_went_in(data):
    datatype = data.draw(st.sampled_from([name for name in DTYPES if name != "BF16"]))
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    elements = st.binary(max_size=3) if datatype == "BYTES" else None
    array = data.draw(arrays.arrays(DTYPES[datatype], shape, elements=elements, fill=st.nothing()))
    declared = [data.draw(st.sampled_from([size, -1])) for size in shape]
    result = fit(array, _spec(datatype, *declared))
    assert (result.dtype, result.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(result, array)


# the inputs of an item


def test_without_a_batch_dimension_tensors_go_as_they_are():
    inputs = build_inputs(Inference({"x": [1, 2, 3]}), FLAT)
    assert (inputs.rows, inputs.squeeze) == (0, False)
    assert inputs.tensors["x"].tolist() == [1, 2, 3]


def test_an_item_without_the_batch_dimension_is_one_row():
    inputs = build_inputs(Inference({"x": [1, 2, 3], "n": 4}), BATCHED)
    assert (inputs.rows, inputs.squeeze) == (1, True)
    assert {name: array.shape for name, array in inputs.tensors.items()} == {
        "x": (1, 3),
        "n": (1, 1),
    }


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_an_item_with_the_batch_dimension_has_its_rows(rows):
    inputs = build_inputs(
        Inference({"x": np.zeros((rows, 3)), "n": np.zeros((rows, 1), int)}), BATCHED
    )
    assert (inputs.rows, inputs.squeeze) == (rows, False)
    assert inputs.tensors["x"].shape == (rows, 3)


def _refusal(inputs, model=BATCHED, outputs=()):
    with pytest.raises(MisfitError) as caught:
        build_inputs(Inference(inputs, outputs), model)
    return str(caught.value)


def test_inputs_with_and_without_the_batch_dimension_do_not_mix():
    problem = _refusal({"x": np.zeros((2, 3)), "n": np.zeros(1, int)})
    assert problem == "x came with a batch dimension and n without"


def test_inputs_must_agree_on_their_rows():
    problem = _refusal({"x": np.zeros((2, 3)), "n": np.zeros((3, 1), int)})
    assert problem == "the inputs differ in their batch dimension: x 2, n 3"


def test_no_rows_are_no_batch():
    problem = _refusal({"x": np.zeros((0, 3)), "n": np.zeros((0, 1), int)})
    assert problem == "the batch dimension is empty"


def test_an_optional_input_may_be_left_out_or_given():
    required = {"x": [1, 2, 3], "n": [1]}
    assert set(build_inputs(Inference(required), BATCHED).tensors) == {"x", "n"}
    given = build_inputs(Inference({**required, "o": ["text"]}), BATCHED)
    assert given.tensors["o"].tolist() == [[b"text"]]


def test_a_required_input_is_missed_by_name():
    assert _refusal({"x": [1, 2, 3]}) == "input n INT64 [1] is missing"


def test_an_undeclared_input_is_refused_by_name():
    problem = _refusal({"x": [1, 2, 3], "w": [1]}, FLAT)
    assert problem == "model 'model' declares no input 'w'; it declares x"


@pytest.mark.parametrize("name", [3, None, b"x"])
def test_an_input_is_named_by_text(name):
    assert "declares no input" in _refusal({name: [1]}, FLAT)


def test_an_undeclared_output_is_refused_by_name():
    problem = _refusal({"x": [1, 2, 3]}, FLAT, (RequestedOutput("w"),))
    assert problem == "model 'model' declares no output 'w'; it declares y, z"


def test_the_outputs_asked_for_are_kept():
    wanted = (RequestedOutput("z", class_count=3),)
    assert build_inputs(Inference({"x": [1, 2, 3]}, wanted), FLAT).outputs == wanted


def test_outputs_may_come_in_any_sequence_with_any_whole_count():
    wanted = [RequestedOutput("y"), RequestedOutput("z", np.int64(3))]
    outputs = build_inputs(Inference({"x": [1, 2, 3]}, wanted), FLAT).outputs
    assert outputs == (RequestedOutput("y"), RequestedOutput("z", 3))
    assert type(outputs[1].class_count) is int


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ("y", "outputs must be several, got str"),
        (None, "outputs must be several, got NoneType"),
        (("y",), "an output must be a RequestedOutput, got str"),
        ((RequestedOutput("y", 0.5),), "class_count of output 'y' must be a whole number"),
        ((RequestedOutput("y", -1),), "class_count of output 'y' must be a whole number"),
        ((RequestedOutput("y", 2**31),), "class_count of output 'y' must be a whole number"),
        ((RequestedOutput(None),), "declares no output None"),
    ],
)
def test_what_are_no_outputs_is_refused(outputs, problem):
    assert problem in _refusal({"x": [1, 2, 3]}, FLAT, outputs)


RAGGED = make_model(
    inputs=[
        "ids INT64 [?]",
        TensorSpec("words", "BYTES", (-1,), optional=True),
        TensorSpec("mask", "INT64", (-1,), optional=True),
    ],
    outputs=["y FP32 [1]"],
    max_batch_size=8,
)


def test_padding_is_of_the_datatype_of_its_input_and_only_of_those_given():
    given = {"ids": [1, 2], "words": ["a", "b"]}
    padding = {"ids": np.int32(7), "words": "", "mask": 0}
    read = build_inputs(Inference(given, padding=padding), RAGGED).padding
    assert read == {"ids": 7, "words": b""}
    assert type(read["ids"]) is int


@pytest.mark.parametrize(
    ("padding", "problem"),
    [
        ({"idz": 0}, "padding is given for 'idz', which is no input"),
        ({"ids": "x"}, "input ids INT64 [?] does not take its padding: text data"),
        ({"ids": 0.5}, "input ids INT64 [?] does not take its padding: float64 data"),
        ({"ids": [0]}, "padding of input ids INT64 [?] must be a single value"),
        (0, "padding must be a mapping of inputs, got int"),
    ],
)
def test_padding_that_does_not_fit_is_refused(padding, problem):
    with pytest.raises(MisfitError) as caught:
        build_inputs(Inference({"ids": [1]}, padding=padding), RAGGED)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    "value", [[True, 2, 3], [1.5, False, 0], (1, 2, np.True_), [[1, 2], [True, 4]]]
)
@pytest.mark.parametrize("datatype", ["INT64", "FP32"])
def test_booleans_among_numbers_are_no_numbers(datatype, value):
    shape = (2, 2) if isinstance(value[0], list) else (3,)
    with pytest.raises(MisfitError, match="there are booleans among its numbers"):
        fit(value, _spec(datatype, *shape))


def test_parameters_are_kept():
    given = {"sequence_id": 7, "sequence_start": True, "mode": "fast", "weight": 0.5}
    for model, inputs in ((FLAT, {"x": [1, 2, 3]}), (BATCHED, {"x": [1, 2, 3], "n": 1})):
        assert build_inputs(Inference(inputs, parameters=given), model).parameters == given


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"binary_data_output": False}, "parameter 'binary_data_output' is not a plugin's to give"),
        ({3: 1}, "parameter 3 is not a plugin's to give"),
        ({"a": [1]}, "parameter 'a' must be true or false, a number or text, got list"),
        ({"a": 2**63}, f"parameter 'a' is {2**63}, expected a finite number of 64 bits"),
        ({"a": float("nan")}, "parameter 'a' is nan, expected a finite number of 64 bits"),
        ({"a": np.float32("inf")}, "parameter 'a' is inf, expected a finite number of 64 bits"),
        ({"a": "\ud800"}, "parameter 'a' holds a lone surrogate, which is no text"),
        ({"\ud800": 1}, "parameter '\\ud800' is not a plugin's to give"),
        ({"a": b"b"}, "parameter 'a' must be true or false, a number or text, got bytes"),
        (None, "parameters must be a mapping, got NoneType"),
    ],
)
def test_what_are_no_parameters_is_refused(parameters, problem):
    with pytest.raises(MisfitError) as caught:
        build_inputs(Inference({"x": [1, 2, 3]}, parameters=parameters), FLAT)
    assert str(caught.value) == problem


def test_numbers_of_numpy_are_parameters_as_python_s_are():
    given = {"a": np.float64(0.5), "b": np.int64(-7), "c": np.bool_(True), "d": np.str_("e")}
    read = build_inputs(Inference({"x": [1, 2, 3]}, parameters=given), FLAT).parameters
    assert read == {"a": 0.5, "b": -7, "c": True, "d": "e"}
    assert [type(value) for value in read.values()] == [float, int, bool, str]


def test_without_a_batch_dimension_nothing_is_padded():
    inference = Inference({"x": [1, 2, 3]}, padding={"x": 0})
    assert build_inputs(inference, FLAT).padding == {}


def test_tensors_are_in_the_order_that_the_model_declares():
    inputs = build_inputs(Inference({"o": "t", "n": 1, "x": [1, 2, 3]}), BATCHED)
    assert list(inputs.tensors) == ["x", "n", "o"]


@pytest.mark.parametrize("datatype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (-1, 2), (0,), (-1, -1)])
def test_zeros_fit(datatype, shape):
    spec = TensorSpec("x", datatype, shape)
    array = zeros(spec)
    assert array.shape == tuple(1 if size < 0 else size for size in shape)
    assert not any(array.flat)
    np.testing.assert_array_equal(fit(array, spec), array)
