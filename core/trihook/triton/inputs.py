"""Input construction: what a plugin returned for an item, fitted to what the model declares.

Pure: arrays in, arrays out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trihook.errors import MisfitError
from trihook.triton.asked import read_outputs, read_parameters
from trihook.triton.dtypes import DTYPES, Array, cast
from trihook.types import (
    Inference,
    JsonValue,
    Model,
    Parameter,
    RequestedOutput,
    Scalar,
    TensorSpec,
)

_BOOLEANS = frozenset({bool, np.bool_})
_LISTS = (list, tuple)


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The input tensors of one item, ready to be stacked or sent.

    Where the model has a batch dimension every tensor has it too, with ``rows`` rows, and
    ``squeeze`` says that the item came without it and wants its outputs so; else ``rows`` is 0.
    ``padding`` are the values that fill up those inputs that may be made longer, ``parameters``
    those of the request to Triton.
    """

    tensors: Mapping[str, Array]
    rows: int = 0
    squeeze: bool = False
    outputs: tuple[RequestedOutput, ...] = ()
    padding: Mapping[str, Scalar] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def build_inputs(inference: Inference, model: Model) -> Inputs:
    """Fit all inputs of one item and their padding, and check the outputs that it asks for.

    Raises :class:`MisfitError` for an input or output that the model does not declare, an input
    that is missing, an array or padding that does not fit, what is no :class:`RequestedOutput` or
    parameter, or inputs that disagree on the batch dimension.
    """
    _check_names(inference, model)
    outputs, padding = read_outputs(inference.outputs, model), _read_padding(inference, model)
    parameters = read_parameters(inference.parameters)
    fitted = {
        spec.name: fit(inference.inputs[spec.name], spec, batched=model.max_batch_size > 0)
        for spec in model.inputs
        if spec.name in inference.inputs
    }
    if not model.max_batch_size:  # and nothing shares an inference, so nothing is padded
        return Inputs(fitted, outputs=outputs, parameters=parameters)
    rows = _count_rows(fitted, model)
    if not rows:
        fitted = {name: array[np.newaxis] for name, array in fitted.items()}
    return Inputs(fitted, rows or 1, not rows, outputs, padding, parameters)


def fit(value: ArrayLike | JsonValue, spec: TensorSpec, *, batched: bool = False) -> Array:
    """Return ``value`` as an array of the datatype and shape that ``spec`` declares.

    Leading dimensions of length 1 that are declared and missing are added. Where the model is
    ``batched``, an array with one dimension more than declared keeps it, as its batch
    dimension. The result is C-contiguous.
    Raises :class:`MisfitError`, naming the tensor, what it declares and what came.
    """
    try:
        array = cast(_to_array(value, spec), spec.datatype)
    except MisfitError as exc:
        raise MisfitError(f"input {spec} does not take what came: {exc}") from exc
    missing = len(spec.shape) - array.ndim
    if missing > 0 and all(size in (1, -1) for size in spec.shape[:missing]):
        array = array.reshape((1,) * missing + array.shape)
    row = array.shape[1:] if batched and array.ndim > len(spec.shape) else array.shape
    if row != spec.shape and not _matches(row, spec.shape):
        came = ", ".join(map(str, array.shape))
        raise MisfitError(f"input {spec} does not take an array of shape [{came}]")
    return array if array.flags.c_contiguous else np.require(array, requirements="C")


def _to_array(value: ArrayLike | JsonValue, spec: TensorSpec) -> Array:
    if isinstance(value, np.ndarray):
        if isinstance(value, np.ma.MaskedArray) and np.any(value.mask):
            raise MisfitError("some of its values are masked")
        return np.asarray(value)  # subclasses have rules of their own
    try:
        array = np.asarray(value, dtype=object if spec.datatype == "BYTES" else None)
    except Exception as exc:  # an array-like may raise whatever it likes
        is_list = isinstance(value, list | tuple)
        came = "the lists in it are not of one length" if is_list else type(value).__name__
        raise MisfitError(came) from exc
    if array.dtype.kind in "iuf" and isinstance(value, _LISTS):
        _check_kinds(value, array.ndim)
    if spec.datatype == "UINT64" and array.dtype == np.float64:
        return _reread_integers(value, array)
    return array


