"""The runtime of a gevent worker: the network on the worker's hub, hooks in native threads.

A hook that computes would hold up every other greenlet of the hub, so it runs in the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gevent
from gevent.threadpool import ThreadPool

from trihook.deadline import Deadline

T = TypeVar("T")
R = TypeVar("R")


class GeventRuntime:
    """Runs work for the greenlets of one hub; see :class:`trihook.runtime.Runtime`."""

    def __init__(self, hook_threads: int = 4) -> None:
        self._pool = ThreadPool(hook_threads)

    def run_hooks(
        self, function: Callable[[T], R], work: Sequence[T], deadline: Deadline
    ) -> list[R]:
        """See :meth:`trihook.runtime.Runtime.run_hooks`.

        A thread that is stuck in a hook is left to it; waiting for a free one counts as time.
        What waits when the time is over is not begun.
        """
        results: list[Any] = [None] * len(work)
        pieces = enumerate(work)  # shared: a step of it is one step of the interpreter
        is_over = False

        def attempt() -> None:
            for place, piece in pieces:
                if is_over:
                    return
                results[place] = function(piece)

        timer = gevent.Timeout.start_new(deadline.left())
        try:
            # a hand-over for each thread, not for each piece
            tasks = [self._pool.spawn(attempt) for _ in range(min(len(work), self._pool.maxsize))]
            for task in tasks:
                task.get()
        except gevent.Timeout as fired:
            is_over = True
            if fired is not timer:
                raise
            raise TimeoutError from fired
        finally:
            timer.close()
        return results

    def run_network(self, function: Callable[[], R]) -> R:
        """See :meth:`trihook.runtime.Runtime.run_network`."""
        return function()

    def close(self) -> None:
        """End the threads that are idle."""
        self._pool.kill()
