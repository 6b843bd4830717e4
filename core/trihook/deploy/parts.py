"""What the parts of a service have in common: an environment, Triton, and the host before it.

Each is started and then asked, again and again, whether it is ready; nothing here waits. A part
that ended by itself raises :class:`PartError` when it is asked.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Protocol

from trihook.errors import TrihookError, describe_os_error

LOOPBACK = "127.0.0.1"
_REASON = re.compile(r"[\w.]*(?:Error|Exception|Interrupt|Exit|Warning): .+")
_LOGGED = re.compile(r".*\[(?:ERROR|CRITICAL)\] (.+)")
PROBE_SECONDS = 1


class PartError(TrihookError):
    """A part of a service ended by itself, or cannot be started; the message is the reason."""

    def __init__(self, reason: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.lines = lines


@contextlib.contextmanager
def refusals_told() -> Iterator[None]:
    """Raise :class:`PartError` for what the system refuses a part, such as room on the disk."""
    try:
        yield
    except OSError as exc:
        raise PartError(describe_os_error(exc)) from exc


class Part(Protocol):
    """What a stack is made of."""

    name: str

    @property
    def is_started(self) -> bool:
        """Whether it was started and not stopped since."""

    def start(self) -> None:
        """Start it; raises :class:`PartError`."""

    def is_ready(self) -> bool:
        """Tell whether it is ready; raises :class:`PartError` if it has ended."""

    def describe(self) -> str:
        """Say what it is doing, for the one who waits."""

    def stop(self) -> None:
        """End it and all it started, at once."""


def reason_in(lines: tuple[str, ...]) -> str:
    """Return the last exception in a log, or else the last error, to stand after how it ended."""
    exceptions = [line for line in lines if _REASON.fullmatch(line)]
    errors = [match[1] for line in lines if (match := _LOGGED.match(line))]
    for found in (exceptions, errors):
        if found:
            return f": {found[-1]}"
    return ""
