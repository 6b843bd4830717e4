"""Triton's datatypes in numpy: which dtype holds which, and how values are cast to them.

Source of the names: the Open Inference Protocol's tensor data types, and Triton's BF16.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from trihook.errors import MisfitError

Array: TypeAlias = "np.ndarray[Any, Any]"

BF16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
"""The dtype of BF16 on the wire, in tritonclient's eyes."""

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    # numpy itself has no bfloat16: its values are held, exactly, in float32
    "BF16": np.dtype(np.float32),
    "BYTES": np.dtype(np.object_),
}

_LARGEST = {dtype: float(np.finfo(dtype).max) for dtype in DTYPES.values() if dtype.kind == "f"}


def cast(array: Array, datatype: str) -> Array:
    """Return ``array`` in the numpy dtype of ``datatype``, without changing a value.

    Whole numbers must stay what they are. Floats may be rounded to a shorter float, but not to
    infinity. A float never becomes a whole number, and BOOL and BYTES take only their own kind.
    BYTES come out as an object array of ``bytes``; ``str`` is encoded as UTF-8. Raises
    :class:`MisfitError`, without naming the tensor.
    """
    if datatype == "BYTES":
        return _cast_bytes(array)
    dtype = DTYPES[datatype]
    result = array if array.dtype == dtype else _cast_number(array, dtype, datatype)
    if datatype != "BF16":
        return result
    rounded = round_bf16(result)
    if array.dtype.kind in "iu" and not np.array_equal(rounded, result):
        raise MisfitError(f"a value of {_describe(array)} does not exist in BF16")
    return rounded


def size_of(array: Array) -> int:
    """Return how many bytes the values of a tensor have; texts without their lengths."""
    return sum(map(len, array.ravel())) if array.dtype.kind == "O" else array.nbytes


def round_bf16(array: Array) -> Array:
    """Round a float32 array to the nearest values that bfloat16 has, ties to even.

    A finite value beyond the largest bfloat16 raises :class:`MisfitError`.
    """
    with np.errstate(over="ignore"):
        result = array.astype(BF16).astype(np.float32)
    if not np.array_equal(np.isfinite(result), np.isfinite(array)):
        raise MisfitError("a value is too large for BF16")
    return result


def _cast_number(array: Array, dtype: np.dtype[Any], datatype: str) -> Array:
    if array.dtype == BF16:
        array = array.astype(np.float32)  # numpy itself sees no number in it
    came, wanted = array.dtype.kind, dtype.kind
    if array.size == 0 and came == "f" and array.dtype == np.float64:
        return array.astype(dtype)  # numpy's dtype for an empty list says nothing
    if came not in "iuf" or wanted == "b" or (came == "f" and wanted != "f"):
        raise MisfitError(f"{_describe(array)} cannot be cast to {datatype}")
    if came == wanted == "f" and array.size and _largest(array) <= _LARGEST[dtype]:
        return array.astype(dtype)  # as nearly all are: no look at each result is needed
    with np.errstate(over="ignore", invalid="ignore"):
        result = array.astype(dtype)
    if came == "f":
        if not np.array_equal(np.isfinite(result), np.isfinite(array)):
            raise MisfitError(f"a value is too large for {datatype}")
    elif not _same_integers(array, result):
        raise MisfitError(f"a value of {_describe(array)} does not exist in {datatype}")
    return result


def _largest(array: Array) -> float:
    """Return the greatest distance from zero, or NaN if a value is that."""
    greatest: float = np.maximum.reduce(np.abs(array), axis=None)  # what max() comes to in the end
    return greatest


def _same_integers(array: Array, result: Array) -> bool:
    """Tell whether a cast of whole numbers kept every value."""
    widened = array.dtype.itemsize < result.dtype.itemsize  # numpy calls int64 to float64 safe
    if array.size == 0 or (widened and np.can_cast(array.dtype, result.dtype, "safe")):
        return True
    low, high = int(array.min()), int(array.max())
    if result.dtype.kind in "iu":
        limits = np.iinfo(result.dtype)
        return int(limits.min) <= low and high <= int(limits.max)
    # a float keeps every whole number up to two to the power of its mantissa's length
    if max(-low, high) <= 2 ** (np.finfo(result.dtype).nmant + 1):
        return True
    return bool(np.isfinite(result).all()) and all(
        int(a) == int(b) for a, b in zip(array.flat, result.flat, strict=True)
    )


def _cast_bytes(array: Array) -> Array:
    if array.dtype.kind not in "OSU":
        if array.size == 0:
            return array.astype(object)
        raise MisfitError(f"{_describe(array)} cannot be cast to BYTES: give text or bytes")
    values = array.ravel().tolist()
    try:
        try:
            result = np.fromiter(map(str.encode, values), object, len(values))
        except TypeError:  # not all of them are texts
            result = np.fromiter(map(_to_bytes, values), object, len(values))
    except UnicodeEncodeError:
        raise MisfitError("a text holds a lone surrogate, which UTF-8 cannot encode") from None
    return result.reshape(array.shape)


def _to_bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, list | tuple):
        raise MisfitError("the lists in it are not of one length")
    raise MisfitError(f"an element is {type(value).__name__}, expected text or bytes")


def _describe(array: Array) -> str:
    names = {"b": "boolean", "U": "text", "S": "bytes"}
    if array.dtype.kind != "O":
        return f"{names.get(array.dtype.kind, array.dtype.name)} data"
    kinds = [type(value).__name__ for value in array.flat if not isinstance(value, int | float)]
    return f"data with {kinds[0]} in it" if kinds else "a whole number of over 64 bits"
