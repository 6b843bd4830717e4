"""Batching: submit items, get their outputs.

Items are stacked along the model's batch dimension up to ``max_batch_size``, split above it,
grouped by shape, and come back in the order they were given. Where there is no batch dimension
every item is an inference of its own. Inferences go side by side, those of a stateful model one
after the other. How items are brought together is nobody's business but this module's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from gevent.pool import Pool

from trihook.deadline import Deadline
from trihook.errors import ScoringError
from trihook.triton.client import TritonClient, TritonRefusalError
from trihook.triton.dtypes import Array
from trihook.triton.inputs import Inputs
from trihook.types import Model

Result: TypeAlias = "dict[str, Array] | ScoringError"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows ``start`` to ``stop`` of the item at ``index``; 0 to 0 where there are no rows."""

    index: int
    start: int
    stop: int


Batch: TypeAlias = "tuple[Part, ...]"


class Batcher:
    """Runs items through Triton, as few inferences as the model allows.

    ``concurrency`` bounds the inferences that one call has under way at a time. ``on_version``
    is told which version answered where the call left that to Triton.
    """

    def __init__(
        self,
        client: TritonClient,
        concurrency: int = 8,
        on_version: Callable[[Model, str], None] = lambda *_: None,
    ) -> None:
        self._client = client
        self._concurrency = concurrency
        self._on_version = on_version

    def submit(
        self,
        items: Sequence[Inputs],
        model: Model,
        *,
        version: str = "",
        request_id: str = "",
        deadline: Deadline | None = None,
    ) -> list[Result]:
        """Return for each item its outputs, or the error that it alone has.

        A batch that Triton refuses is run again item by item, once, so that one bad item does
        not fail the others. What failed in any other way is not sent again.
        """
        call = _Call(self._client, model, version, request_id, deadline, self._on_version)
        batches = list(plan(items, model))
        pieces: list[list[Result]] = [[] for _ in items]
        for batch, results in zip(batches, self._side_by_side(call, items, batches), strict=True):
            for part, result in zip(batch, results, strict=True):
                pieces[part.index].append(result)
        return [_join(item, results) for item, results in zip(items, pieces, strict=True)]

    def _side_by_side(
        self, call: _Call, items: Sequence[Inputs], batches: Sequence[Batch]
    ) -> list[list[Result]]:
        if len(batches) == 1 or call.model.stateful:
            return [call.run(items, batch) for batch in batches]
        pool = Pool(self._concurrency)
        return list(pool.map(lambda batch: call.run(items, batch), batches))


@dataclass(frozen=True, slots=True)
class _Call:
    """What the inferences of one submission have in common."""

    client: TritonClient
    model: Model
    version: str
    request_id: str
    deadline: Deadline | None
    on_version: Callable[[Model, str], None]

    def run(self, items: Sequence[Inputs], batch: Batch) -> list[Result]:
        """Return a result for each part of the batch."""
        try:
            return list(self._infer(items, batch))
        except ScoringError as exc:
            if len(batch) == 1 or not isinstance(exc.__cause__, TritonRefusalError):
                return [exc for _ in batch]
        return [result for part in batch for result in self._run_alone(items, part)]

    def _run_alone(self, items: Sequence[Inputs], part: Part) -> list[Result]:
        try:
            return list(self._infer(items, (part,)))
        except ScoringError as exc:
            return [exc]

    def _infer(self, items: Sequence[Inputs], batch: Batch) -> Iterator[dict[str, Array]]:
        outputs, version = self.client.infer(
            self.model,
            stack(items, batch),
            version=self.version,
            outputs=items[batch[0].index].outputs,
            request_id=self.request_id,
            rows=sum(part.stop - part.start for part in batch),
            deadline=self.deadline,
        )
        if not self.version:
            self.on_version(self.model, version)
        return unstack(outputs, batch)


def plan(items: Sequence[Inputs], model: Model) -> Iterator[Batch]:
    """Yield the batches: parts of items that are alike, in order, at most a batch size of rows.

    A model with a sequence batcher gets its items one by one: their order is their meaning.
    """
    limit = model.max_batch_size
    if not limit:
        yield from ((Part(index, 0, 0),) for index in range(len(items)))
        return
    groups: dict[Hashable, list[Part]] = {}
    for index, item in enumerate(items):
        key = index if model.stateful else _likeness(item)
        groups.setdefault(key, []).extend(_cut(index, item.rows, limit))
    for parts in groups.values():
        yield from _pack(parts, limit)


def _cut(index: int, rows: int, limit: int) -> Iterator[Part]:
    for start in range(0, rows, limit):
        yield Part(index, start, min(start + limit, rows))


def _pack(parts: Sequence[Part], limit: int) -> Iterator[Batch]:
    batch: list[Part] = []
    room = limit
    for part in parts:
        rows = part.stop - part.start
        if rows > room:
            yield tuple(batch)
            batch, room = [], limit
        batch.append(part)
        room -= rows
    if batch:
        yield tuple(batch)


def _likeness(item: Inputs) -> Hashable:
    shapes = tuple((name, array.shape[1:]) for name, array in item.tensors.items())
    return shapes, item.outputs


def stack(items: Sequence[Inputs], batch: Batch) -> Mapping[str, Array]:
    """Return the batch's input tensors; a batch of one whole item is not copied."""
    first = items[batch[0].index]
    if len(batch) == 1:
        part = batch[0]
        if part.stop - part.start == first.rows:
            return first.tensors
        return {name: array[part.start : part.stop] for name, array in first.tensors.items()}
    return {
        name: np.concatenate(
            [items[part.index].tensors[name][part.start : part.stop] for part in batch]
        )
        for name in first.tensors
    }


def unstack(outputs: Mapping[str, Array], batch: Batch) -> Iterator[dict[str, Array]]:
    """Yield each part's share of a batch's outputs, as views."""
    at = 0
    for part in batch:
        rows = part.stop - part.start
        if rows:
            yield {name: array[at : at + rows] for name, array in outputs.items()}
        else:
            yield dict(outputs)
        at += rows


def _join(item: Inputs, pieces: Sequence[Result]) -> Result:
    """Bring the pieces of one item together again, in order, and give it its own shape."""
    parts: list[dict[str, Array]] = []
    for piece in pieces:
        if isinstance(piece, ScoringError):
            return piece
        parts.append(piece)
    whole = parts[0]
    if len(parts) > 1:
        whole = {name: np.concatenate([part[name] for part in parts]) for name in whole}
        for array in whole.values():
            array.flags.writeable = False
    return {name: array[0] for name, array in whole.items()} if item.squeeze else whole
