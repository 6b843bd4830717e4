"""Who may ask: where the host has keys, those who hold one of them."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from trihook.config import Settings
from trihook.errors import UnauthorizedError


class Keys:
    """The keys of a host, each as good as the others, so that one can be replaced in use."""

    def __init__(self, settings: Settings) -> None:
        self._keys = [key.get_secret_value().encode() for key in settings.keys]

    def check(self, environ: Mapping[str, Any]) -> None:
        """Raise :class:`trihook.UnauthorizedError` unless a WSGI request holds one of the keys.

        As ``Authorization: Bearer KEY``: RFC 6750, section 2.1. How long it takes does not tell
        how much of a key is right.
        """
        if not self._keys:
            return
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        key = given.strip().encode("latin-1")
        # all of them are compared, whichever it is
        if scheme.lower() != "bearer" or not sum([hmac.compare_digest(key, k) for k in self._keys]):
            raise UnauthorizedError(
                "expected one of the host's keys, as 'Authorization: Bearer KEY'", stage="request"
            )
