"""What stands behind an error: here a maintainer reads, not a caller."""

from __future__ import annotations

import traceback

from trihook.errors import MisfitError, ScoringError


def describe_cause(error: ScoringError) -> str:
    """Say what was raised, and at which line; nothing where the error itself says all."""
    cause = error.__cause__
    if cause is None or isinstance(cause, MisfitError):
        return ""
    frames = traceback.extract_tb(cause.__traceback__)
    where = f", at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(cause).__name__}: {cause}{where}"
