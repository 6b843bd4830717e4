"""End a call after some time, by SIGALRM: the one way to interrupt Python on its own thread."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ExpiredError(BaseException):
    """The time is over.

    No ``Exception``, so that the interrupted code neither swallows it nor raises it itself.
    """


@contextmanager
def time_limit(milliseconds: int) -> Iterator[None]:
    """Raise :class:`ExpiredError` in the block once it has run for so long; 0 is no limit.

    Outside the main thread, where Python runs no signal handlers, there is no limit.
    """
    if not milliseconds or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _expire)
    signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _expire(*_: object) -> None:
    raise ExpiredError
