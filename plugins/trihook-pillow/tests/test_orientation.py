import struct

import numpy as np
import pytest
from PIL import Image, ImageOps
from trihook_pillow import decode
from trihook_pillow.orientation import find_turn, swaps_sides

TAG = 0x0112


def exif_with(value, kind=3, order="<"):
    head = b"II*\0" if order == "<" else b"MM\0*"
    number = struct.pack(order + ("H2x" if kind == 3 else "I"), value)
    return head + struct.pack(order + "IHHHI", 8, 1, TAG, kind, 1) + number + struct.pack("I", 0)


def as_seen(array, orientation):
    """Turn the array as the eight values of the tag define it (Exif 2.3, 4.6.4.A)."""
    flipped = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.transpose(1, 0, 2),
        6: array.transpose(1, 0, 2)[:, ::-1],
        7: array.transpose(1, 0, 2)[::-1, ::-1],
        8: array.transpose(1, 0, 2)[::-1],
    }
    return flipped[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_every_orientation_is_made_upright(encode, scene, kind, options, orientation):
    data = encode(scene, kind, exif=exif_with(orientation), **options)
    assert np.array_equal(np.asarray(decode(data)), as_seen(scene, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_jpeg_is_made_upright(encode, scene, orientation):
    plain = np.asarray(decode(encode(scene, "JPEG", quality=95)))
    data = encode(scene, "JPEG", quality=95, exif=b"Exif\0\0" + exif_with(orientation))
    assert np.array_equal(np.asarray(decode(data)), as_seen(plain, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pillow_agrees_about_each_orientation(encode, scene, kind, orientation, tmp_path):
    path = tmp_path / "turned"
    path.write_bytes(encode(scene, kind, exif=exif_with(orientation)))
    with Image.open(path) as file:
        expected = np.asarray(ImageOps.exif_transpose(file))
    assert np.array_equal(np.asarray(decode(path.read_bytes())), expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_both_byte_orders_and_widths_of_the_tag_are_read(order, kind):
    assert find_turn(exif_with(6, kind, order)) is Image.Transpose.ROTATE_270


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"not tiff at all",
        exif_with(0),
        exif_with(9),
        exif_with(6, kind=4)[:-6],
        b"II*\0" + struct.pack("<I", 2**32 - 1),
        b"II*\0" + struct.pack("<IH", 8, 65535),
        exif_with(6).replace(struct.pack("<HH", TAG, 3), struct.pack("<HH", TAG, 7)),
    ],
)
def test_damaged_or_meaningless_exif_leaves_the_picture_as_it_is(encode, scene, exif):
    assert find_turn(exif) is None
    assert np.array_equal(np.asarray(decode(encode(scene, exif=exif or None))), scene)


def test_damaged_exif_in_a_jpeg_gives_no_warning(encode, scene):
    truncated = b"Exif\0\0II*\0" + struct.pack("<IHHHII", 8, 9, 0x011A, 5, 1, 2**31)
    assert decode(encode(scene, "JPEG", exif=truncated)).size == (128, 96)


def test_the_turns_that_swap_sides_are_the_four_diagonal_ones():
    assert [swaps_sides(find_turn(exif_with(n))) for n in range(1, 9)] == [False] * 4 + [True] * 4
