"""The Gunicorn worker of the host: gevent's, without a traceback when Ctrl-C ends it."""

from __future__ import annotations

from types import FrameType

from gunicorn.workers.ggevent import GeventWorker


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn ships no types
    """Ends by its main loop, also when it is to be quick.

    Gunicorn's own answer to SIGINT and SIGQUIT is to raise ``SystemExit`` in a greenlet, which
    gevent prints with a traceback. The arbiter kills what does not end in time all the same.
    """

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - its signature
        """Stop accepting, let what is under way end, and return from the main loop."""
        self.alive = False
