"""The parts of a JPEG or PNG file in their order, found by their lengths."""

from __future__ import annotations

import itertools
import re
import struct
from typing import TYPE_CHECKING

from trihook import PayloadTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCAN, END = 0xDA, 0xD9
_MAX_SEGMENTS = 10_000
_MAX_CHUNKS = 100_000

# The markers that have a length, and END. What libjpeg passes over is none: compressed data, in
# which 0 or a restart marker follows a byte 255, fill bytes, and stray bytes.
_MARKER = re.compile(rb"\xff[\xc0-\xc7\xc9-\xcf\xd9-\xef\xfe]")
_CHUNK = struct.Struct(">I4s")


def read_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, begin and end of each segment of a JPEG file, and of what marks its end.

    Compressed data and stray bytes stand between them (ISO/IEC 10918-1, B.1.1). Raises
    ``PayloadTooLargeError`` at the 10,001st.
    """
    at = 2
    for number in itertools.count():
        found = _MARKER.search(data, at)
        if found is None:
            return
        if number == _MAX_SEGMENTS:
            raise PayloadTooLargeError(f"the JPEG picture has over {_MAX_SEGMENTS} segments")
        begin, at = found.span()
        marker = data[begin + 1]
        if marker != END:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
        yield marker, begin, at


def read_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, begin and end of each chunk of a PNG file, IEND last (ISO/IEC 15948, 5.3).

    Raises ``PayloadTooLargeError`` at the 100,001st.
    """
    at, name = 8, b""
    for number in itertools.count():
        if name == b"IEND" or at + _CHUNK.size > len(data):
            return
        if number == _MAX_CHUNKS:
            raise PayloadTooLargeError(f"the PNG picture has over {_MAX_CHUNKS} chunks")
        begin = at
        length, name = _CHUNK.unpack_from(data, at)
        at += 12 + length
        yield name, begin, at
