"""The native threads that hooks run in: no more of them compute at a time than there are cores.

More threads that compute than cores finish nothing sooner, and the hub, which answers everybody,
has to wait for a core and for the interpreter among all of them. A thread whose hook waits for
something, a network or a lock, is made up for by another.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gevent.hub import Waiter, get_hub
from gevent.monkey import get_original

T = TypeVar("T")
R = TypeVar("R")

_SLICE = 0.02  # seconds after which a long row of work lets others go between
_LOOK_INTERVAL = 0.005
_SHORT = 0.002  # seconds in which nothing is seen yet
_LONG = 1.0  # seconds after which a hook is not waited for
_BUSY = 0.1  # of a core

# the real ones, whatever gevent has patched
_start_thread = get_original("_thread", "start_new_thread")
_get_ident = get_original("_thread", "get_ident")
_Queue = get_original("queue", "SimpleQueue")
_find_clock = getattr(time, "pthread_getcpuclockid", None)  # macOS has none


class HookThreads:
    """At most ``most`` threads, of which ``cores`` may compute at a time; for one hub's greenlets.

    First come, first served, but that a long row of work lets others go between.
    """

    def __init__(self, most: int, cores: int) -> None:
        self._most = most
        self._cores = min(cores, most)
        self._calls: Any = _Queue()  # of jobs; None ends a thread
        self._finished: deque[_Job] = deque()
        self._threads: set[_Thread] = set()
        self._count = 0  # of those that are not to end
        self._jobs = 0
        self._bell: Any = None
        self._timer: Any = None

    def run(self, function: Callable[[T], R], work: Sequence[T]) -> list[R]:
        """Call ``function`` for each piece of work and return the results in order.

        Whatever is raised at the greenlet meanwhile, what is not begun then is not begun any more.
        """
        if not work:
            return []
        job = _Job(function, work)
        self._begin()
        try:
            for _ in range(min(len(work), self._most)):
                self._calls.put(job)
            while self._count < min(self._cores, self._jobs + len(work) - 1):
                self._add_thread()
            job.waiter.get()
        finally:
            job.end()
            self._end()
        if job.error is not None:
            raise job.error
        return job.results

    def close(self) -> None:
        """End the threads as soon as they are idle."""
        for _ in range(self._count):
            self._end_thread()
        if self._bell is not None:
            self._bell.close()
            self._timer.close()

    def _begin(self) -> None:
        """Look after the threads while anybody waits for them."""
        if self._bell is None:
            loop = get_hub().loop
            self._bell = loop.async_(ref=False)
            self._bell.start(self._settle)
            self._timer = loop.timer(_LOOK_INTERVAL, _LOOK_INTERVAL)
        self._jobs += 1
        if self._jobs == 1:
            self._timer.start(self._look)

    def _end(self) -> None:
        self._jobs -= 1
        if not self._jobs:
            self._timer.stop()
        for _ in range(self._count - self._wanted()):
            self._end_thread()

    def _settle(self) -> None:
        while self._finished:
            self._finished.popleft().waiter.switch(None)

    def _look(self) -> None:
        """Make up for threads that do not compute, if there is something to do."""
        if not self._calls.empty() and self._count < self._wanted():
            self._add_thread()

    def _wanted(self) -> int:
        if self._count < self._cores:
            return self._cores
        now = time.monotonic()
        waiting = sum([thread.is_waiting(now) for thread in self._threads])
        return min(self._most, self._cores + waiting)

    def _add_thread(self) -> None:
        self._count += 1
        _start_thread(self._serve, ())

    def _end_thread(self) -> None:
        self._count -= 1
        self._calls.put(None)

    def _serve(self) -> None:
        """Do jobs; this is a thread."""
        thread = _Thread()
        self._threads.add(thread)
        while (job := self._calls.get()) is not None:
            thread.begin(job)
            if job.work(self._calls):
                self._finished.append(job)
                self._bell.send()
            thread.job = None
        self._threads.discard(thread)
        get_hub().destroy(destroy_loop=True)  # which a hook may have come to by patched functions


class _Job:
    """A row of work, which several threads may do at a time."""

    def __init__(self, function: Callable[[Any], Any], work: Sequence[Any]) -> None:
        self.results: list[Any] = [None] * len(work)
        self.error: BaseException | None = None
        self.waiter = Waiter()
        self.has_ended = False
        self._function = function
        self._pending = deque(enumerate(work))
        self._done: list[int] = []

    def work(self, calls: Any) -> bool:
        """Do pieces until none is left, or it is time for other ``calls``.

        Tells whether all of them are done with this.
        """
        end = time.monotonic() + _SLICE
        while self._pending:
            try:
                place, piece = self._pending.popleft()
            except IndexError:  # another thread was first
                break
            try:
                self.results[place] = self._function(piece)
            except BaseException as exc:  # noqa: BLE001 - it is raised again where it is waited for
                self.error = exc
            self._done.append(place)
            if len(self._done) == len(self.results):
                return True
            if time.monotonic() > end and self._pending and not calls.empty():
                calls.put(self)
                break
        return False

    def end(self) -> None:
        """Begin no further piece; nobody waits any more."""
        self.has_ended = True
        self._pending.clear()


class _Thread:
    """What one thread does, for others to see."""

    def __init__(self) -> None:
        self.job: _Job | None = None
        self._clock = 0 if _find_clock is None else _find_clock(_get_ident())
        self._began = self._cpu = 0.0

    def begin(self, job: _Job) -> None:
        """Take note of the job that it begins; for the thread itself."""
        if _find_clock is not None:
            self._cpu = time.clock_gettime(self._clock)
        self._began = time.monotonic()
        self.job = job

    def is_waiting(self, now: float) -> bool:
        """Tell whether it has a job and computes nothing for it, or nothing that may soon end."""
        job, lasted = self.job, now - self._began
        if job is None or lasted < _SHORT:
            return False
        if job.has_ended or lasted > _LONG:
            return True
        if _find_clock is None:
            return False
        try:
            return time.clock_gettime(self._clock) - self._cpu < _BUSY * lasted
        except OSError:  # the thread has ended
            return False
