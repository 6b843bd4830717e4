"""Whose hooks compute now: no more at a time than there are cores for them.

More threads that compute than cores finish nothing sooner, and the hub, which answers everybody,
has to wait for a core and for the interpreter among all of them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub
from gevent.monkey import get_original

_SLICE = 0.02  # seconds after which a turn is given up, if others wait for one
_LOOK_INTERVAL = 0.005
_LONG = 1.0  # seconds after which a hook is not waited for
_SHORT = 0.002  # seconds in which nothing is seen yet
_BUSY = 0.1  # of a core

_get_ident = get_original("_thread", "get_ident")  # the thread's, not the greenlet's
_find_clock = getattr(time, "pthread_getcpuclockid", None)  # macOS has none


class Turn:
    """One thread's turn to run hooks."""

    __slots__ = ("_began", "_clock", "_cpu", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._began: float | None = None
        self._clock = 0
        self._cpu = 0.0

    def begin(self) -> None:
        """Look at the clocks; for the thread that has the turn."""
        if _find_clock is not None:
            self._clock = _find_clock(_get_ident())
            self._cpu = time.clock_gettime(self._clock)
        self._began = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether others wait, and this one has lasted long enough."""
        return self._turns.are_wanted and self._lasted(time.monotonic()) > _SLICE

    def takes_core(self, now: float) -> bool:
        """Tell whether it computes; what waits for a network or a lock does not.

        Nor does what has computed for so long that it may never end.
        """
        lasted = self._lasted(now)
        if lasted < _SHORT or _find_clock is None:
            return lasted < _LONG
        try:
            computed = time.clock_gettime(self._clock) - self._cpu
        except OSError:  # the thread has ended
            return False
        return lasted < _LONG and computed > _BUSY * lasted

    def _lasted(self, now: float) -> float:
        return 0.0 if self._began is None else now - self._began


class Turns:
    """Gives turns to as many as there are ``cores``, first come, first served; for one hub."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._computing: set[Turn] = set()
        self._queue: deque[Callable[[Turn], None]] = deque()
        self._timer: Any = None

    @property
    def are_wanted(self) -> bool:
        """Whether somebody waits for one; may be asked from any thread."""
        return bool(self._queue)

    def ask(self, take: Callable[[Turn], None]) -> None:
        """Have ``take`` called with a turn, on the hub, as soon as there is one."""
        self._queue.append(take)
        if len(self._queue) == 1:  # else the others are being looked out for
            self._look()

    def withdraw(self, take: Callable[[Turn], None]) -> None:
        """Have it not called any more."""
        if take in self._queue:
            self._queue.remove(take)
            self._look_out()

    def leave(self, turn: Turn) -> None:
        """Take a turn back, if it was not before."""
        self._computing.discard(turn)
        self._give()

    def _look(self) -> None:
        """Find out who has ceased to compute, and give turns for them."""
        if len(self._computing) >= self._cores:
            now = time.monotonic()
            self._computing = {turn for turn in self._computing if turn.takes_core(now)}
        self._give()

    def _give(self) -> None:
        while self._queue and len(self._computing) < self._cores:
            turn = Turn(self)
            self._computing.add(turn)
            self._queue.popleft()(turn)
        self._look_out()

    def _look_out(self) -> None:
        """Look again and again while somebody waits."""
        if self._timer is not None and not self._queue:
            self._timer.close()
            self._timer = None
        elif self._timer is None and self._queue:
            self._timer = get_hub().loop.timer(_LOOK_INTERVAL, _LOOK_INTERVAL, ref=False)
            self._timer.start(self._look)
