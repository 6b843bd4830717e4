"""Busy polling: a hub that does not sleep while it waits for one answer that is soon to come.

A core that has gone to sleep takes tens of microseconds to wake, on virtual machines more, and
then finds its caches used by others: with one caller and a quick model that is a fifth of the
latency. So the hub looks again and again, and gives its core to whoever else can use it. Whether
that pays is learned from what became of it, as Linux' haltpoll governor does for idle cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub

_MOST_LEFT_OUT = 1023

_give_way: Callable[[], object] = getattr(os, "sched_yield", lambda: None)


class BusyPolling:
    """A context in which one greenlet of a hub waits; others of that hub go on meanwhile.

    The hub stays awake for at most ``longest`` seconds of a wait, as long as it is the only one:
    with company it has other things to do, and they come in batches. After a wait that outlasted
    that the next one is left out, after another three of them, then seven, up to a thousand; each
    that ends in time halves this again. So slow models cost next to nothing.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._waiting = 0
        self._left_out = 0  # after the last wait that was in vain
        self._to_leave_out = 0
        self._watcher: Any = None
        self._ends = 0.0
        self._is_polling = False

    def __enter__(self) -> None:
        self._waiting += 1
        if self._waiting > 1:
            self._stop()
        elif self._to_leave_out:
            self._to_leave_out -= 1
        elif self._longest:
            self._start()

    def __exit__(self, *_: object) -> None:
        self._waiting -= 1
        if self._is_polling:
            self._stop()
            self._left_out //= 2

    def _start(self) -> None:
        if self._watcher is None:
            self._watcher = get_hub().loop.idle()  # while it is active the loop does not sleep
        self._ends = time.monotonic() + self._longest
        self._is_polling = True
        self._watcher.start(self._look)

    def _look(self) -> None:
        if time.monotonic() < self._ends:
            _give_way()
            return
        self._stop()
        self._left_out = self._to_leave_out = min(2 * self._left_out + 1, _MOST_LEFT_OUT)

    def _stop(self) -> None:
        if self._is_polling:
            self._is_polling = False
            self._watcher.stop()
