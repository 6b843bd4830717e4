"""Casts keep every value, or say which one they cannot keep."""

import math
from decimal import Decimal

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from trihook import MisfitError
from trihook.triton.dtypes import BF16, DTYPES, cast, round_bf16, size_of

INTEGERS = [name for name in DTYPES if "INT" in name]
FLOATS = ["FP16", "FP32", "FP64", "BF16"]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def _limits(datatype):
    limits = np.iinfo(DTYPES[datatype])
    return int(limits.min), int(limits.max)


def test_the_datatypes_are_tritons():
    assert set(DTYPES) == {
        "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
        "FP16", "FP32", "FP64", "BF16", "BYTES",
    }  # fmt: skip


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name not in ("BYTES", "BF16")])
def test_an_array_of_the_dtype_is_taken_as_it_is(datatype):
    array = np.zeros((2, 3), DTYPES[datatype])
    assert cast(array, datatype) is array


@pytest.mark.parametrize("datatype", DTYPES)
def test_an_empty_list_is_an_empty_tensor_of_any_datatype(datatype):
    result = cast(np.asarray([[], []]), datatype)
    assert (result.shape, result.dtype) == ((2, 0), DTYPES[datatype])


# whole numbers


@pytest.mark.parametrize("datatype", INTEGERS)
@pytest.mark.parametrize("came", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i8", ">u4"])
def test_whole_numbers_are_kept_or_refused(datatype, came):
    low, high = _limits(datatype)
    own = np.iinfo(came)
    for value in (low, high, low - 1, high + 1, 0, 1, -1):
        if own.min <= value <= own.max:
            array = np.array([value, 0], came)
            if low <= value <= high:
                result = cast(array, datatype)
                assert result.dtype == DTYPES[datatype]
                assert result.tolist() == [value, 0]
            else:
                with pytest.raises(MisfitError, match=f"does not exist in {datatype}"):
                    cast(array, datatype)


@given(
    st.sampled_from(FLOATS),
    arrays.arrays(st.sampled_from(["i8", "u8", "i4"]), SHAPES),
)
def test_whole_numbers_become_floats_only_exactly(datatype, array):
    try:
        result = cast(array, datatype)
    except MisfitError:
        assert not all(_has(datatype, int(value)) for value in array.flat)
        return
    assert [int(value) for value in result.flat] == [int(value) for value in array.flat]


def _has(datatype, value):
    """Tell whether a float datatype has a whole number, by its bits."""
    dtype = ml_dtypes.bfloat16 if datatype == "BF16" else DTYPES[datatype]
    limits = ml_dtypes.finfo(dtype)
    odd = abs(value)
    while odd and odd % 2 == 0:
        odd //= 2
    return odd.bit_length() <= limits.nmant + 1 and abs(value) <= int(limits.max)


@pytest.mark.parametrize(
    ("datatype", "largest"), [("FP16", 2**11), ("FP32", 2**24), ("FP64", 2**53), ("BF16", 2**8)]
)
def test_the_first_whole_number_that_a_float_lacks_is_refused(datatype, largest):
    assert cast(np.array([-largest, largest, largest + 2]), datatype).tolist() == [
        -largest, largest, largest + 2,
    ]  # fmt: skip
    with pytest.raises(MisfitError, match=f"does not exist in {datatype}"):
        cast(np.array([0, largest + 1]), datatype)


# floats


@pytest.mark.parametrize("datatype", INTEGERS)
@pytest.mark.parametrize("came", ["f2", "f4", "f8"])
def test_a_float_never_becomes_a_whole_number(datatype, came):
    with pytest.raises(MisfitError, match=f"cannot be cast to {datatype}"):
        cast(np.array([1.0], came), datatype)


@pytest.mark.parametrize(("came", "datatype"), [("f8", "FP32"), ("f8", "FP16"), ("f4", "FP16")])
def test_a_float_is_rounded_to_a_shorter_one(came, datatype):
    assert cast(np.array([0.1], came), datatype) == DTYPES[datatype].type(0.1)


@pytest.mark.parametrize(
    ("datatype", "value"), [("FP16", 65520.0), ("FP32", 3.5e38), ("BF16", 3.4e38), ("BF16", 1e300)]
)
def test_a_float_is_not_rounded_to_infinity(datatype, value):
    for each in (value, -value):
        with pytest.raises(MisfitError, match=f"too large for {datatype}"):
            cast(np.array([1.0, each]), datatype)


@pytest.mark.parametrize("datatype", FLOATS)
def test_infinity_and_nan_stay_what_they_are(datatype):
    result = cast(np.array([math.inf, -math.inf, math.nan, 1.0]), datatype)
    assert np.isposinf(result[0])
    assert np.isneginf(result[1])
    assert np.isnan(result[2])
    assert result[3] == 1.0


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_a_big_endian_array_is_turned(datatype):
    array = np.array([1.5, -2.0], DTYPES[datatype].newbyteorder(">"))
    result = cast(array, datatype)
    assert result.dtype == DTYPES[datatype]
    assert result.dtype.isnative
    assert result.tolist() == [1.5, -2.0]


@given(arrays.arrays("f4", SHAPES))
def test_bf16_is_rounded_as_ml_dtypes_rounds(array):
    with np.errstate(all="ignore"):
        expected = array.astype(ml_dtypes.bfloat16).astype("f4")
    if np.array_equal(np.isfinite(expected), np.isfinite(array)):
        result = round_bf16(array)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(round_bf16(result), expected)
    else:
        with pytest.raises(MisfitError, match="too large for BF16"):
            round_bf16(array)


# booleans


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BOOL"])
def test_a_boolean_is_nothing_else(datatype):
    with pytest.raises(MisfitError):
        cast(np.array([True]), datatype)


@pytest.mark.parametrize("array", [np.array([1]), np.array([1.0]), np.array(["True"])], ids=repr)
def test_nothing_else_is_a_boolean(array):
    with pytest.raises(MisfitError, match="cannot be cast to BOOL"):
        cast(array, "BOOL")


# texts and bytes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("größe", "größe".encode()),
        (b"\x00\xff\x00\x00", b"\x00\xff\x00\x00"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        (np.str_("a"), b"a"),
        (np.bytes_(b"a"), b"a"),
        ("", b""),
    ],
    ids=repr,
)
def test_texts_and_bytes_become_bytes(value, expected):
    array = np.empty((1, 1), object)
    array[0, 0] = value
    result = cast(array, "BYTES")
    assert (result.dtype, result.shape, result.tolist()) == (object, (1, 1), [[expected]])
    assert type(result[0, 0]) is bytes