def _check_kinds(value: Iterable[Any], depth: int) -> None:
    """Refuse booleans among numbers, which numpy makes numbers of."""
    for _ in range(depth - 1):
        value = chain.from_iterable(value)
    if not _BOOLEANS.isdisjoint(map(type, value)):
        raise MisfitError("there are booleans among its numbers")


def _reread_integers(value: ArrayLike | JsonValue, array: Array) -> Array:
    """Return lists of whole numbers below and above 2**63 exactly: numpy makes them floats."""
    exact = np.asarray(value, dtype=object)
    if array.size and all(type(number) is int and 0 <= number < 2**64 for number in exact.flat):
        return exact.astype(np.uint64)
    return array


def _matches(shape: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    return len(shape) == len(declared) and all(
        want in (-1, size) for size, want in zip(shape, declared, strict=True)
    )


def _check_names(inference: Inference, model: Model) -> None:
    declared = [spec.name for spec in model.inputs]
    for name in inference.inputs:
        if name not in declared:
            raise MisfitError(
                f"model {model.name!r} declares no input {name!r}; "
                f"it declares {', '.join(declared)}"
            )
    for spec in model.inputs:
        if not spec.optional and spec.name not in inference.inputs:
            raise MisfitError(f"input {spec} is missing")


def _read_padding(inference: Inference, model: Model) -> dict[str, Scalar]:
    """Return the padding of the inputs that were given, in their datatypes."""
    padding: Any = inference.padding
    if type(padding) is dict and not padding:
        return {}
    if not isinstance(padding, Mapping):
        raise MisfitError(f"padding must be a mapping of inputs, got {type(padding).__name__}")
    read: dict[str, Scalar] = {}
    for name, value in padding.items():
        spec = model.input(name)
        if spec is None:
            raise MisfitError(f"padding is given for {name!r}, which is no input")
        if name in inference.inputs:
            read[name] = _read_padding_value(value, spec)
    return read


def _read_padding_value(value: Any, spec: TensorSpec) -> Scalar:
    try:
        fitted = cast(_to_array(value, spec), spec.datatype)
    except MisfitError as exc:
        raise MisfitError(f"input {spec} does not take its padding: {exc}") from exc
    if fitted.ndim:
        raise MisfitError(f"padding of input {spec} must be a single value")
    single: Scalar = fitted.item()
    return single


def _count_rows(fitted: Mapping[str, Array], model: Model) -> int:
    """Return how many rows the tensors of a batch have, 0 where they have no batch dimension."""
    having = [
        spec.name
        for spec in model.inputs
        if spec.name in fitted and fitted[spec.name].ndim > len(spec.shape)
    ]
    if not having:
        return 0
    if len(having) < len(fitted):
        lacking = [name for name in fitted if name not in having]
        raise MisfitError(
            f"{', '.join(having)} came with a batch dimension and {', '.join(lacking)} without"
        )
    sizes = {name: array.shape[0] for name, array in fitted.items()}
    if len(set(sizes.values())) > 1:
        came = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise MisfitError(f"the inputs differ in their batch dimension: {came}")
    rows = next(iter(sizes.values()))
    if rows == 0:
        raise MisfitError("the batch dimension is empty")
    return rows


def zeros(spec: TensorSpec) -> Array:
    """Return the smallest array that fits ``spec``, of zeros or empty texts, -1 read as 1."""
    shape = tuple(max(size, 1) if size < 0 else size for size in spec.shape)
    if spec.datatype == "BYTES":
        return np.full(shape, b"", dtype=object)
    return np.zeros(shape, DTYPES[spec.datatype])
