"""The orientation that a camera notes in a picture's EXIF data."""

from __future__ import annotations

import struct

from PIL.Image import Transpose

_TAG = 0x0112
_SHORT, _LONG = 3, 4
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def find_turn(exif: bytes) -> Transpose | None:
    """Return what makes the picture upright, or None if it is upright or nothing valid is noted.

    ``exif`` is a TIFF structure, with or without the leading ``Exif\\0\\0`` of a JPEG segment. Only
    its first directory is read (Exif 2.3, section 4.6.4, tag 274). Pillow's own reader would
    parse all of it, and warn about damage that does not concern us.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        return _TURNS.get(_read_orientation(tiff, order))
    except struct.error:
        return None


def swaps_sides(turn: Transpose | None) -> bool:
    """Tell whether the turn makes width of height."""
    return turn in {
        Transpose.TRANSPOSE,
        Transpose.ROTATE_270,
        Transpose.TRANSVERSE,
        Transpose.ROTATE_90,
    }


def _read_orientation(tiff: bytes, order: str) -> int:
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", tiff, at)
        if tag == _TAG and kind in (_SHORT, _LONG):
            width = "H" if kind == _SHORT else "I"
            value: int = struct.unpack_from(order + width, tiff, at + 8)[0]
            return value
    return 1