def test_arrays_of_text_become_bytes():
    assert cast(np.array(["a", "öö"]), "BYTES").tolist() == [b"a", "öö".encode()]
    assert cast(np.array([b"a", b"bb"]), "BYTES").tolist() == [b"a", b"bb"]
    assert cast(np.array("a"), "BYTES").tolist() == b"a"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "NoneType, expected text or bytes"),
        (1, "int, expected text or bytes"),
        (["a"], "not of one length"),
        ({"b64": ""}, "dict, expected text or bytes"),
        ("\ud800", "lone surrogate"),
    ],
    ids=repr,
)
def test_anything_else_is_no_text(value, words):
    array = np.empty(1, object)
    array[0] = value
    with pytest.raises(MisfitError, match=words):
        cast(array, "BYTES")


@pytest.mark.parametrize("array", [np.array([1]), np.array([1.5]), np.array([True])], ids=repr)
def test_numbers_are_no_texts(array):
    with pytest.raises(MisfitError, match="cannot be cast to BYTES: give text or bytes"):
        cast(array, "BYTES")


@given(st.lists(st.binary()))
def test_bytes_are_kept_to_the_last(values):
    array = np.array([*values, None], object)[:-1]
    assert cast(array, "BYTES").tolist() == values


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
@pytest.mark.parametrize(
    "array",
    [
        np.array(["1"]),
        np.array([b"1"]),
        np.array([None]),
        np.array([1j]),
        np.array(["2020"], "M8[D]"),
    ],
    ids=repr,
)
def test_what_is_no_number_is_no_number(datatype, array):
    with pytest.raises(MisfitError, match=f"cannot be cast to {datatype}"):
        cast(array, datatype)


@pytest.mark.parametrize("datatype", ["BF16", "FP16", "FP32", "FP64"])
def test_an_array_of_bfloat16_is_one_of_floats(datatype):
    came = np.array([1.5, -2.0, np.inf], BF16)
    assert cast(came, datatype).tolist() == [1.5, -2.0, np.inf]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([1.0, None], "data with NoneType in it"),
        ([Decimal(1)], "data with Decimal in it"),
        ([10**40, 1.5], "a whole number of over 64 bits"),
    ],
)
def test_what_is_among_numbers_and_is_none_is_named(values, what):
    with pytest.raises(MisfitError) as caught:
        cast(np.array(values, object), "FP32")
    assert str(caught.value) == f"{what} cannot be cast to FP32"


# sizes


@pytest.mark.parametrize(
    ("array", "size"),
    [
        (np.zeros((2, 3), np.float32), 24),
        (np.array([[b"four", b""], [b"x", bytes(1000)]], object), 1005),
        (np.empty(0, object), 0),
    ],
)
def test_a_size_is_that_of_the_values(array, size):
    assert size_of(array) == size
