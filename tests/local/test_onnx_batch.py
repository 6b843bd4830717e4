"""Several requests as one inference, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trihook.local.backends.onnxruntime.onnx_batch import (
    Call,
    group_by_shape,
    requested,
    split,
    stack,
)


def call(index: int, *outputs: str, **arrays: np.ndarray[Any, Any]) -> Call:
    return Call(index, arrays, outputs, len(next(iter(arrays.values()))))


def text(*elements: bytes) -> np.ndarray[Any, Any]:
    return np.array(elements, dtype=object).reshape(1, -1)


def test_calls_are_grouped_by_the_shapes_of_their_rows() -> None:
    calls = [
        call(0, x=np.zeros((1, 3))),
        call(1, x=np.zeros((2, 4))),
        call(2, x=np.zeros((5, 3))),
        call(3, x=np.zeros((1, 3)), mask=np.zeros((1, 3))),
    ]
    groups = [[member.place for member in group] for group in group_by_shape(calls)]
    assert groups == [[0, 2], [1], [3]]
    assert group_by_shape([]) == []


def test_rows_are_stacked_and_handed_back_to_their_calls() -> None:
    calls = [call(0, "y", x=np.array([[1], [2]])), call(1, "y", x=np.array([[3]]))]
    replies = split({"y": stack(calls)["x"] * 10}, calls)
    assert [reply["y"].tolist() for reply in replies] == [[[10], [20]], [[30]]]


def test_the_numbers_of_a_single_call_are_not_copied() -> None:
    array = np.zeros((2, 2))
    assert stack([call(0, x=array)])["x"] is array


def test_rows_are_handed_back_as_views() -> None:
    output = np.zeros((2, 2))
    replies = split({"y": output}, [call(0, "y", x=output[:1]), call(1, "y", x=output[1:])])
    assert all(np.shares_memory(reply["y"], output) for reply in replies)


def test_each_call_gets_the_outputs_that_it_asked_for() -> None:
    calls = [call(0, "b", x=np.zeros((1, 1))), call(1, "b", "a", x=np.zeros((1, 1)))]
    assert requested(calls, ["a", "b", "c"]) == ["a", "b"]
    rows = np.zeros((2, 1))
    assert [sorted(reply) for reply in split({"a": rows, "b": rows}, calls)] == [["b"], ["a", "b"]]


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)])
def test_an_output_that_is_not_batched_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"output 'y' has shape .* for a batch of 2"):
        split({"y": np.zeros(shape)}, [call(0, "y", x=np.zeros((2, 2)))])


def test_bytes_become_text() -> None:
    calls = [call(0, x=text(b"a\0b", "å".encode())), call(1, x=text(b"", b"c"))]
    assert stack(calls)["x"].tolist() == [["a\0b", "å"], ["", "c"]]


def test_bytes_that_are_not_text_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="input 'x' has an element that is not UTF-8"):
        stack([call(0, x=text(b"\xff"))])
