"""Rows of work for the hooks' threads, and what can be told of a thread that does one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from gevent.hub import Waiter
from gevent.monkey import get_original

_SLICE = 0.02  # seconds after which a long row of work lets others go between
_WINDOW = 0.02  # seconds: several of those after which threads are made to let others run
_PAUSE = 0.002  # seconds between two jobs that are no break
_LONG = 1.0  # seconds after which a hook is not waited for
_BUSY = 0.05  # of a core

_new_lock = get_original("_thread", "allocate_lock")
_get_ident = get_original("_thread", "get_ident")  # the thread's, not the greenlet's
_find_clock = getattr(time, "pthread_getcpuclockid", None)  # macOS has none


class Job:
    """A row of work, which several threads may do at a time."""

    def __init__(self, function: Callable[[Any], Any], work: Sequence[Any]) -> None:
        self.results: list[Any] = [None] * len(work)
        self.error: BaseException | None = None
        self.waiter = Waiter()
        self.given_up_at: float | None = None
        self._pending = deque([(place, function, piece) for place, piece in enumerate(work)])
        self._done: list[int] = []

    def work(self, calls: Any) -> bool:
        """Do pieces until none is left, or it is time for other ``calls``.

        Tells whether all of them are done with this. While some are left the job is in ``calls``.
        """
        end = time.monotonic() + _SLICE
        is_called = False
        while self._pending:
            try:
                place, function, piece = self._pending.popleft()
            except IndexError:  # another thread was first
                break
            if self._pending and not is_called:
                calls.put(self)
                is_called = True
            try:
                self.results[place] = function(piece)
            except BaseException as exc:  # noqa: BLE001 - it is raised again where it is waited for
                self.error = exc
            self._done.append(place)
            if len(self._done) == len(self.results):
                return True
            if time.monotonic() > end:
                break
        return False

    def end(self) -> None:
        """Begin no further piece, and keep none: nobody waits any more."""
        if len(self._done) < len(self.results):
            self.given_up_at = time.monotonic()
        self._pending.clear()


class JobThread:
    """What one thread does, for the hub to see."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.is_left = False
        self._leaving = _new_lock()
        self._clock = 0 if _find_clock is None else _find_clock(_get_ident())
        self._began = self._ended = 0.0
        self._seen: tuple[float, float] | None = None  # when, and how long it had computed
        self._waits = False

    def begin(self, job: Job) -> None:
        """Take note of the job that it begins; for the thread itself."""
        self._began = time.monotonic()
        if self._began - self._ended > _PAUSE:
            self._seen = None  # what it did not compute then says nothing
        self.job = job

    def rest(self) -> bool:
        """Take note of the job's end; tell whether there may be another."""
        with self._leaving:
            self.job = None
        self._ended = time.monotonic()
        return not self.is_left

    def leave(self, job: Job) -> bool:
        """Leave it to a job for which nobody waits any more; tell whether it was still at that.

        For the hub, once. It does no other job then.
        """
        with self._leaving:
            self.is_left = self.job is job
        return self.is_left

    def is_late(self, now: float, seconds: float) -> bool:
        """Tell whether nobody has waited for its job for so long; for the hub, as the next."""
        job = self.job
        return job is not None and job.given_up_at is not None and now - job.given_up_at > seconds

    def is_waiting(self, now: float) -> bool:
        """Tell whether it has a job and has lately computed nothing, or nothing that may soon end.

        For the hub, again and again; ``now`` is by the monotonic clock.
        """
        job = self.job
        if job is None:
            self._waits = False
        elif job.given_up_at is not None or now - self._began > _LONG:
            return True
        elif _find_clock is not None:
            self._judge(now)
        return self._waits

    def _judge(self, now: float) -> None:
        """Compare its CPU time with the time that has passed, every so often."""
        seen = self._seen
        if seen is not None and now - seen[0] < _WINDOW:
            return
        try:
            computed = time.clock_gettime(self._clock)
        except OSError:  # the thread has ended
            return
        self._waits = seen is not None and computed - seen[1] < _BUSY * (now - seen[0])
        self._seen = now, computed
