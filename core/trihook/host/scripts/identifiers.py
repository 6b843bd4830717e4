"""The three ids of a request: what the caller gave, and what it gets back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from werkzeug.datastructures import Headers

REQUEST_ID = "x-request-id"
LEGACY_ID = "x-ms-request-id"
CLIENT_ID = "x-ms-client-request-id"
LONGEST = 100


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The ids to answer with, ``""`` for none; ``refusal`` says which one is too long."""

    request: str = ""
    legacy: str = ""
    client: str = ""
    refusal: str = ""

    def add_to(self, headers: Headers) -> None:
        """Put the ids into a response's headers."""
        for name, value in (
            (REQUEST_ID, self.request),
            (LEGACY_ID, self.legacy),
            (CLIENT_ID, self.client),
        ):
            if value:
                headers[name] = value


def read_identifiers(headers: Headers) -> Identifiers:
    """Read the ids of a request, and fill in those that it leaves out.

    The older of the two ``x-ms-`` names stands in for the newer, and the other way round.
    """
    request = headers.get(REQUEST_ID, str(uuid.uuid4()))
    if len(request) > LONGEST:
        return Identifiers(refusal=f"{REQUEST_ID} must not exceed {LONGEST} characters")
    legacy, client = headers.get(LEGACY_ID, ""), headers.get(CLIENT_ID, "")
    if legacy:
        client = client or legacy
    else:
        legacy = client or request
    if max(len(legacy), len(client)) > LONGEST:
        names = f"{LEGACY_ID} and {CLIENT_ID}"
        return Identifiers(request, refusal=f"{names} must not exceed {LONGEST} characters")
    return Identifiers(request, legacy, client)
