"""Gunicorn's master and workers, ending in time and with one status, however soon they are told."""

from __future__ import annotations

import signal
import sys
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.workers.base import Worker

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class SteadyArbiter(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    """Ends with the status of the first worker that could not start, and loses no stop signal.

    Gunicorn itself, while it ends for that reason, raises again over the next such worker,
    and then ends with status 1. And what it tells a worker that is just starting, whose signal
    handlers are still copies of the master's, goes into a copy of the master's own queue, where
    nobody reads it: the master then waits for that worker for all of ``graceful_timeout``. Here
    such a signal waits until the worker, a :class:`SteadyWorker`, can take it.
    """

    def __init__(self, app: Any) -> None:
        self._ending = False
        super().__init__(app)

    def spawn_worker(self) -> Any:
        """Start a worker; in the worker itself, run it, and exit."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def manage_workers(self) -> None:
        """Start as many workers as are missing, and end those that are too many.

        One that has retired is missing already: it may take its time to end.
        """
        retired = sum([worker.is_retired for worker in self.WORKERS.values()])
        self.num_workers += retired
        try:
            super().manage_workers()
        finally:
            self.num_workers -= retired

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        """End the workers, and exit."""
        self._ending = True
        super().halt(reason, exit_status)

    def reap_workers(self) -> None:
        """Take note of workers that have ended."""
        try:
            super().reap_workers()
        except HaltServer:
            if not self._ending:
                raise
            self.reap_workers()


class SteadyWorker(Worker):  # type: ignore[misc]  # gunicorn ships no types
    """A worker that takes the signals which its :class:`SteadyArbiter` has held back for it."""

    @property
    def is_retired(self) -> bool:
        """Whether it ends by itself, and wants a successor; for the master."""
        return False

    def init_signals(self) -> None:
        """Install the signal handlers, and let in what has come for them."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


class SteadyApplication(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """A Gunicorn application under a :class:`SteadyArbiter`, whose workers are steady too."""

    def run(self) -> None:
        """Serve until a signal or a broken worker ends it."""
        try:
            SteadyArbiter(self).run()
        except RuntimeError as exc:
            sys.stderr.write(f"Error: {exc}\n")
            sys.exit(1)
