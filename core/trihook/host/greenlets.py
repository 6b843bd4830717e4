"""The runtime of a gevent worker: the network on the worker's hub, hooks in native threads.

A hook that computes would hold up every other greenlet of the hub, so it runs in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import gevent

from trihook.deadline import Deadline
from trihook.host.hook_threads import HookThreads

T = TypeVar("T")
R = TypeVar("R")


class GeventRuntime:
    """Runs work for the greenlets of one hub; see :class:`trihook.runtime.Runtime`.

    Of the hooks in its threads no more compute at a time than there are ``cores``, where that is
    given.
    """

    def __init__(self, hook_threads: int = 4, cores: int | None = None) -> None:
        self._threads = HookThreads(hook_threads, cores or hook_threads)

    def run_hooks(
        self, function: Callable[[T], R], work: Sequence[T], deadline: Deadline
    ) -> list[R]:
        """See :meth:`trihook.runtime.Runtime.run_hooks`.

        A thread that is stuck in a hook is left to it; waiting for a free one counts as time.
        What waits when the time is over is not begun.
        """
        timer = gevent.Timeout.start_new(deadline.left())
        try:
            return self._threads.run(function, work)
        except gevent.Timeout as fired:
            if fired is not timer:
                raise
            raise TimeoutError from fired
        finally:
            timer.close()

    def is_stuck(self) -> bool:
        """Tell whether hooks that seem never to return hold as many threads as there may be."""
        return self._threads.are_stuck()

    def run_network(self, function: Callable[[], R]) -> R:
        """See :meth:`trihook.runtime.Runtime.run_network`."""
        return function()

    def close(self) -> None:
        """End the threads that are idle."""
        self._threads.close()
