"""BYTES tensors are taken apart as Triton's own function does it."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook.local.backends.onnxruntime.onnx_strings import deserialize


def _encode(elements):
    return np.frombuffer(b"".join(struct.pack("<I", len(e)) + e for e in elements), np.uint8)


@given(st.lists(st.binary(max_size=300)))
def test_the_elements_are_those_that_were_put_together(elements):
    array = deserialize(_encode(elements))
    assert (array.dtype, array.shape) == (object, (len(elements),))
    assert array.tolist() == elements


def test_a_long_element_is_one():
    assert deserialize(_encode([b"x" * 70_000, b""])).tolist() == [b"x" * 70_000, b""]


@pytest.mark.parametrize("length", range(1, 7))
def test_an_element_that_is_cut_off_is_an_error(length):
    with pytest.raises(struct.error):
        deserialize(_encode([b"xyz"])[:length])
