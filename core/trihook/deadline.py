"""A point in time by which a request must have its answer."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in seconds; infinity where there is no limit."""

    at: float = float("inf")

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the moment that many seconds from now; 0 or less means no limit."""
        return cls(time.monotonic() + seconds) if seconds > 0 else cls()

    def left(self) -> float | None:
        """Return the seconds that are left, at least 0, or None where there is no limit."""
        if self.at == float("inf"):
            return None
        return max(0.0, self.at - time.monotonic())
