"""Several requests as one inference: stack their inputs, and give each its rows of the outputs.

This module runs in Triton's Python stub too, and imports numpy alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"


class Call(NamedTuple):
    """One request: its place among the requests, its inputs, and the outputs it asks for.

    ``rows`` is the length of its batch dimension.
    """

    place: int
    feed: dict[str, Array]
    outputs: Collection[str]
    rows: int


def group_by_shape(calls: Sequence[Call]) -> list[list[Call]]:
    """Group calls whose inputs can be stacked: the same names, and shapes alike but for rows."""
    groups: dict[object, list[Call]] = {}
    for call in calls:
        key = tuple([(name, array.shape[1:]) for name, array in call.feed.items()])
        groups.setdefault(key, []).append(call)
    return list(groups.values())


def stack(calls: Sequence[Call]) -> dict[str, Array]:
    """Return the inputs of calls of one group, stacked along the batch dimension.

    Numbers of a single call are passed on uncopied. BYTES are decoded, as ONNX's strings are
    text: raises ValueError naming the input if they are not UTF-8.
    """
    feed = {}
    for name, array in calls[0].feed.items():
        stacked = np.concatenate([call.feed[name] for call in calls]) if calls[1:] else array
        feed[name] = _decode(name, stacked) if stacked.dtype.hasobject else stacked
    return feed


def requested(calls: Iterable[Call], order: Iterable[str]) -> list[str]:
    """Return the outputs that any of the calls asks for, in the model's order."""
    wanted = {name for call in calls for name in call.outputs}
    return [name for name in order if name in wanted]


def split(arrays: Mapping[str, Array], calls: Sequence[Call]) -> list[dict[str, Array]]:
    """Give each call its rows of the outputs it asks for, as views.

    Raises ValueError if an output has not as many rows as the inputs had.
    """
    rows = sum(call.rows for call in calls)
    for name, array in arrays.items():
        if array.shape[:1] != (rows,):
            raise ValueError(
                f"output '{name}' has shape {list(array.shape)} for a batch of {rows}: "
                "its first dimension is not the batch's"
            )
    replies = []
    start = 0
    for call in calls:
        stop = start + call.rows
        replies.append({name: arrays[name][start:stop] for name in call.outputs})
        start = stop
    return replies


def _decode(name: str, array: Array) -> Array:
    strings = np.empty(array.size, dtype=object)
    try:
        strings[:] = [element.decode("utf-8") for element in array.ravel()]
    except UnicodeDecodeError as exc:
        raise ValueError(f"input '{name}' has an element that is not UTF-8: {exc}") from exc
    return strings.reshape(array.shape)
