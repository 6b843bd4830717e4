import io
import zlib

import numpy as np
import pytest
import trihook
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from trihook_pillow import decode
from trihook_pillow.metadata import drop_metadata
from trihook_pillow.segments import SCAN, read_chunks, read_segments

EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
# what may be taken for a marker or a length where it is none
PIECES = [b"\xff", b"\0", b"\2", b"\5", b"\xda", b"\xe0", b"\xe1", b"\xff\xe0\0\0", b"\xff\xfe\0\2"]


def same_pixels(data, other):
    return np.array_equal(np.asarray(decode(data)), np.asarray(decode(other)))


def bodies(data, marker):
    return [data[begin + 4 : end] for m, begin, end in read_segments(data) if m == marker]


def names(data):
    return {name for name, _, _ in read_chunks(data)}


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


@pytest.mark.parametrize("marker", [0xE5, 0xFE], ids=["APP5", "comment"])
def test_what_looks_like_exif_data_in_another_segment_hides_none(
    encode, scene, with_segments, marker
):
    plain = encode(scene, "JPEG")
    data = with_segments(plain, (marker, b"Exif\0\0words"), (0xE1, EXIF))
    assert drop_metadata("JPEG", data) == with_segments(plain, (0xE1, EXIF))
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


def test_common_short_chunks_of_a_png_are_not_worth_a_copy(encode, scene, with_chunks):
    chunks = [(b"gAMA", bytes([0, 0, 177, 143])), (b"sRGB", b"\0"), (b"pHYs", bytes(9))]
    data = with_chunks(encode(scene, exif=EXIF), *chunks, (b"bKGD", bytes(6)), (b"tIME", bytes(7)))
    assert drop_metadata("PNG", data) is data


def test_texts_profiles_and_private_chunks_of_a_png_are_dropped(encode, scene, with_chunks):
    plain = encode(scene)
    profile = (b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000)))
    data = with_chunks(plain, *[profile] * 50, (b"tEXt", b"a\0b"), (b"prVt", b""))
    data = with_chunks(data, (b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\0\0\0\0"), before=b"IEND")
    assert drop_metadata("PNG", data) == plain


def test_an_animated_png_loses_all_but_its_still_picture(encode):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = encode(frames[0], save_all=True, append_images=frames[1:])
    still = drop_metadata("PNG", data)
    assert names(data) >= {b"acTL", b"fcTL", b"fdAT"}
    assert names(still) == {b"IHDR", b"IDAT", b"IEND"}
    assert np.array_equal(np.asarray(frames[0]), np.asarray(Image.open(io.BytesIO(still))))


@pytest.mark.parametrize("name", [b"TEST", b"\xff\xff\xff\xff", b"t\0\0\0"])
def test_a_chunk_that_a_png_may_not_do_without_remains(encode, scene, with_chunks, name):
    data = with_chunks(encode(scene), (name, b"abc"))
    assert (drop_metadata("PNG", data) is data) == (name[:1] != b"t")


@pytest.mark.parametrize(
    ("keyword", "chunk", "before"),
    [
        *[("transparency", chunk, b"IDAT") for chunk in ("tEXt", "zTXt", "iTXt")],
        *[("transparency", chunk, b"IEND") for chunk in ("tEXt", "zTXt", "iTXt")],
        *[("interlace", chunk, b"IDAT") for chunk in ("tEXt", "zTXt", "iTXt")],
        *[("bbox", chunk, b"IDAT") for chunk in ("tEXt", "zTXt", "iTXt")],
        *[("exif", "tEXt", before) for before in (b"IDAT", b"IEND")],
    ],
)
def test_a_texts_keyword_does_not_change_a_pngs_pixels(
    encode, scene, with_chunks, keyword, chunk, before
):
    bodies_of = {
        "tEXt": b"\0" + EXIF,
        "zTXt": b"\0\0" + zlib.compress(b"text"),
        "iTXt": b"\0\0\0\0\0text",
    }
    plain = encode(scene)
    text = (chunk.encode(), keyword.encode() + bodies_of[chunk])
    assert same_pixels(with_chunks(plain, text, before=before), plain)


def test_a_png_of_more_chunks_than_encoders_write_is_refused(encode, scene, with_chunks):
    plain = encode(scene)
    assert same_pixels(with_chunks(plain, *[(b"prVt", b"")] * 99_000), plain)
    with pytest.raises(trihook.PayloadTooLargeError, match="over 100000 chunks"):
        decode(with_chunks(plain, *[(b"prVt", b"")] * 100_001))


def test_a_png_that_is_cut_in_what_is_dropped_gives_an_error_or_its_picture(
    encode, scene, with_chunks
):
    plain = encode(scene)
    data = with_chunks(plain, (b"tEXt", b"a\0" + bytes(50)))
    with pytest.raises(trihook.PayloadError, match="cut short or corrupt"):
        decode(data[: data.index(b"tEXt") + 20])
    data = with_chunks(plain, (b"tEXt", b"a\0" + bytes(50)), before=b"IEND")
    assert same_pixels(data[: data.index(b"tEXt") + 20], plain)
