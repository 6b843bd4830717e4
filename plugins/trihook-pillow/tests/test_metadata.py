import numpy as np
import pytest
import trihook
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from trihook_pillow import decode
from trihook_pillow.metadata import drop_metadata
from trihook_pillow.segments import SCAN, read_segments

EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
# what may be taken for a marker or a length where it is none
PIECES = [b"\xff", b"\0", b"\2", b"\5", b"\xda", b"\xe0", b"\xe1", b"\xff\xe0\0\0", b"\xff\xfe\0\2"]


def same_pixels(data, other):
    return np.array_equal(np.asarray(decode(data)), np.asarray(decode(other)))


def bodies(data, marker):
    return [data[begin + 4 : end] for m, begin, end in read_segments(data) if m == marker]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_file_of_nothing_but_its_picture_is_not_copied(encode, scene, kind):
    data = encode(scene, kind)
    assert drop_metadata(kind, data) is data


def test_comments_and_profiles_of_a_jpeg_are_dropped(encode, scene, with_segments):
    plain = encode(scene, "JPEG")
    data = encode(scene, "JPEG", comment=b"words", icc_profile=b"profile" * 20_000)
    assert len(data) > len(plain) + 140_000
    assert drop_metadata("JPEG", data) == plain
    photoshop = b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5000
    assert drop_metadata("JPEG", with_segments(plain, (0xED, photoshop))) == plain


def test_of_a_jpegs_exif_data_the_first_remain(encode, scene, with_segments):
    plain = encode(scene, "JPEG")
    later = [(0xE1, b"Exif\0\0" + bytes(1000))] * 500
    data = with_segments(plain, (0xE1, b"http://ns.adobe.com/xap/1.0/\0"), (0xE1, EXIF), *later)
    assert bodies(drop_metadata("JPEG", data), 0xE1) == [EXIF]
    assert decode(data).size == (96, 128)


def test_what_tells_a_jpegs_colours_remains(encode, scene):
    data = encode(Image.fromarray(scene).convert("CMYK"), "JPEG", comment=b"words")
    assert bodies(drop_metadata("JPEG", data), 0xEE) == bodies(data, 0xEE) != []
    data = encode(scene, "JPEG", comment=b"words")
    assert bodies(drop_metadata("JPEG", data), 0xE0) == bodies(data, 0xE0) != []


def test_megabytes_of_a_jpegs_metadata_do_not_change_its_pixels(encode, scene, with_segments):
    plain = encode(scene, "JPEG")
    data = with_segments(plain, *[(0xE1 + n % 13, bytes(65_533)) for n in range(200)])
    assert same_pixels(data, plain)


@pytest.mark.parametrize(
    "bulk", [b"\xff\xdb\xff\xff" + bytes(65_533), b"\xff" * 65_537, bytes(65_537)]
)
def test_a_jpeg_of_a_large_header_is_refused(encode, scene, bulk):
    data = encode(scene, "JPEG")
    at = data.index(b"\xff\xdb")
    with pytest.raises(trihook.PayloadTooLargeError, match="before its pixels, metadata not"):
        decode(data[:at] + bulk * 4 + data[at:])


def test_a_jpeg_of_more_segments_than_encoders_write_is_refused(encode, scene, with_segments):
    plain = encode(scene, "JPEG")
    assert same_pixels(with_segments(plain, *[(0xE5, b"")] * 9_000), plain)
    with pytest.raises(trihook.PayloadTooLargeError, match="over 10000 segments"):
        decode(with_segments(plain, *[(0xE5, b"")] * 10_001))


@example(b"\xff\xff\xfe\0\2\xe0\0\2")  # a fill byte before a comment
@example(b"\xff\xe0\0\0\xff\xfe\0\2\2")  # a length of 0 before one
@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_what_is_left_of_a_jpeg_falls_into_the_same_segments(header):
    def up_to_the_scan(data):
        found = [(marker, data[begin:end]) for marker, begin, end in read_segments(data)]
        return found[: [marker for marker, _ in found].index(SCAN)]

    data = b"\xff\xd8\xff\xe0\0\2" + header + bytes(65_535) + b"\xff\xda\0\2\xff\xd9"
    kept = [(marker, body) for marker, body in up_to_the_scan(data) if marker not in (0xE1, 0xFE)]
    assert up_to_the_scan(drop_metadata("JPEG", data)) == kept


def test_a_jpeg_without_a_scan_is_refused(encode, scene):
    data = encode(scene, "JPEG")
    with pytest.raises(ValueError, match="no scan"):
        drop_metadata("JPEG", data[: data.index(b"\xff\xda")])
