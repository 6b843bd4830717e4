"""Bytes of a JPEG, PNG or WEBP picture in, an upright 8-bit picture out.

The decoders are called directly, not through ``Image.open``: that would ask every format that
any code in the process has registered, warn or fail by a limit that is global to the process,
and parse the other pictures of a multi-picture file.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from trihook import PayloadError, PayloadTooLargeError

from trihook_pillow.formats import FORMATS, Format, recognise
from trihook_pillow.headers import bound_scans, count_scans, read_size
from trihook_pillow.metadata import drop_metadata
from trihook_pillow.orientation import find_turn, swaps_sides

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 16_000_000
WHITE = (255, 255, 255)
# Each scan goes over the whole picture, 18 ms at 16 million pixels, and may be 31 bytes long; those
# that encoders write have 10 or so
_MAX_SCANS = 100

# what Pillow's decoders raise for damaged files: five of these were seen in a million of them
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class _JpegFile(JpegImagePlugin.JpegImageFile):
    """A JPEG file whose EXIF data Pillow leaves alone: it reads them on opening, and warns."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


def decode(
    data: bytes,
    *,
    channels: Literal[1, 3] = 3,
    max_pixels: int = MAX_PIXELS,
    background: tuple[int, int, int] = WHITE,
    reduce_to: tuple[int, int] | None = None,
) -> Image.Image:
    """Decode a picture into mode ``RGB`` (3 channels) or ``L`` (1 channel), upright.

    - EXIF orientation is applied; other metadata is not looked at.
    - Palettes are resolved; 1, 2 and 4 bits are scaled up to 8; of 16 bits the upper 8 are kept.
    - Alpha, or a transparent colour, is composited over ``background`` (red, green, blue; for one
      channel its luma). A transparent colour of 16 bits is ignored, and of a grey picture of 2 or 4
      bits all but black.
    - CMYK becomes RGB without a colour profile, RGB becomes grey by ITU-R BT.601 luma.
    - Of an animation the first frame is taken, of a multi-picture file the first picture.

    ``reduce_to`` (width, height) lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, as long as
    it stays at least that large: quicker, and not quite the same pixels.

    Raises ``PayloadTooLargeError`` for more than ``max_pixels``, counted from the header before
    anything is decoded, for a JPEG of more than 100 scans, or of 10,000 segments before its pixels,
    or of 256 KiB there without metadata, and for a PNG of more than 100,000 chunks. Raises
    ``PayloadError`` for what is no picture, cut short, or corrupt as far as the decoder notices.
    """
    kind = recognise(data)
    if kind is None:
        raise PayloadError(f"the bytes are no {FORMATS} picture: none of their signatures is there")
    try:
        data = drop_metadata(kind, data)  # first: all else goes by what Pillow will see
        _check_limits(kind, data, max_pixels)
        picture, turn = _load(kind, data, channels, background, reduce_to)
        return picture if turn is None else picture.transpose(turn)
    except _DAMAGE as exc:
        raise PayloadError(f"the {kind} picture is cut short or corrupt") from exc
    except MemoryError as exc:
        raise PayloadTooLargeError(f"the {kind} picture needs more memory than there is") from exc
    except Image.DecompressionBombError as exc:  # the WEBP decoder asks the global limit by itself
        raise PayloadTooLargeError(f"the {kind} picture is over Pillow's own limit") from exc


def _check_limits(kind: Format, data: bytes, max_pixels: int) -> None:
    width, height = read_size(kind, data)
    if width * height > max_pixels:
        raise PayloadTooLargeError(
            f"the {kind} picture has {width}x{height} pixels, over the limit of {max_pixels}"
        )
    if kind != "JPEG" or bound_scans(data) <= _MAX_SCANS:
        return
    scans = count_scans(data)
    if scans > _MAX_SCANS:
        raise PayloadTooLargeError(
            f"the JPEG picture has {scans} scans, over the limit of {_MAX_SCANS}"
        )


def _load(
    kind: Format,
    data: bytes,
    channels: Literal[1, 3],
    background: tuple[int, int, int],
    reduce_to: tuple[int, int] | None,
) -> tuple[Image.Image, Image.Transpose | None]:
    """Return the flattened picture and its turn; the decoder's own memory goes on return."""
    with _open(kind, data) as file:
        if file.size != read_size(kind, data):  # two frame headers: Pillow takes the last
            raise ValueError("contradictory sizes")
        turn = find_turn(_exif(file))
        if reduce_to is not None:
            file.draft(None, reduce_to[::-1] if swaps_sides(turn) else reduce_to)
        file.load()
        turn = turn or find_turn(_exif(file))  # in a PNG file they may follow the pixels
        return _flatten(file, channels, background), turn


def _open(kind: Format, data: bytes) -> ImageFile:
    if kind == "JPEG":
        file = _JpegFile(io.BytesIO(data))
        # in one piece: libjpeg reads fill bytes that go on into the next from their first again
        file.decodermaxblock = len(data)
        return file
    if kind == "PNG":
        return PngImagePlugin.PngImageFile(io.BytesIO(data))
    return WebPImagePlugin.WebPImageFile(io.BytesIO(data))


def _exif(file: ImageFile) -> bytes:
    exif = file.info.get("exif", b"")
    return exif if isinstance(exif, bytes) else b""


def _flatten(
    picture: Image.Image, channels: Literal[1, 3], background: tuple[int, int, int]
) -> Image.Image:
    if picture.mode.startswith("I"):
        samples = np.asarray(picture).astype(np.uint16)
        picture = Image.fromarray((samples >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        canvas = Image.new("RGB", picture.size, background)
        cover = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        canvas.paste(cover, mask=cover)
        picture = canvas
    mode = "RGB" if channels == 3 else "L"
    return picture if picture.mode == mode else picture.convert(mode)
