"""The head of a usual scoring request, told in one look.

Usual is a POST with HTTP/1.1 to a scoring path in plain letters, with a length, each field once,
and none that changes how the body or the connection is to be read. Of anything else nothing is
said here: Gunicorn reads it. What is taken here Gunicorn would have read the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_END = b"\r\n\r\n"
_MAX_HEAD = 4000  # bytes; below each of Gunicorn's own limits
_MAX_FIELDS = 100

_HEAD = re.compile(
    r"POST /score(?:/([\w.~-]+)(?:/versions/([\w.~-]+))?)?(?:\?([!\"$-~]*))? HTTP/1\.1\r\n"
    r"((?:[!#$%&'*+.^`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+)",
    re.ASCII,
)
_FIELD = re.compile(r"([^:]+):[\t ]*([^\r]*)\r\n")
_LENGTH = re.compile(r"[0-9]{1,15}")
_UNUSUAL = frozenset(
    {
        "HTTP_EXPECT",
        "HTTP_HTTP2_SETTINGS",
        "HTTP_TE",
        "HTTP_TRAILER",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
    }
)


class Head(NamedTuple):
    """What a head says: ``size`` is its own in bytes, ``length`` that of the body.

    ``model`` and ``version`` are what the path names. ``environ`` is what WSGI calls the query and
    the fields.
    """

    size: int
    length: int
    model: str
    version: str
    environ: dict[str, str]


def parse_head(data: bytes) -> Head | None:
    """Return the head that ``data`` begins with, or None if it is unusual or not all there."""
    end = data.find(_END, 0, _MAX_HEAD)
    if end < 0:
        return None
    head = data[: end + 2].decode("latin-1")
    matched = _HEAD.fullmatch(head)
    if matched is None:
        return None
    model, version, query, lines = matched.groups("")
    fields = _FIELD.findall(lines)
    environ = {
        f"HTTP_{name.upper().replace('-', '_')}": value.rstrip("\t ") for name, value in fields
    }
    length = environ.pop("HTTP_CONTENT_LENGTH", "")
    if (
        len(environ) != len(fields) - 1
        or len(fields) > _MAX_FIELDS
        or not _LENGTH.fullmatch(length)
        or not _UNUSUAL.isdisjoint(environ)
        or environ.get("HTTP_CONNECTION", "keep-alive").lower() != "keep-alive"
    ):
        return None
    environ["CONTENT_LENGTH"] = length
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ["QUERY_STRING"] = query
    return Head(end + len(_END), int(length), model, version, environ)
