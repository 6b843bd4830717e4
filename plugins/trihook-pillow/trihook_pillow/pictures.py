"""Find the picture in an item: raw bytes, a file of a form, or base64 in JSON."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from trihook import PayloadError, UnsupportedMediaTypeError

from trihook_pillow.formats import FORMATS, MEDIA_TYPES, recognise

if TYPE_CHECKING:
    from trihook import Item

# what senders say who do not say what they send; the second is curl's default
_UNSPECIFIC = frozenset({"", "application/octet-stream", "application/x-www-form-urlencoded"})


def find_picture(item: Item) -> bytes | None:
    """Return the bytes of the item's picture, or None if the item is not meant as one.

    Bytes are taken under the media types of JPEG, PNG and WEBP, whichever of the three they then
    are, and under a media type that says nothing if they begin like one. JSON is taken as
    ``{"image": {"b64": "..."}}``; further keys are left to others.

    Raises ``UnsupportedMediaTypeError`` for pictures declared to be of another format, and
    ``PayloadError`` for bytes or base64 that hold no picture although they are declared to.
    """
    if isinstance(item.data, bytes):
        return _find_in_bytes(item.data, item.media_type)
    image = item.data.get("image") if isinstance(item.data, dict) else None
    if isinstance(image, dict) and "b64" in image:
        return _decode_base64(image["b64"])
    return None


def _find_in_bytes(data: bytes, media_type: str) -> bytes | None:
    if media_type in MEDIA_TYPES:
        if recognise(data) is None:
            raise PayloadError(
                f"the bytes are declared as {media_type}, but begin like no {FORMATS} picture"
            )
        return data
    if media_type.startswith("image/"):
        raise UnsupportedMediaTypeError(
            f"pictures are taken as {FORMATS}; this one is declared as {media_type}"
        )
    return data if media_type in _UNSPECIFIC and recognise(data) else None


def _decode_base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise PayloadError('"image.b64" must be a string of base64')
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise PayloadError(
            '"image.b64" is not base64: letters, digits, "+" and "/", padded with "=", nothing else'
        ) from exc
    if recognise(data) is None:
        raise PayloadError(f'"image.b64" holds no {FORMATS} picture')
    return data
