import struct

import pytest
import trihook
from trihook_pillow.segments import END, SCAN, read_chunks, read_segments

BASELINE = [0xE0, 0xDB, 0xDB, 0xC0, 0xC4, 0xC4, 0xC4, 0xC4, SCAN, END]


def markers(data):
    return [marker for marker, _, _ in read_segments(data)]


def names(data):
    return [name for name, _, _ in read_chunks(data)]


def test_the_segments_of_a_jpeg_lead_over_its_scan_to_its_end(encode, noise):
    assert markers(encode(noise(64, 64, 3), "JPEG")) == BASELINE


def test_a_segment_reaches_from_its_marker_over_its_body(encode, noise):
    data = encode(noise(8, 9, 3), "JPEG", comment=b"abc")
    bodies = {marker: data[begin:end] for marker, begin, end in read_segments(data)}
    assert bodies[0xFE] == b"\xff\xfe\0\5abc"
    assert bodies[END] == b"\xff\xd9"


def test_restart_markers_part_compressed_data_and_are_no_segments(encode, noise):
    data = encode(noise(64, 64, 3), "JPEG", quality=100, restart_marker_blocks=1)
    assert data.count(b"\xff\0") > 10
    assert data.count(b"\xff\xd0") > 1
    assert [marker for marker in markers(data) if marker != 0xDD] == BASELINE


def test_markers_in_a_segments_body_are_none(encode, noise):
    data = encode(noise(8, 9, 3), "JPEG", comment=b"\xff\xda\xff\xd9\xff\xc0")
    assert sorted(markers(data)) == sorted([*BASELINE, 0xFE])


@pytest.mark.parametrize("filler", [b"\xff\xff\xff", b"\xff\0", b"junk", b"\xff\xd8\xff\xf0\0\0"])
def test_what_stands_between_segments_is_passed_over(encode, noise, filler):
    data = encode(noise(8, 9, 3), "JPEG")
    at = 4 + struct.unpack_from(">H", data, 4)[0]  # behind the first segment
    assert markers(data[:at] + filler + data[at:]) == BASELINE


@pytest.mark.parametrize("length", [0, 1, 2])
def test_a_segment_of_less_than_its_own_length_is_empty(encode, noise, length):
    data = encode(noise(8, 9, 3), "JPEG")
    empty = struct.pack(">BBH", 0xFF, 0xE3, length)
    assert markers(data[:2] + empty + data[2:]) == [0xE3, *BASELINE]


def test_a_jpeg_that_is_cut_has_the_segments_up_to_there(encode, noise):
    data = encode(noise(8, 9, 3), "JPEG")
    for end in range(2, len(data)):
        found = markers(data[:end])
        assert found == BASELINE[: len(found)]


def test_ten_thousand_segments_are_read_and_no_more():
    segments = b"\xff\xe0\0\2" * 10_000
    assert len(markers(b"\xff\xd8" + segments)) == 10_000
    with pytest.raises(trihook.PayloadTooLargeError, match="JPEG picture has over 10000 segments"):
        markers(b"\xff\xd8" + segments + b"\xff\xd9")


def test_the_chunks_of_a_png_end_with_iend_whatever_follows(encode, noise):
    data = encode(noise(8, 9, 3))
    assert names(data + bytes(2_000_000)) == [b"IHDR", b"IDAT", b"IEND"]


def test_a_chunk_reaches_over_its_length_name_body_and_checksum(encode, noise, with_chunks):
    data = with_chunks(encode(noise(8, 9, 3)), (b"teSt", b"abc"))
    ends = {name: (begin, end) for name, begin, end in read_chunks(data)}
    assert ends[b"teSt"] == (33, 33 + 15)
    assert ends[b"IEND"] == (len(data) - 12, len(data))


def test_a_hundred_thousand_chunks_are_read_and_no_more():
    chunks = struct.pack(">I4sI", 0, b"IDAT", 0) * 100_000
    assert len(names(bytes(8) + chunks)) == 100_000
    with pytest.raises(trihook.PayloadTooLargeError, match="PNG picture has over 100000 chunks"):
        names(bytes(8) + chunks + struct.pack(">I4sI", 0, b"IEND", 0))
