"""The native threads that hooks run in: no more of them compute at a time than there are cores.

More threads that compute than cores finish nothing sooner, and the hub, which answers everybody,
has to wait for a core and for the interpreter among all of them. A thread whose hook waits for
something, a network or a lock, is made up for by another. One whose hook nobody waits for any more
is left to it, and ends with it, if it does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gevent.hub import get_hub
from gevent.monkey import get_original

from trihook.host.jobs import Job, JobThread

T = TypeVar("T")
R = TypeVar("R")

_LOOK_INTERVAL = 0.005
_STUCK = (
    10.0  # seconds after which a hook that nobody waits for is taken for one that never returns
)

# the real ones, whatever gevent has patched
_start_thread = get_original("_thread", "start_new_thread")
_Queue = get_original("queue", "SimpleQueue")


class HookThreads:
    """At most ``most`` threads, of which ``cores`` may compute at a time; for one hub's greenlets.

    First come, first served, but that a long row of work lets others go between. As many threads
    again may be left to hooks that nobody waits for any more.
    """

    def __init__(self, most: int, cores: int) -> None:
        self._most = most
        self._cores = min(cores, most)
        self._calls: Any = _Queue()  # of jobs; None wakes a thread
        self._finished: deque[Job] = deque()
        self._threads: set[JobThread] = set()
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
        job = Job(function, work)
        self._begin()
        try:
            self._calls.put(job)
            for _ in range(self._count, min(self._cores, self._jobs + len(work) - 1)):
                self._add_thread()
            job.waiter.get()
        finally:
            job.end()
            if job.given_up_at is not None:
                self._leave_late()
            self._end()
        if job.error is not None:
            raise job.error
        return job.results

    def are_stuck(self) -> bool:
        """Tell whether as many hooks as there may be threads seem never to return."""
        now = time.monotonic()
        late = [thread for thread in list(self._threads) if thread.is_late(now, _STUCK)]
        return len(late) >= self._most

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

    def _leave_late(self) -> None:
        """Leave threads to jobs for which nobody waits any more, up to as many as there may be."""
        left = sum([thread.is_left for thread in list(self._threads)])
        for thread in list(self._threads):
            job = thread.job
            if job is None or job.given_up_at is None or thread.is_left:
                continue
            if left < self._most and thread.leave(job):
                self._count -= 1
                left += 1

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
        self._leave_late()
        every = list(self._threads)  # in one step, for threads come and go by themselves
        threads = [thread for thread in every if not thread.is_left]
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
        thread = JobThread()
        self._threads.add(thread)
        goes_on = True
        while goes_on and not self._take_surplus():
            job = self._calls.get()
            if job is not None:
                thread.begin(job)
                if job.work(self._calls):
                    self._finished.append(job)
                    self._bell.send()
                job = None  # whose request would else be kept
                goes_on = thread.rest()
        self._threads.discard(thread)
        get_hub().destroy(destroy_loop=True)  # which a hook may have made by itself
