"""Connections go to the worker that has the fewest: new ones, and where too many are at one, old.

All workers are told of a connection, and the first to look gets it: of those that come at once
one worker may take nearly all, and has them as long as they last. And where a worker has ended
the others have its connections, and the one that is started in its place has none.
"""

from __future__ import annotations

import math
import mmap
import socket
import time
from typing import Any

from gevent.hub import get_hub
from gevent.server import StreamServer

_RETIRED, _FREE, _CLOSED = -3, -2, -1
_PATIENCE = 0.02  # seconds that others have to take a connection; halved each time it was in vain
_PAUSE = 0.001  # seconds between looks at what they have; the loop has no shorter ones
_RECOVERY = 1.0  # seconds until it is as long again


class Places:
    """How many connections each worker has, in memory that the master and its workers share.

    More workers than ``size`` are possible: those that find no place take part in nothing.
    """

    def __init__(self, size: int = 256) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * size)).cast("i")
        for index in range(size):
            self._counts[index] = _FREE

    def take(self) -> Place:
        """Return a place for a worker that is to be started; only the master may ask."""
        counts = self._counts.tolist()
        index = counts.index(_FREE) if _FREE in counts else None
        return Place(self._counts, index)


class Place:
    """The number of connections of one worker, and those of the others."""

    def __init__(self, counts: memoryview[int], index: int | None) -> None:
        self._counts, self._index = counts, index
        self._set(_CLOSED)

    def open(self) -> None:
        """Let the others know that connections are taken here from now on."""
        self._set(0)

    def close(self) -> None:
        """Let the others know that no more connections are taken here."""
        if not self.is_retired:
            self._set(_CLOSED)

    def retire(self) -> None:
        """Let the master know that the worker ends by itself, and wants a successor."""
        self._set(_RETIRED)

    @property
    def is_retired(self) -> bool:
        """Whether the worker ends by itself."""
        return self._index is not None and self._counts[self._index] == _RETIRED

    def free(self) -> None:
        """Give the place back, when its worker has ended; only the master may."""
        self._set(_FREE)
        self._index = None

    def add(self, connections: int) -> None:
        """Count that many more, or fewer where negative."""
        if self._index is not None and self._counts[self._index] >= 0:
            self._counts[self._index] += connections

    def is_ahead(self) -> bool:
        """Tell whether another worker that takes connections has fewer: by over an eighth."""
        if self._index is None:
            return False
        counts = self._counts.tolist()
        own = counts[self._index]
        return any(0 <= count < own - own // 8 for count in counts)

    def surplus(self) -> int:
        """Return how many connections this worker has above the mean, if by over an eighth."""
        if self._index is None:
            return 0
        counts = [count for count in self._counts.tolist() if count >= 0]
        own = self._counts[self._index]
        above = own - math.ceil(sum(counts) / len(counts)) if counts else 0
        return above if above > own // 8 else 0

    def _set(self, count: int) -> None:
        if self._index is not None:
            self._counts[self._index] = count


class FairServer(StreamServer):  # type: ignore[misc]  # gevent's is untyped here
    """Leaves a connection to a worker that has fewer, if that one looks within ``_PATIENCE``.

    A worker that does not look, for whatever reason, so holds up others for 40 ms a second.
    """

    max_accept = 1

    def __init__(self, listener: socket.socket, place: Place, **options: Any) -> None:
        self._place = place
        self._pause: Any = None
        self._waited_until = 0.0
        self._patience = _PATIENCE
        self._futile_at = 0.0
        super().__init__(listener, **options)

    def do_read(self) -> Any:
        """Accept a connection; return nothing where there is none, or not for this worker yet."""
        if not self._place.is_ahead():
            return super().do_read()
        now = time.monotonic()
        if now > self._futile_at + _RECOVERY:
            self._patience = _PATIENCE
        if self._waited_until <= now < self._waited_until + 2 * _PAUSE:
            accepted = super().do_read()
            if accepted:
                self._patience /= 2
                self._futile_at, self._waited_until = now, 0.0
            return accepted
        if self._patience < _PAUSE:
            return super().do_read()
        self.stop_accepting()
        if self._pause is None:  # else it was started again by a connection that ended
            self._wait(now + self._patience)
        return None

    def _wait(self, until: float) -> None:
        """Look again after a moment, until others have caught up or the time is over."""
        self._pause = get_hub().loop.timer(_PAUSE)
        self._pause.start(self._look_again, until)

    def _look_again(self, until: float) -> None:
        self._end_pause()
        now = time.monotonic()
        if now < until and self._place.is_ahead():
            self._wait(until)
            return
        self._waited_until = now if now >= until else 0.0
        self.start_accepting()

    def _end_pause(self) -> None:
        if self._pause is not None:
            self._pause.close()
            self._pause = None

    def close(self) -> None:
        """Take no more connections."""
        self._end_pause()
        self._place.close()
        super().close()
