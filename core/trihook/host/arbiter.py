"""Gunicorn's master, ending with one status however many workers fail to start."""

from __future__ import annotations

import sys
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer


class SteadyArbiter(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    """Ends with the status of the first worker that could not start.

    Gunicorn itself, while it ends for that reason, raises again over the next such worker,
    and then ends with status 1.
    """

    def __init__(self, app: Any) -> None:
        self._ending = False
        super().__init__(app)

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


class SteadyApplication(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """A Gunicorn application under a :class:`SteadyArbiter`."""

    def run(self) -> None:
        """Serve until a signal or a broken worker ends it."""
        try:
            SteadyArbiter(self).run()
        except RuntimeError as exc:
            sys.stderr.write(f"Error: {exc}\n")
            sys.exit(1)
