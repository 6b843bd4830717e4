"""What is cut, stacked and dealt out again is what it was, and is copied only where it must be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook import Inference
from trihook.testing import make_model
from trihook.triton.inputs import build_inputs
from trihook.triton.stacking import Part, cut, join, likeness, pad, stack, unstack

MODEL = make_model(inputs=["x INT64 [?]", "n FP32 [2]"], outputs=["y INT64 [?]"], max_batch_size=8)
ROWS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def _item(rows, start=0, **more):
    x = np.arange(start, start + rows * 3).reshape(rows, 3)
    return build_inputs(Inference({"x": x, "n": np.zeros((rows, 2), "f4")}, **more), MODEL)


@given(st.integers(1, 40), st.integers(1, 8))
def test_an_item_is_cut_into_parts_of_at_most_the_limit(rows, limit):
    parts = list(cut(_item(rows), limit))
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(rows))
    assert all(0 < part.rows <= limit for part in parts)


def test_without_rows_there_is_one_part():
    item = _item(3)
    [part] = cut(item, 0)
    assert (part.inputs, part.rows) == (item, 0)


@given(ROWS, st.integers(1, 8))
def test_what_is_stacked_comes_apart_again(counts, limit):
    parts = [part for n, rows in enumerate(counts) for part in cut(_item(rows, 100 * n), limit)]
    whole = {name: np.concatenate(pieces) for name, pieces in stack(parts).items()}
    shares = list(unstack(whole, parts))
    for part, share in zip(parts, shares, strict=True):
        expected = part.inputs.tensors["x"][part.start : part.stop]
        np.testing.assert_array_equal(share["x"], expected)


def test_whole_items_are_not_copied():
    items = [_item(1), _item(2)]
    pieces = stack([Part(item, 0, item.rows) for item in items])["x"]
    assert all(piece is item.tensors["x"] for piece, item in zip(pieces, items, strict=True))


def test_parts_of_an_item_are_views():
    item = _item(4)
    [piece] = stack([Part(item, 1, 3)])["x"]
    assert np.shares_memory(piece, item.tensors["x"])
    assert piece.tolist() == item.tensors["x"][1:3].tolist()


def test_outputs_are_dealt_out_as_views():
    outputs = {"y": np.arange(6).reshape(3, 2)}
    shares = list(unstack(outputs, [Part(_item(1), 0, 1), Part(_item(2), 0, 2)]))
    assert all(np.shares_memory(share["y"], outputs["y"]) for share in shares)


def test_joined_outputs_keep_their_order_and_may_not_be_written():
    joined = join(_item(3), [{"y": np.array([[1]])}, {"y": np.array([[2], [3]])}])
    assert joined["y"].tolist() == [[1], [2], [3]]
    with pytest.raises(ValueError, match="read-only"):
        joined["y"][0] = 0


def test_items_of_one_shape_are_alike_whatever_their_rows():
    assert likeness(_item(1), MODEL) == likeness(_item(5), MODEL)


def test_only_lengths_that_the_model_leaves_open_may_be_padded():
    def item(length, **padding):
        x = np.zeros((1, length), "i8")
        return build_inputs(
            Inference({"x": x, "n": np.zeros((1, 2), "f4")}, padding=padding), MODEL
        )

    assert likeness(item(1, x=0), MODEL) == likeness(item(5, x=0), MODEL)
    assert likeness(item(1), MODEL) != likeness(item(5), MODEL)
    assert likeness(item(1, x=0), MODEL) != likeness(item(5, x=1), MODEL)


def test_one_padding_is_like_itself_even_if_it_is_no_number():
    def item(length):
        n = np.zeros((1, 2), "f4")
        inputs = {"x": np.zeros((1, length), "i8"), "n": n}
        return build_inputs(Inference(inputs, padding={"x": 0, "n": float("nan")}), MODEL)

    assert likeness(item(1), MODEL) == likeness(item(5), MODEL)


def test_items_of_other_parameters_are_not_alike():
    def item(**parameters):
        inputs = {"x": np.zeros((1, 1), "i8"), "n": np.zeros((1, 2), "f4")}
        return likeness(build_inputs(Inference(inputs, parameters=parameters), MODEL), MODEL)

    assert item(a=1, b="c") == item(b="c", a=1)
    assert len({item(), item(a=1), item(a=True), item(a=1.0), item(a="1"), item(b=1)}) == 6


def test_the_parts_of_an_item_are_padded_by_nobody():
    x, n = np.zeros((3, 2), "i8"), np.zeros((3, 2), "f4")
    item = build_inputs(Inference({"x": x, "n": n}, padding={"x": 0}), MODEL)
    assert {bool(part.inputs.padding) for part in cut(item, 3)} == {True}
    assert {bool(part.inputs.padding) for part in cut(item, 2)} == {False}


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_padding_adds_and_changes_nothing(shapes):
    arrays = [np.arange(np.prod(shape)).reshape(shape) for shape in shapes]
    padded = pad(arrays, -1)
    assert len({array.shape[1:] for array in padded}) == 1
    for array, longer in zip(arrays, padded, strict=True):
        corner = longer[tuple(map(slice, array.shape))]
        np.testing.assert_array_equal(corner, array)
        assert (longer == -1).sum() == longer.size - array.size
        assert longer.dtype == array.dtype


def test_texts_are_padded_with_texts():
    short, long = np.array([[b"a"]], object), np.array([[b"b", b"c"]], object)
    assert [array.tolist() for array in pad([short, long], b"")] == [[[b"a", b""]], [[b"b", b"c"]]]


def test_a_number_without_dimensions_is_stacked_as_it_is():
    model = make_model(inputs=["x FP32 []"], outputs=["y FP32 []"])
    item = build_inputs(Inference({"x": 1.5}), model)
    assert stack(list(cut(item, 0)))["x"] == [item.tensors["x"]]
