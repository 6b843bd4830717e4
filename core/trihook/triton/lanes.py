"""A lane: what waits for one model, and the inferences that are under way for it.

Whatever has queued while an inference was under way goes together in the next one. Nobody waits
for company, unless a delay is set: the first to come lets those go first whose requests have
already arrived, no more, and not where there have been too few to share for a while. Submissions
take turns, part by part, however unlike their parts are, so that a large one does not hold up
small ones.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import gevent
from gevent.event import Event

from trihook.triton.stacking import Part
from trihook.triton.waiting import Alarm, Submission

_FEW = 2  # submissions at a time, which would share too little to wait for each other
_FEW_AFTER = 8  # submissions in a row that were no more than that
_LONG = 0.005  # seconds; below, larger batches are worth more than an instance that never waits


@dataclass(frozen=True, slots=True)
class Limits:
    """How one model is fed.

    An inference has at most ``rows``, 0 where each part goes alone. At most ``concurrency``
    inferences are under way at a time, and ``ahead`` more where they take long or the next one
    is full already, so that an instance finds it when it is done. One that is not full waits for
    ``max_delay`` seconds; without a delay, two callers do not wait for each other's inferences.
    """

    rows: int
    concurrency: int = 1
    max_delay: float = 0.0
    ahead: int = 0


class Queued:
    """One part that waits, and where its result belongs."""

    __slots__ = ("part", "place", "submission")

    def __init__(self, part: Part, submission: Submission, place: int) -> None:
        self.part, self.submission, self.place = part, submission, place


class Lane:
    """Feeds one model, for the greenlets of one hub.

    ``run`` takes a batch and settles each of its parts; what it raises fails them. A lane that
    nobody else will ``share`` does not look out for others. ``waiting`` says how many parts wait,
    of one submission at most ``counted``: who comes next waits for one of it, however large it is.
    """

    def __init__(
        self,
        limits: Limits,
        run: Callable[[Sequence[Queued]], None],
        *,
        share: bool = True,
        counted: int = sys.maxsize,
    ) -> None:
        self.limits = limits
        self._run = run
        self._share = share
        self._counted = counted
        self._turns: dict[Hashable, deque[deque[Queued]]] = {}
        self._line: dict[Submission, None] = {}  # of those that wait, by their last turn
        self._under_way = 0
        self._lasted = 0.0
        self._gathering: Submission | None = None
        self._present = 0
        self._few = 0
        self._full = Event()
        self._alarm = Alarm()
        self.waiting = 0

    def submit(self, groups: Iterable[tuple[Hashable, deque[Queued]]], own: Submission) -> None:
        """Queue the parts of a submission, alike ones together, and wait for their results."""
        self._present += 1
        self._few = self._few + 1 if self._present <= _FEW else 0
        try:
            for likeness, parts in groups:
                self._turns.setdefault(likeness, deque()).append(parts)
                own.queued += len(parts)
                own.groups[likeness] = None
            if own.groups:
                self._line[own] = None
            self.waiting += min(own.queued, self._counted)
            if self._gathering is None and self._may_run(self._under_way + 1):
                if self._may_have_company():
                    self._gather(own)
                self._start(own)
            elif self.limits.max_delay and self._is_any_full():
                self._full.set()
            own.wait(self._alarm)
        finally:
            self._present -= 1

    def _may_run(self, count: int) -> bool:
        """Tell whether so many inferences may be under way."""
        if count <= self.limits.concurrency:
            return True
        if count > self.limits.concurrency + self.limits.ahead:
            return False
        has_few = self._few > _FEW_AFTER and not self.limits.max_delay
        return self._lasted > _LONG or has_few or self._is_next_full()

    def _is_next_full(self) -> bool:
        """Tell whether the next batch has as many rows as it may have."""
        return bool(self._turns) and self._are_full(self._turns[self._next()])

    def _are_full(self, turns: Iterable[Iterable[Queued]]) -> bool:
        rows = 0
        for parts in turns:
            for queued in parts:
                rows += queued.part.rows
                if rows >= self.limits.rows:
                    return True
        return False

    def _may_have_company(self) -> bool:
        """Tell whether it is worth to look out for others who can go along."""
        if not self._share or self.limits.rows <= 1:
            return False
        return self.limits.max_delay > 0 or self._few <= _FEW_AFTER

    def _gather(self, own: Submission) -> None:
        """Let others queue whose requests are here already, or for as long as the delay says.

        It is over at once where an inference that is under way ends, and takes ``own`` along.
        """
        self._gathering = own
        try:
            if self.limits.max_delay and not self._is_any_full():
                self._full.clear()
                left = own.deadline.left()
                delay = self.limits.max_delay
                # half of the time that is left is the inference's
                self._full.wait(delay if left is None else min(delay, left / 2))
            else:
                gevent.sleep(0)
        except BaseException:  # whoever has queued meanwhile still waits
            own.abandoned = True
            gevent.spawn(self._start, own)
            raise
        finally:
            self._gathering = None

    def _is_any_full(self) -> bool:
        """Tell whether a batch of any group would have as many rows as it may have."""
        return any(self._are_full(turns) for turns in self._turns.values())

    def _start(self, own: Submission) -> None:
        """Start as many inferences as may be; one that is all ``own`` needs no greenlet."""
        while self._may_run(self._under_way + 1):
            batch = self._take()
            if not batch:
                return
            self._under_way += 1
            if not self._turns and all(queued.submission is own for queued in batch):
                self._run_one(batch)
                self._under_way -= 1
            else:
                gevent.spawn(self._run_all, batch)

    def _run_all(self, batch: Sequence[Queued]) -> None:
        """Run a batch, and then whatever has queued meanwhile."""
        try:
            while batch:
                self._run_one(batch)
                batch = self._take() if self._may_run(self._under_way) else []
        finally:
            self._under_way -= 1

    def _run_one(self, batch: Sequence[Queued]) -> None:
        """Run a batch; whatever is raised, also at this greenlet, is for those who wait."""
        began = time.monotonic()
        try:
            self._run(batch)
        except BaseException as exc:  # noqa: BLE001 - it is raised again where each one waits
            for queued in batch:
                queued.submission.fail(exc)
        # those under way wait for each other: what is too many of them counts for nothing
        alone = min(1.0, self.limits.concurrency / self._under_way)
        self._lasted = (time.monotonic() - began) * alone

    def _take(self) -> list[Queued]:
        """Take the next batch: of a group of the submission that is next, each of them in turn."""
        batch: list[Queued] = []
        while self._turns and not batch:
            likeness = self._next()
            self._fill(batch, likeness)
            if not self._turns[likeness]:
                del self._turns[likeness]
        return batch

    def _next(self) -> Hashable:
        """Return a group of the submission whose last turn is the longest ago."""
        return next(iter(next(iter(self._line)).groups))

    def _fill(self, batch: list[Queued], likeness: Hashable) -> None:
        turns = self._turns[likeness]
        room = self.limits.rows
        while turns:
            parts = turns[0]
            rows = parts[0].part.rows
            if batch and rows > room:
                return
            queued = parts.popleft()
            turns.popleft()
            submission = queued.submission
            del self._line[submission]
            if parts:
                turns.append(parts)
            else:
                del submission.groups[likeness]
            if submission.groups:
                self._line[submission] = None  # at its end
            submission.queued -= 1
            if submission.queued < self._counted:
                self.waiting -= 1
            if submission is self._gathering:
                self._full.set()
            if submission.abandoned:
                continue
            batch.append(queued)
            room -= rows
            if room <= 0:
                return
