"""Items cut into parts, parts stacked into a batch, and a batch's outputs dealt out again.

Pure: arrays in, arrays out. Nothing is copied that need not be: a batch is the list of its
parts' arrays, which the wire format writes one after the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from trihook.triton.dtypes import Array
from trihook.triton.inputs import Inputs
from trihook.types import Model, Scalar

Pieces: TypeAlias = "Mapping[str, Sequence[Array]]"
"""Tensors by name, each in pieces along the batch dimension; one piece where there is none."""


class Part:
    """Rows ``start`` to ``stop`` of an item, ``rows`` of them; 0 to 0 where there are no rows."""

    __slots__ = ("inputs", "rows", "start", "stop")

    def __init__(self, inputs: Inputs, start: int = 0, stop: int = 0) -> None:
        self.inputs, self.start, self.stop = inputs, start, stop
        self.rows = stop - start


def cut(item: Inputs, limit: int) -> list[Part]:
    """Return the parts of an item, at most ``limit`` rows each; one part where it has no rows.

    Of several parts none is padded: their outputs belong together, and must be of one length.
    """
    if not limit:
        return [Part(item)]
    if item.rows <= limit:
        return [Part(item, 0, item.rows)]
    if item.padding:
        item = replace(item, padding={})
    starts = range(0, item.rows, limit)
    return [Part(item, start, min(start + limit, item.rows)) for start in starts]


def likeness(item: Inputs, model: Model) -> Hashable:
    """Return what two items must have in common to share a batch: shapes, outputs, parameters.

    The lengths that an item lets be padded do not count.
    """
    tensors = item.tensors.items()
    shapes: Hashable
    if item.padding:
        shapes = tuple(
            [(name, _shape_of_likes(name, array, item, model)) for name, array in tensors]
        )
    else:
        shapes = tuple([(name, array.shape[1:]) for name, array in tensors])
    # by how they are written: true is not 1, and no NaN is like another to Python
    parameters = repr(sorted(item.parameters.items())) if item.parameters else ""
    return shapes, item.outputs, parameters


def _shape_of_likes(name: str, array: Array, item: Inputs, model: Model) -> Hashable:
    shape = array.shape[1:]
    if name not in item.padding:
        return shape
    spec = model.input(name)
    declared = spec.shape if spec is not None else shape
    fixed = tuple(-1 if want < 0 else size for size, want in zip(shape, declared, strict=True))
    return fixed, repr(item.padding[name])


def stack(parts: Sequence[Part]) -> Pieces:
    """Return a batch's input tensors in pieces, in the order of the parts.

    Those that may be padded are, at their ends, to the longest among them.
    """
    if len(parts) == 1:
        return {name: [_slice(array, parts[0])] for name, array in parts[0].inputs.tensors.items()}
    first = parts[0].inputs
    pieces = {
        name: [_slice(part.inputs.tensors[name], part) for part in parts] for name in first.tensors
    }
    for name, value in first.padding.items():
        pieces[name] = pad(pieces[name], value)
    return pieces


def _slice(array: Array, part: Part) -> Array:
    is_whole = not part.rows or part.rows == len(array)
    return array if is_whole else array[part.start : part.stop]


def pad(arrays: Sequence[Array], value: Scalar) -> list[Array]:
    """Return the arrays, each filled up with ``value`` at the ends of all but its first dimension.

    They then have one shape but for the first dimension, and their common dtype.
    """
    shape = tuple(np.max([array.shape[1:] for array in arrays], axis=0))
    return [array if array.shape[1:] == shape else _fill(array, shape, value) for array in arrays]


def _fill(array: Array, shape: tuple[int, ...], value: Scalar) -> Array:
    filled = np.full((len(array), *shape), value, array.dtype)
    filled[tuple(map(slice, array.shape))] = array
    return filled


def unstack(outputs: Mapping[str, Array], parts: Iterable[Part]) -> Iterator[dict[str, Array]]:
    """Yield each part's share of a batch's outputs, as views."""
    at = 0
    for part in parts:
        if part.rows:
            yield {name: array[at : at + part.rows] for name, array in outputs.items()}
        else:
            yield dict(outputs)
        at += part.rows


def join(item: Inputs, shares: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Bring the outputs of one item's parts together, in order, and give them its own shape."""
    whole = shares[0]
    if len(shares) > 1:
        whole = {name: np.concatenate([share[name] for share in shares]) for name in whole}
        for array in whole.values():
            array.flags.writeable = False
    return {name: array[0] for name, array in whole.items()} if item.squeeze else whole
