"""Whatever is done to a file, it is decoded or refused: no other error, and no warning."""

import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import trihook
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from trihook_pillow import decode

SIGNATURES = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x24\0\0\0WEBPVP8 ", b""]
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"


@pytest.fixture
def bases(encode, scene):
    """Return one small file of each kind that the decoders tell apart."""
    small = Image.fromarray(scene).resize((40, 30))
    alpha = small.copy()
    alpha.putalpha(90)
    frames = {"save_all": True, "append_images": [small.rotate(90)]}
    return {
        "jpeg": encode(small, "JPEG", exif=EXIF),
        "progressive": encode(small, "JPEG", progressive=True, icc_profile=b"profile" * 9),
        "grey jpeg": encode(small.convert("L"), "JPEG"),
        "cmyk": encode(small.convert("CMYK"), "JPEG"),
        "png": encode(small, exif=EXIF),
        "palette": encode(small.quantize(16), transparency=3),
        "wide": encode(Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 200)),
        "apng": encode(small, **frames),
        "webp": encode(small, "WEBP", exif=EXIF),
        "lossless": encode(alpha, "WEBP", lossless=True),
        "animated": encode(small, "WEBP", **frames),
    }


def attempt(data):
    """Return the pixels, or the class of the refusal; any other error, and any warning, leaves."""
    try:
        return np.asarray(decode(data, max_pixels=100_000))
    except (trihook.PayloadError, trihook.PayloadTooLargeError) as exc:
        return type(exc)


@pytest.mark.parametrize("name", ["jpeg", "progressive", "png", "palette", "webp", "lossless"])
def test_a_truncated_file_is_refused_or_gives_the_whole_picture(bases, name):
    whole = bases[name]
    pixels = attempt(whole)
    refused = 0
    for end in range(len(whole)):
        result = attempt(whole[:end])
        if result is trihook.PayloadError:
            refused += 1
        elif name == "png":  # the exif data may be what was lost
            assert sorted(result.shape) == sorted(pixels.shape)
        else:
            assert np.array_equal(result, pixels)
    assert refused > 0.9 * len(whole)


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_wrong_bytes_among_the_pixels_of_a_format_without_checksums_go_unnoticed(bases, name):
    data = bytearray(bases[name])
    data[-60] ^= 0x10
    pixels, wrong = attempt(bases[name]), attempt(bytes(data))
    assert wrong.shape == pixels.shape
    assert not np.array_equal(wrong, pixels)


def test_random_damage_is_refused_or_decoded(bases):
    dice = random.Random(4)  # noqa: S311 - the same damage every time
    outcomes = [attempt(_damage(dice, data)) for data in bases.values() for _ in range(200)]
    assert any(isinstance(outcome, np.ndarray) for outcome in outcomes)
    assert trihook.PayloadError in [o for o in outcomes if isinstance(o, type)]


def _damage(dice, data):
    data = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 8])):
        if not data:
            break
        at = dice.randrange(len(data))
        size = dice.choice([1, 1, 2, 4, 64])
        what = dice.choice(["flip", "set", "zero", "drop", "repeat", "swap", "insert"])
        if what == "flip":
            data[at] ^= 1 << dice.randrange(8)
        elif what == "set":
            data[at : at + size] = dice.choice([b"\xff", b"\x7f", b"\x80"]) * size
        elif what == "zero":
            data[at : at + size] = bytes(size)
        elif what == "drop":
            del data[at : at + size]
        elif what == "repeat":
            data[at:at] = data[at : at + size]
        elif what == "swap":
            other = dice.randrange(len(data))
            data[at], data[other] = data[other], data[at]
        else:
            data[at:at] = dice.randbytes(size)
    return bytes(data)


@pytest.mark.parametrize(
    "error",
    [OSError, ValueError, SyntaxError, struct.error, zlib.error, EOFError, IndexError, KeyError,
     TypeError, AssertionError, OverflowError, ZeroDivisionError],
)  # fmt: skip
def test_whatever_a_decoder_raises_becomes_a_refusal_without_its_words(bases, monkeypatch, error):
    def fail(*_):
        raise error("at 0x7f00dead")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(trihook.PayloadError) as caught:
        decode(bases["png"])
    assert str(caught.value) == "the PNG picture is cut short or corrupt"
    assert isinstance(caught.value.__cause__, error)


@settings(deadline=None)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(signature, body):
    assert isinstance(attempt(signature + body), type)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"GIF89a", "no JPEG, PNG or WEBP"),
        (b"", "no JPEG, PNG or WEBP"),
        (b"\xff\xd8\xff\xe0", "the JPEG picture is cut short or corrupt"),
        (b"\x89PNG\r\n\x1a\n", "the PNG picture is cut short or corrupt"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "the WEBP picture is cut short or corrupt"),
    ],
)
def test_the_refusal_names_the_format_and_nothing_of_the_library(data, names):
    with pytest.raises(trihook.PayloadError, match=names):
        decode(data)


@pytest.mark.parametrize("chunk", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_chunk_that_inflates_without_end_is_not_inflated(bases, chunk):
    text = zlib.compress(bytes(64_000_000))
    body = {
        b"zTXt": b"a\0\0" + text,
        b"iTXt": b"a\0\1\0\0\0" + text,
        b"iCCP": b"a\0\0" + text,
    }[chunk]
    data = bases["png"]
    bomb = struct.pack(">I", len(body)) + chunk + body + struct.pack(">I", zlib.crc32(chunk + body))
    tracemalloc.start()
    try:
        attempt(data[:33] + bomb + data[33:])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16_000_000
