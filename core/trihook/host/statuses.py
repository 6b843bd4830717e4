"""Which HTTP status each error has: the one table."""

from __future__ import annotations

from trihook.errors import (
    DeadlineError,
    HookError,
    PayloadError,
    PayloadTooLargeError,
    RequestError,
    ScoringError,
    TritonError,
    UnauthorizedError,
    UnavailableError,
    UnknownModelError,
    UnsupportedMediaTypeError,
)

STATUSES: dict[type[ScoringError], int] = {
    ScoringError: 500,
    RequestError: 400,
    PayloadError: 400,
    UnauthorizedError: 401,
    UnknownModelError: 404,
    PayloadTooLargeError: 413,
    UnsupportedMediaTypeError: 415,
    HookError: 500,
    TritonError: 502,
    UnavailableError: 503,
    DeadlineError: 504,
}


def status_of(error: ScoringError) -> int:
    """Return the status of an error: its own, or that of its nearest base."""
    return next(STATUSES[base] for base in type(error).__mro__ if base in STATUSES)
