"""Turns: a connection that is answered without ever waiting lets the others of its hub go on.

On busy cores it happens that a greenlet never has to wait: by the time the kernel lets it go on,
what it is to read next has come already, be it Triton's answer or the client's next request. The
loop, which would tell the others that theirs has come too, does not run meanwhile.
"""

from __future__ import annotations

from gevent.hub import get_hub


class Turns:
    """Gives other greenlets of the hub a turn after work of the current one that never waited."""

    def __init__(self) -> None:
        self._hub = get_hub()
        self._loop = self._hub.loop
        self._seen = self._loop.iteration

    def give_way(self) -> None:
        """Let all others go on that can, unless the loop has turned since this was asked last."""
        if self._loop.iteration == self._seen:
            # gevent.sleep(0) would let go on only those of whom the loop knows already
            with self._loop.timer(0, priority=self._loop.MINPRI) as all_others:
                self._hub.wait(all_others)
        self._seen = self._loop.iteration
