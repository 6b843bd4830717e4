"""Leave out of a picture file what says nothing about its pixels.

Pillow's readers go over all of it in Python, inflate some and keep most; and what they read in a
PNG file's texts they mix with what they know of its pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trihook import PayloadTooLargeError

from trihook_pillow.segments import SCAN, read_chunks, read_segments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trihook_pillow.formats import Format

_APP1 = 0xE1  # the only segment that holds EXIF data (Exif 2.3, section 4.7.2)
# APP0 and APP14 stay: they tell what the colours are (JFIF, Adobe)
_JPEG_METADATA = frozenset({*range(_APP1, 0xF0), 0xFE}) - {0xEE}
_MAX_JPEG_HEADER = 256 * 1024  # encoders write a few KiB, and up to 64 of EXIF

# These change nothing, but are so common and so quickly read that a copy of the file takes longer
_PNG_HARMLESS = frozenset({b"bKGD", b"cHRM", b"gAMA", b"hIST", b"pHYs", b"sBIT", b"sRGB", b"tIME"})
_PNG_KEPT = _PNG_HARMLESS | {b"tRNS", b"eXIf"}


def drop_metadata(kind: Format, data: bytes) -> bytes:
    """Return the file without what its pixels and its EXIF orientation do not need.

    JPEG: comments, and application data but for colours and the first EXIF data. PNG: texts,
    colour profiles, animations, private chunks, and a transparent colour of 16 bits, which Pillow
    would compare by its wrong half. Where there is none of it the file is returned as it is.

    Raises ``ValueError`` for a JPEG file without a scan, ``PayloadTooLargeError`` for too many
    segments or chunks, or a JPEG header that is still over 256 KiB.
    """
    if kind == "WEBP":
        return data
    view, kept, at = memoryview(data), [], 0
    for begin, end in _find_in_jpeg(data) if kind == "JPEG" else _find_in_png(data):
        kept.append(view[at:begin])
        at = end
    return b"".join([*kept, view[at:]]) if kept else data


def _find_in_jpeg(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield begin and end of metadata up to the first scan, each with stray bytes before it.

    So what is left falls into the same segments as before.
    """
    before, dropped, has_exif = 2, 0, False
    for marker, begin, end in read_segments(data):
        if marker == SCAN:
            if begin - dropped > _MAX_JPEG_HEADER:
                raise PayloadTooLargeError(
                    f"the JPEG picture has {begin - dropped} bytes before its pixels, metadata "
                    f"not counted, over the limit of {_MAX_JPEG_HEADER}"
                )
            return
        if marker in _JPEG_METADATA:
            is_exif = marker == _APP1 and data.startswith(b"Exif\0\0", begin + 4)
            if is_exif and not has_exif:
                has_exif = True
            else:
                yield before, end
                dropped += end - before
        before = end
    raise ValueError("no scan")


def _find_in_png(data: bytes) -> Iterator[tuple[int, int]]:
    wide = data[24:25] == b"\x10"  # the bit depth in IHDR
    for name, begin, end in read_chunks(data):
        ancillary = name[:1].islower()  # ISO/IEC 15948, 5.4
        if ancillary and (name not in _PNG_KEPT or (wide and name == b"tRNS")):
            yield begin, end
