"""The runtime of a gevent worker: the network on the worker's hub, hooks in native threads.

A hook that computes would hold up every other greenlet of the hub, so it runs in the pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

from trihook.deadline import Deadline
from trihook.host.turns import Turn, Turns

T = TypeVar("T")
R = TypeVar("R")


class GeventRuntime:
    """Runs work for the greenlets of one hub; see :class:`trihook.runtime.Runtime`.

    Of the hooks in its threads no more compute at a time than there are ``cores``, where that is
    given.
    """

    def __init__(self, hook_threads: int = 4, cores: int | None = None) -> None:
        self._pool = ThreadPool(hook_threads)
        self._turns = Turns(min(hook_threads, cores or hook_threads))

    def run_hooks(
        self, function: Callable[[T], R], work: Sequence[T], deadline: Deadline
    ) -> list[R]:
        """See :meth:`trihook.runtime.Runtime.run_hooks`.

        A thread that is stuck in a hook is left to it; waiting for a free one counts as time.
        What waits when the time is over is not begun. Where others wait, a long row of work lets
        them go between.
        """
        job = _Job(function, work, self._pool, self._turns)
        timer = gevent.Timeout.start_new(deadline.left())
        try:
            return job.run()
        except gevent.Timeout as fired:
            if fired is not timer:
                raise
            raise TimeoutError from fired
        finally:
            timer.close()
            job.end()

    def run_network(self, function: Callable[[], R]) -> R:
        """See :meth:`trihook.runtime.Runtime.run_network`."""
        return function()

    def close(self) -> None:
        """End the threads that are idle."""
        self._pool.kill()


class _Job:
    """Pieces of work that go through the pool: a hand-over for each turn, not for each piece."""

    def __init__(
        self, function: Callable[[Any], Any], work: Sequence[Any], pool: ThreadPool, turns: Turns
    ) -> None:
        self._function = function
        self._pending = deque(enumerate(work))
        self._results: list[Any] = [None] * len(work)
        self._pool = pool
        self._turns = turns
        self._tasks: list[Any] = []
        self._under_way: set[Turn] = set()
        self._given: Turn | None = None
        self._is_asking = False
        self._changed = Event()

    def run(self) -> list[Any]:
        """Take turns until all pieces are done, and return the results in order."""
        while self._pending or self._under_way:
            self._changed.clear()
            if self._given is not None:
                turn, self._given = self._given, None
                self._start(turn)
            elif not self._is_asking and self._has_use_for_another():
                self._is_asking = True
                self._turns.ask(self._take)
            else:
                self._changed.wait()
        for task in self._tasks:
            task.get()  # raises what it has raised
        return self._results

    def end(self) -> None:
        """Begin nothing more, and hold nobody up; what runs is left to itself."""
        self._pending.clear()
        if self._is_asking:
            self._turns.withdraw(self._take)
        for turn in [*self._under_way, *([self._given] if self._given else [])]:
            self._turns.leave(turn)

    def _has_use_for_another(self) -> bool:
        most: int = self._pool.maxsize
        return len(self._under_way) < min(len(self._pending), most)

    def _take(self, turn: Turn) -> None:
        self._is_asking = False
        if self._pending:
            self._given = turn
            self._changed.set()
        else:
            self._turns.leave(turn)

    def _start(self, turn: Turn) -> None:
        self._under_way.add(turn)
        task = self._pool.spawn(self._work, turn)
        self._tasks.append(task)
        task.rawlink(partial(self._end_turn, turn))

    def _work(self, turn: Turn) -> None:
        """Do pieces, in a thread, for as long as the turn lasts."""
        turn.begin()
        while self._pending and not turn.is_over:
            try:
                place, piece = self._pending.popleft()
            except IndexError:  # another thread was first
                return
            self._results[place] = self._function(piece)

    def _end_turn(self, turn: Turn, _task: object) -> None:
        self._under_way.discard(turn)
        self._turns.leave(turn)
        self._changed.set()
