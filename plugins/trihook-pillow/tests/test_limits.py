"""Sizes and scans have limits, and a JPEG is read once only."""

import numpy as np
import pytest
import trihook
from PIL import Image, JpegImagePlugin
from trihook_pillow import decode


def test_a_picture_at_the_limit_is_taken_and_one_above_refused_from_the_header(encode):
    data = encode(Image.new("L", (40, 25)))
    assert decode(data, max_pixels=1000).size == (40, 25)
    with pytest.raises(trihook.PayloadTooLargeError, match="40x25 pixels, over the limit of 999"):
        decode(data, max_pixels=999)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_huge_size_in_the_header_is_refused_before_decoding(encode, kind, monkeypatch):
    opened = []
    for name in ("JpegImagePlugin", "PngImagePlugin", "WebPImagePlugin"):
        monkeypatch.setattr(f"PIL.{name}.{name[:-11]}ImageFile.__init__", opened.append)
    data = bytearray(encode(Image.new("RGB", (16, 16)), kind))
    if kind == "JPEG":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    elif kind == "PNG":
        data[16:24] = b"\x7f\xff\xff\xff" * 2
    else:
        data[26:30] = b"\xff\x3f\xff\x3f"
    with pytest.raises(trihook.PayloadTooLargeError, match="over the limit of 16000000"):
        decode(bytes(data))
    assert not opened


def test_a_jpeg_of_more_scans_than_encoders_write_is_refused(encode, scene):
    data = encode(scene, "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    scans = data.count(b"\xff\xda")
    assert decode(data[:-2] + last * (100 - scans) + data[-2:]).size == (128, 96)
    with pytest.raises(trihook.PayloadTooLargeError, match="101 scans, over the limit of 100"):
        decode(data[:-2] + last * (101 - scans) + data[-2:])


def test_what_is_appended_to_a_jpeg_has_no_scans(encode, scene):
    data = encode(scene, "JPEG", restart_marker_blocks=1)
    assert np.array_equal(decode(data + b"\0\0\0\x18ftypmp42" + b"\xff\xda" * 200), decode(data))


def test_a_comment_hides_no_scans(encode, scene):
    data = encode(scene, "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    comment = b"\xff\xfe\0\4\xff\xd9"
    with pytest.raises(trihook.PayloadTooLargeError, match="scans, over the limit of 100"):
        decode(data[:-2] + (comment + last) * 100 + data[-2:])


def test_a_jpeg_is_handed_to_its_decoder_in_one_piece(encode, noise, monkeypatch):
    pieces = []
    read = JpegImagePlugin.JpegImageFile.load_read
    monkeypatch.setattr(
        "PIL.JpegImagePlugin.JpegImageFile.load_read",
        lambda file, size: pieces.append(read(file, size)) or pieces[-1],
    )
    data = encode(noise(400, 400, 3), "JPEG", quality=95)
    assert len(data) > 2 * 65_536
    assert decode(data).size == (400, 400)
    assert pieces == [data]


def test_the_last_of_two_frame_headers_cannot_go_round_the_limit(encode):
    data = encode(Image.new("RGB", (16, 16)), "JPEG")
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 19]
    huge = frame[:5] + b"\xff\xff\xff\xff" + frame[9:]
    with pytest.raises(trihook.PayloadError, match="cut short or corrupt"):
        decode(data[: at + 19] + huge + data[at + 19 :])
