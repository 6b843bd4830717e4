"""The picture formats that are taken, recognised by their first bytes."""

from __future__ import annotations

from typing import Literal, TypeAlias

Format: TypeAlias = Literal["JPEG", "PNG", "WEBP"]

FORMATS = "JPEG, PNG or WEBP"
MEDIA_TYPES = frozenset(
    {"image/*", "image/jpeg", "image/jpg", "image/pjpeg", "image/png", "image/x-png", "image/webp"}
)


def recognise(data: bytes) -> Format | None:
    """Return the format whose signature the bytes begin with, or None if it is none of ours.

    The signatures are those of ISO/IEC 10918-1 (SOI and the next marker), ISO/IEC 15948
    section 5.2, and the RIFF header of the WebP container.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    return None
