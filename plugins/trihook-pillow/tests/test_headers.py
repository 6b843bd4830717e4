import struct

import pytest
from PIL import Image
from trihook_pillow.headers import bound_scans, count_scans, read_size

VARIANTS = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("JPEG", {"comment": b"\xff\xc0 looks like a frame header", "exif": Image.Exif()}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"exif": b"Exif\0\0"}),
]


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_the_size_is_read_from_every_kind_of_header(encode, noise, kind, options):
    assert read_size(kind, encode(noise(37, 301, 3), kind, **options)) == (301, 37)


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_a_header_that_is_cut_gives_its_size_or_an_error_of_the_two_kinds(
    encode, noise, kind, options
):
    data = encode(noise(37, 301, 3), kind, **options)
    assert {_size_or_none(kind, data[:end]) for end in range(12, 600)} == {None, (301, 37)}


@pytest.mark.parametrize("filler", [b"\xff\xff\xff", b"\xff\0", b"junk"])
def test_what_stands_between_jpeg_segments_is_skipped(encode, noise, filler):
    data = encode(noise(8, 9, 3), "JPEG")
    at = 4 + struct.unpack_from(">H", data, 4)[0]  # behind the first segment
    assert read_size("JPEG", data[:at] + filler + data[at:]) == (9, 8)


def test_a_size_of_zero_is_refused(encode, noise):
    data = bytearray(encode(noise(8, 9, 3)))
    data[16:20] = bytes(4)
    with pytest.raises(ValueError, match="no pixels"):
        read_size("PNG", bytes(data))


def test_a_png_without_a_header_chunk_is_refused(encode, noise):
    data = encode(noise(8, 9, 3)).replace(b"IHDR", b"IDAT", 1)
    with pytest.raises(ValueError, match="IHDR"):
        read_size("PNG", data)


def test_the_scans_of_the_first_picture_are_counted_and_no_others(encode, noise, with_segments):
    data = encode(noise(64, 64, 3), "JPEG", progressive=True, comment=b"\xff\xda" * 9)
    scans = data.count(b"\xff\xda") - 9
    thumbnail = (0xE1, b"Exif\0\0" + encode(noise(8, 8, 3), "JPEG"))
    assert scans > 5
    assert count_scans(with_segments(data, thumbnail) + data + b"\xff\xda") == scans
    assert bound_scans(with_segments(data, thumbnail) + data + b"\xff\xda") == 2 * (scans + 9) + 2


def test_scans_are_counted_to_the_end_of_a_file_that_is_cut(encode, noise):
    data = encode(noise(64, 64, 3), "JPEG", progressive=True)
    assert count_scans(data[:-2]) == bound_scans(data) == data.count(b"\xff\xda")


def test_tables_that_end_before_the_picture_begins_hide_no_scans(encode, noise):
    data = encode(noise(8, 8, 3), "JPEG")
    assert count_scans(b"\xff\xd8\xff\xd9" + data) == 1


def _size_or_none(kind, data):
    try:
        return read_size(kind, data)
    except (ValueError, struct.error):
        return None
