"""Batching: submit items, get their outputs.

Items that wait for a model at the same time share an inference, whichever request they belong
to: they are stacked along the model's batch dimension up to ``max_batch_size``, split above it,
grouped by shape, and come back in the order they were given. Where there is no batch dimension
every item is an inference of its own, side by side; those of a stateful model follow each other.
How items are brought together is nobody's business but this package's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeAlias

from trihook.deadline import Deadline
from trihook.errors import OverloadedError, ScoringError, TritonError
from trihook.triton.busy_polling import BusyPolling
from trihook.triton.client import TritonClient, is_refusal
from trihook.triton.dtypes import Array
from trihook.triton.inputs import Inputs
from trihook.triton.lanes import Lane, Limits, Queued
from trihook.triton.stacking import Part, cut, join, likeness, stack, unstack
from trihook.triton.waiting import Submission
from trihook.types import Model

_SHARES = 4  # in which a queue is divided

Result: TypeAlias = "dict[str, Array] | ScoringError"


class Batcher:
    """Runs items through Triton, as few inferences as the model allows; for one hub's greenlets.

    ``limits`` says how a model is fed. ``max_queue`` bounds the items that wait for one model, of
    which one call has a quarter at most, however many it has: the others can come between.
    ``on_version`` is told which version answered where the call left that to Triton. Without
    ``share`` no two calls share an inference. The hub stays awake for up to ``busy_poll`` seconds
    of a call that is the only one.
    """

    def __init__(
        self,
        client: TritonClient,
        limits: Callable[[Model], Limits],
        *,
        max_queue: int = 1024,
        share: bool = True,
        on_version: Callable[[Model, str], None] = lambda *_: None,
        busy_poll: float = 0.0,
    ) -> None:
        self._client = client
        self._limits = limits
        self._max_queue = max_queue
        self._share = share
        self._on_version = on_version
        self._polling = BusyPolling(busy_poll)
        self._lanes: dict[tuple[str, str], tuple[Model, Lane]] = {}

    def is_full(self, model: str, version: str = "") -> bool:
        """Tell whether as many items wait for the model as may."""
        known = self._lanes.get((model, version))
        return known is not None and known[1].waiting >= self._max_queue

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
        not fail the others. What failed in any other way is not sent again. Raises
        :class:`trihook.OverloadedError` where the queue is full.
        """
        if not items:
            return []
        if self.is_full(model.name, version):
            raise OverloadedError(f"as many items wait for model {model.name!r} as may")
        lane = self._lane(model, version)
        parts = [cut(item, lane.limits.rows) for item in items]
        submission = Submission(sum(map(len, parts)), deadline or Deadline(), request_id)
        queued = _enqueue(parts, submission)
        with self._polling:
            if model.stateful:
                for one in queued:
                    self._run(model, version, [one])
            else:
                lane.submit(_group(queued, model, lane.limits.rows), submission)
        return _collect(items, parts, submission)

    def _lane(self, model: Model, version: str) -> Lane:
        """Return the lane of a model as it is now; what waits for it as it was goes its way."""
        known = self._lanes.get((model.name, version))
        if known is not None and (known[0] is model or known[0] == model):
            return known[1]
        lane = Lane(
            self._limits(model),
            lambda batch: self._run(model, version, batch),
            share=self._share,
            counted=max(1, self._max_queue // _SHARES),
        )
        if self._share:
            self._lanes[model.name, version] = (model, lane)
        return lane

    def _run(self, model: Model, version: str, batch: Sequence[Queued]) -> None:
        """Settle each part of the batch."""
        try:
            shares = self._infer(model, version, batch)
        except ScoringError as exc:
            if len(batch) == 1 or not is_refusal(exc):
                for queued in batch:
                    queued.submission.settle(queued.place, exc)
            else:
                for queued in batch:
                    self._run(model, version, [queued])
            return
        for queued, share in zip(batch, shares, strict=True):
            queued.submission.settle(queued.place, share)

    def _infer(
        self, model: Model, version: str, batch: Sequence[Queued]
    ) -> Iterator[dict[str, Array]]:
        parts = [queued.part for queued in batch]
        submissions = {queued.submission for queued in batch}
        outputs, answered = self._client.infer(
            model,
            stack(parts),
            version=version,
            outputs=parts[0].inputs.outputs,
            parameters=parts[0].inputs.parameters,
            request_id=_name(batch[0].submission, len(submissions) - 1),
            rows=sum([part.rows for part in parts]),
            deadline=max([each.deadline for each in submissions], key=lambda deadline: deadline.at),
        )
        if not version:
            self._on_version(model, answered)
        return unstack(outputs, parts)


def _enqueue(parts: Sequence[Sequence[Part]], submission: Submission) -> list[Queued]:
    flat = (part for each in parts for part in each)
    return [Queued(part, submission, place) for place, part in enumerate(flat)]


def _group(
    queued: Sequence[Queued], model: Model, rows: int
) -> Iterable[tuple[Hashable, deque[Queued]]]:
    """Bring together what may share an inference; where nothing may, all is one group."""
    if not rows:
        return [((), deque(queued))]
    groups: dict[Hashable, deque[Queued]] = {}
    for one in queued:
        like = likeness(one.part.inputs, model)
        group = groups.get(like)
        if group is None:
            groups[like] = deque((one,))
        else:
            group.append(one)
    return groups.items()


def _name(first: Submission, others: int) -> str:
    """Return an id for Triton's log: that of the first request, and how many more there are."""
    return f"{first.request_id}+{others}" if others else first.request_id


def _collect(
    items: Sequence[Inputs], parts: Sequence[Sequence[Part]], submission: Submission
) -> list[Result]:
    """Return the result of each item: the outputs of its parts, or the first error among them."""
    results = iter(submission.results)
    return [
        _join(item, [next(results) for _ in each]) for item, each in zip(items, parts, strict=True)
    ]


def _join(item: Inputs, shares: Sequence[Result]) -> Result:
    if len(shares) == 1 and isinstance(shares[0], dict):
        return join(item, [shares[0]])
    error = next((share for share in shares if isinstance(share, ScoringError)), None)
    if error is not None:
        return error
    try:
        return join(item, [share for share in shares if isinstance(share, dict)])
    except ValueError as exc:
        error = TritonError("Triton's outputs for the parts of an item are not of one shape")
        error.__cause__ = exc
        return error
