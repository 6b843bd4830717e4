"""A bound on how many may do something at a time, where nobody is overtaken."""

from __future__ import annotations

from collections import deque

from gevent.hub import Waiter, get_hub


class Slots:
    """So many slots, for one hub's greenlets; who finds none free gets one in turn.

    A semaphore of gevent is free again between two waiters, so whoever keeps asking, without
    coming to a wait in between, takes it over and over before those who wait.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[Waiter] = deque()

    def __enter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        waiter = Waiter()
        self._waiting.append(waiter)
        try:
            waiter.get()
        except BaseException:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            else:  # it was given a slot at the same moment
                self.__exit__()
            raise

    def __exit__(self, *exc_info: object) -> None:
        if self._waiting:
            get_hub().loop.run_callback(self._waiting.popleft().switch, None)
        else:
            self._free += 1
