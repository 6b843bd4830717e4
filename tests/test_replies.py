"""Replies are JSON that every parser takes, or the bytes that the plugin made."""

import json
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from trihook import PayloadError, Reply
from trihook.replies import encode_json, encode_predictions, encode_reply, error_object

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0).flatmap(
    lambda shape: arrays.arrays(
        st.sampled_from(["<i4", ">i8", "u1", "?", "<f8", ">f4", "f2", "<u8"]), shape
    )
)


@given(JSON_VALUES)
def test_json_values_survive(value):
    assert json.loads(encode_json(value)) == value


@given(NUMBERS)
def test_arrays_are_nested_lists_whatever_their_layout(array):
    for each in (array, array.T, array[..., ::2] if array.ndim else array):
        decoded = np.array(json.loads(encode_json(each)), dtype=float).reshape(each.shape)
        expected = each.astype(float)
        expected[~np.isfinite(expected)] = np.nan
        np.testing.assert_allclose(decoded, expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "null"),
        (np.float32("inf"), "null"),
        (np.array([1.5, np.nan]), "[1.5,null]"),
        (np.float64(0.1), "0.1"),
        (np.int64(2**62), str(2**62)),
        (np.bool_(True), "true"),
        (np.array(["a", "ö"]), '["a","ö"]'),
        (np.str_("a"), '"a"'),
        ({1: "a"}, '{"1":"a"}'),
        ((1, 2), "[1,2]"),
        ([b"a", "\u00f6".encode()], '["a","ö"]'),
        (np.array([[b"a", "b"]], object), '[["a","b"]]'),
        (np.array([b"a"]), '["a"]'),
        ({"x": b"\xff"}, '{"x":{"b64":"/w=="}}'),
    ],
    ids=repr,
)
def test_numpy_values_and_what_json_lacks(value, text):
    assert encode_json(value).decode() == text


LOOP = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (object(), "it holds object"),
        ({1, 2}, "it holds set"),
        (2**64, "it holds a whole number of over 64 bits"),
        ("\ud800", "it holds half a surrogate pair, which is no text"),
        (1j, "it holds complex"),
        (np.array([{1}], object), "it holds set"),
        ({np.int64(1): 2}, "it holds a key that is neither text nor a number of Python's own"),
        (np.zeros(1, ml_dtypes.bfloat16), "it holds ndarray"),
        (np.array(["2020"], "M8[Y]").view("V8"), "it holds ndarray"),
        (LOOP, "it is nested too deeply, or holds itself"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_has_no_form_for_is_named(value, problem):
    with pytest.raises(TypeError) as caught:
        encode_json([value])
    assert str(caught.value) == problem


def test_bytes_alone_lack_a_media_type():
    with pytest.raises(TypeError, match="it is bytes, which have a media type of their own"):
        encode_json(b"\x89PNG")


def test_a_json_reply_is_encoded():
    assert encode_reply(Reply({"a": np.arange(2)})) == b'{"a":[0,1]}'


@pytest.mark.parametrize("value", [b"\x89PNG", "text"])
def test_another_media_type_is_taken_as_it_stands(value):
    expected = value if isinstance(value, bytes) else value.encode()
    assert encode_reply(Reply(value, media_type="image/png")) == expected


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": 1}, "it is dict, neither bytes nor text"),
        (3, "it is int, neither bytes nor text"),
        (None, "it is NoneType, neither bytes nor text"),
        ("\udcff", "it holds half a surrogate pair, which is no text"),
    ],
    ids=ascii,
)
def test_another_media_type_takes_nothing_but_bytes_and_text(value, problem):
    with pytest.raises(TypeError) as caught:
        encode_reply(Reply(value, media_type="image/png"))
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("media_type", "value", "body"),
    [
        ("application/problem+json", {"title": "x"}, b'{"title":"x"}'),
        ("Application/JSON", "text", b'"text"'),
        ("application/json; charset=utf-8", [np.float32(1)], b"[1.0]"),
        ("application/json; charset=utf-8", b"[ready]", b"[ready]"),
        ("application/problem+json", '{"title":"x"}', b'{"title":"x"}'),
    ],
)
def test_values_are_encoded_for_every_kind_of_json_and_bodies_are_not(media_type, value, body):
    assert encode_reply(Reply(value, media_type=media_type)) == body


def test_an_error_tells_the_caller_exactly_this():
    error = PayloadError("no picture", stage="preprocess", plugin="pillow")
    assert error_object(error, "id-1") == {
        "message": "no picture",
        "code": "bad_payload",
        "stage": "preprocess",
        "plugin": "pillow",
        "request_id": "id-1",
    }


@given(st.lists(JSON_VALUES, max_size=4))
def test_predictions_are_a_list_in_order(values):
    body = encode_predictions([encode_json(value) for value in values])
    assert json.loads(body) == {"predictions": values}


@pytest.mark.parametrize("value", [1.5, {"outputs": {"y": np.ones(8, "f4")}}, "x" * 900])
def test_a_short_body_takes_no_more_room_than_it_needs(value):
    size = len(encode_json(value))
    tracemalloc.start()
    bodies = [encode_json(value) for _ in range(200)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / len(bodies) < size + 200
