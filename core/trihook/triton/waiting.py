"""Who waits for results: submissions, and the one timer that ends their waiting in time."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Any

from gevent.hub import Waiter, get_hub

from trihook.deadline import Deadline
from trihook.errors import DeadlineError, ScoringError


class Submission:
    """The parts of one request, until all of them have a result."""

    __slots__ = (
        "_error",
        "_waiter",
        "abandoned",
        "deadline",
        "groups",
        "left",
        "queued",
        "request_id",
        "results",
    )

    def __init__(self, count: int, deadline: Deadline, request_id: str) -> None:
        self.results: list[Any] = [None] * count
        self.left = count
        self.deadline = deadline
        self.request_id = request_id
        self.abandoned = False
        self.queued = 0  # parts that a lane has not begun
        self.groups: dict[Hashable, None] = {}  # what they are like
        self._error: BaseException | None = None
        self._waiter: Waiter | None = None

    def settle(self, place: int, result: Any) -> None:
        """Take the result of the part at ``place``."""
        self.results[place] = result
        self.left -= 1
        if not self.left:
            self._wake()

    def fail(self, error: BaseException) -> None:
        """End the waiting with an error that no part has to itself."""
        if self.left > 0:
            self._error, self.left = error, 0
            self._wake()

    def expire(self, error: ScoringError) -> None:
        """End the waiting: what has no result yet has this error."""
        if self.left > 0:
            self.results[:] = [error if each is None else each for each in self.results]
            self.abandoned, self.left = True, 0
            self._wake()

    def wait(self, alarm: Alarm) -> None:
        """Wait until every part has its result, or its time is over."""
        if self.left > 0:
            self._waiter = Waiter()
            alarm.add(self)
            try:
                self._waiter.get()
            finally:
                self._waiter = None
                self.abandoned |= self.left > 0 or self._error is not None
                alarm.remove(self)
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        if self._waiter is not None:
            get_hub().loop.run_callback(_switch, self._waiter)
            self._waiter = None


def _switch(waiter: Waiter) -> None:
    waiter.switch(None)


class Alarm:
    """Ends the waiting of submissions whose time is over: one timer of the hub for all that wait.

    A timer for each would cost as much as all the rest of waiting.
    """

    def __init__(self) -> None:
        self._waiting: set[Submission] = set()
        self._timer: Any = None
        self._at = float("inf")

    def add(self, submission: Submission) -> None:
        """Watch a submission."""
        self._waiting.add(submission)
        if submission.deadline.at < self._at:
            self._set(submission.deadline.at)

    def remove(self, submission: Submission) -> None:
        """Watch it no more; the timer stays, and finds nothing."""
        self._waiting.discard(submission)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.close()
        self._at, self._timer = at, None
        if at < float("inf"):
            seconds = max(0.0, at - time.monotonic())
            self._timer = get_hub().loop.timer(seconds, ref=False)
            self._timer.start(self._ring)

    def _ring(self) -> None:
        now = time.monotonic()
        for late in [each for each in self._waiting if each.deadline.at <= now]:
            self._waiting.discard(late)
            late.expire(DeadlineError("Triton did not answer in time"))
        self._set(min((each.deadline.at for each in self._waiting), default=float("inf")))
