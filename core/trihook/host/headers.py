"""A request's headers by their names in lower case, read only if somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

_LOOKALIKES = frozenset({"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"})  # "Content_Type: …"
_WITHOUT_PREFIX = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


class Headers(Mapping[str, str]):
    """The headers of a WSGI request: most requests are scored without a look at them."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def __repr__(self) -> str:
        return repr(self._headers)

    @cached_property
    def _headers(self) -> dict[str, str]:
        headers = {
            key[5:].replace("_", "-").lower(): value
            for key, value in self._environ.items()
            if key.startswith("HTTP_") and key not in _LOOKALIKES
        }
        for key, name in _WITHOUT_PREFIX.items():
            if self._environ.get(key):
                headers[name] = self._environ[key]
        return headers
