"""Read a request's body: all of it, or an error, whatever the server in front accepts.

Under Gunicorn a body that ends early reads as if it were whole, and a chunked one over the
limit as if it ended there. So the length is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import IO, Any

from trihook.errors import PayloadError, PayloadTooLargeError

_CHUNK = 1024 * 1024
_LENGTH = re.compile(r"[0-9]{1,19}")


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """Return the body of a WSGI request.

    Raises :class:`PayloadTooLargeError` above ``limit`` bytes, before reading them where the
    length is declared, and :class:`PayloadError` where fewer bytes came than were declared or
    the framing is broken.
    """
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared and not _LENGTH.fullmatch(declared):
        raise PayloadError("the Content-Length is no number", stage="request")
    length = int(declared) if declared else None
    if length is not None and length > limit:
        raise _too_large(limit)
    try:
        body = _read(environ["wsgi.input"], limit + 1 if length is None else length)
    except Exception as exc:  # servers raise errors of their own kinds for broken framing
        raise PayloadError("the body is cut off or wrongly framed", stage="request") from exc
    if length is None and len(body) > limit:
        raise _too_large(limit)
    if length is not None and len(body) < length:
        raise PayloadError(
            f"the body ends after {len(body)} of the {length} bytes declared", stage="request"
        )
    return body


def _read(stream: IO[bytes], size: int) -> bytes:
    """Read ``size`` bytes, or fewer where the stream ends."""
    first = stream.read(min(size, _CHUNK))
    if len(first) >= size or not first:
        return first
    chunks, left = [first], size - len(first)
    while left and (chunk := stream.read(min(left, _CHUNK))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"the body is over {limit} bytes", stage="request")
