"""Which pages of other origins may read the answers: the CORS headers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from werkzeug.datastructures import Headers

_METHODS = ("GET", "POST")
_PATTERN_CHARACTERS = frozenset(r"*\]?$^[()")


class Cors:
    """The origins that are let in: literal ones, regular expressions, or ``*`` for any.

    An expression has to match the whole origin. Raises ``re.error`` for one that is none.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._literals = sorted(origin for origin in origins if not _is_pattern(origin))
        self._known = {origin.lower() for origin in self._literals}
        self._any = "*" in origins
        self._patterns = [
            re.compile(".*" if origin == "*" else origin, re.IGNORECASE)
            for origin in origins
            if _is_pattern(origin)
        ]
        self._varies = len(origins) > 1 or bool(self._patterns)

    def add_headers(self, method: str, asked: Headers, answer: Headers) -> None:
        """Add the headers of one answer, to a request of ``method`` with headers ``asked``."""
        origin = asked.get("Origin", "")
        allowed = self._allowed(origin)
        for each in allowed:
            answer.add("Access-Control-Allow-Origin", each)
        if not allowed:
            return
        wanted = asked.get("Access-Control-Request-Method", "").upper()
        if method == "OPTIONS" and wanted in _METHODS:
            names = asked.get("Access-Control-Request-Headers", "").split(",")
            if listed := ", ".join(sorted(name.strip() for name in names if name.strip())):
                answer.add("Access-Control-Allow-Headers", listed)
            answer.add("Access-Control-Allow-Methods", ", ".join(_METHODS))
        if self._varies and allowed != ["*"]:
            answer.add("Vary", "Origin")

    def _allowed(self, origin: str) -> list[str]:
        if not origin:
            return ["*"] if self._any else self._literals
        if origin.lower() in self._known or any(p.fullmatch(origin) for p in self._patterns):
            return [origin]
        return []


def _is_pattern(origin: str) -> bool:
    return not _PATTERN_CHARACTERS.isdisjoint(origin)
