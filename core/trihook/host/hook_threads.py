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
_WINDOW = 0.02  # seconds: several of those after which threads are made to let others run
_PAUSE = 0.002
_LONG = 1.0  # seconds after which a hook is not waited for
_BUSY = 0.05  # of a core

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
        self._calls: Any = _Queue()  # of jobs; None wakes a thread
        self._finished: deque[_Job] = deque()
        self._threads: set[_Thread] = set()
        self._count = 0  # of those that are not to end
        self._surplus: deque[None] = deque()  # one for each that is to end
        self._jobs = 0
        self._bell: Any = None
        self._timer: Any = None
        self._is_closed = False

    def run(self, function: Callable[[T], R], work: Sequence[T]) -> list[R]:
        """Call ``function`` for each piece of work and return the results in order.

        Whatever is raised at the greenlet meanwhile, what is not begun then is not begun any more.
        Raises ``RuntimeError`` once they are closed, or if there can be no thread at all.
        """
        if self._is_closed:
            raise RuntimeError("the threads for hooks have been ended")
        if not work:
            return []
        job = _Job(function, work)
        self._begin()
        try:
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
        """End the threads as soon as they are idle; who waits for them may go on to."""
        if not self._is_closed and not self._jobs:
            self._end_all()
        self._is_closed = True

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
        if self._jobs:
            return
        self._timer.stop()
        if self._is_closed:
            self._end_all()
        for _ in range(self._count - self._cores):
            self._end_thread()

    def _end_all(self) -> None:
        for _ in range(self._count):
            self._end_thread()
        if self._bell is not None:
            self._bell.close()
            self._timer.close()

    def _settle(self) -> None:
        while self._finished:
            self._finished.popleft().waiter.switch(None)

    def _look(self) -> None:
        """Make up for threads that wait, if there is something to do, as long as they do."""
        now = time.monotonic()
        threads = list(self._threads)  # in one step, for threads come and go by themselves
        busy = sum([thread.job is not None for thread in threads])
        waiting = sum([thread.is_waiting(now) for thread in threads])
        if busy - waiting > self._cores and self._count > self._cores:
            self._end_thread()
        elif self._count < min(self._most, self._cores + waiting) and not self._calls.empty():
            self._add_thread()

    def _add_thread(self) -> None:
        if not self._take_surplus():  # one that was to end goes on instead
            try:
                _start_thread(self._serve, ())
            except RuntimeError:
                if not self._count:
                    raise
                return
        self._count += 1

    def _end_thread(self) -> None:
        self._count -= 1
        self._surplus.append(None)
        self._calls.put(None)

    def _take_surplus(self) -> bool:
        """Tell whether there is a thread too many, once for each."""
        try:
            self._surplus.pop()
        except IndexError:
            return False
        return True

    def _serve(self) -> None:
        """Do jobs; this is a thread."""
        thread = _Thread()
        self._threads.add(thread)
        while not self._take_surplus():
            job = self._calls.get()
            if job is not None:
                thread.begin(job)
                if job.work(self._calls):
                    self._finished.append(job)
                    self._bell.send()
                job = None  # whose request would else be kept
                thread.rest()
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

        Tells whether all of them are done with this. While some are left the job is in ``calls``.
        """
        end = time.monotonic() + _SLICE
        is_called = False
        while self._pending:
            try:
                place, piece = self._pending.popleft()
            except IndexError:  # another thread was first
                break
            if self._pending and not is_called:
                calls.put(self)
                is_called = True
            try:
                self.results[place] = self._function(piece)
            except BaseException as exc:  # noqa: BLE001 - it is raised again where it is waited for
                self.error = exc
            self._done.append(place)
            if len(self._done) == len(self.results):
                return True
            if time.monotonic() > end:
                break
        return False

    def end(self) -> None:
        """Begin no further piece; nobody waits any more."""
        self.has_ended = True
        self._pending.clear()


class _Thread:
    """What one thread does, for the hub to see."""

    def __init__(self) -> None:
        self.job: _Job | None = None
        self._clock = 0 if _find_clock is None else _find_clock(_get_ident())
        self._began = self._ended = 0.0
        self._seen: tuple[float, float] | None = None  # when, and how long it had computed
        self._waits = False

    def begin(self, job: _Job) -> None:
        """Take note of the job that it begins; for the thread itself."""
        self._began = time.monotonic()
        if self._began - self._ended > _PAUSE:
            self._seen = None  # what it did not compute then says nothing
        self.job = job

    def rest(self) -> None:
        """Take note of the job's end."""
        self.job = None
        self._ended = time.monotonic()

    def is_waiting(self, now: float) -> bool:
        """Tell whether it has a job and has lately computed nothing, or nothing that may soon end.

        For the hub, again and again; ``now`` is by the monotonic clock.
        """
        job = self.job
        if job is None:
            self._waits = False
        elif job.has_ended or now - self._began > _LONG:
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
