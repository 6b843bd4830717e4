"""BYTES tensors as Triton hands them over, taken apart.

This module runs in Triton's Python stub too, and imports numpy alone.
"""

from __future__ import annotations

import struct
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"

_read_length = struct.Struct("<I").unpack_from


def deserialize(encoded: Array) -> Array:
    """Return the elements of a tensor of bytes, each of which has its length before it.

    Stands in for Triton's own ``deserialize_bytes_tensor``, which takes four times as long:
    for a text of some hundred words, in words and characters, as long as the model itself.
    Returns a flat array of objects; raises ``struct.error`` where an element is cut off.
    """
    data = encoded.tobytes()
    elements = []
    end = 0
    while end < len(data):
        start = end + 4
        end = start + _read_length(data, end)[0]
        elements.append(data[start:end])
    if end > len(data):
        raise struct.error("the last element is cut off")
    return np.array(elements, dtype=object)
