import struct
import zlib

import numpy as np
import pytest
import trihook
from PIL import Image
from trihook_pillow import decode


def png(width, height, depth, colour, rows, *chunks):
    """Write a PNG file that Pillow itself cannot write; ``chunks`` come before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def pixels_of(data, **options):
    return np.asarray(decode(data, **options)).tolist()


WIDE = np.array([0, 255, 256, 0x1234, 0xFF00, 0xFFFF], ">u2").tobytes()
WIDE_UPPER = [0x00, 0x00, 0x01, 0x12, 0xFF, 0xFF]


def test_sixteen_bit_grey_keeps_its_upper_bits_and_is_not_clipped():
    assert pixels_of(png(6, 1, 16, 0, [WIDE]), channels=1) == [WIDE_UPPER]


def test_sixteen_bit_colour_keeps_its_upper_bits():
    expected = np.reshape(WIDE_UPPER, (1, 2, 3)).tolist()
    assert pixels_of(png(2, 1, 16, 2, [WIDE])) == expected


def test_sixteen_bit_grey_with_alpha_is_composited():
    opaque = np.array([0x1234, 0xFFFF, 0xFF00, 0], ">u2").tobytes()
    assert pixels_of(png(2, 1, 16, 4, [opaque]), channels=1) == [[0x12, 255]]


@pytest.mark.parametrize(("depth", "row"), [(1, 0b01000000), (2, 0b00110000), (4, 0x0F)])
def test_few_bits_are_scaled_up_to_eight(depth, row):
    assert pixels_of(png(2, 1, depth, 0, [bytes([row])]), channels=1) == [[0, 255]]


def test_one_bit_becomes_black_and_white_in_three_channels(encode):
    picture = Image.fromarray(np.array([[True, False]]))
    assert pixels_of(encode(picture)) == [[[255, 255, 255], [0, 0, 0]]]


def test_a_palette_is_resolved(encode):
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    assert pixels_of(encode(picture)) == [[[10, 20, 30], [200, 100, 50]]]


def test_a_palette_becomes_grey_by_its_colours_not_its_indices(encode):
    picture = Image.new("P", (1, 1))
    picture.putpalette([255, 0, 0])
    assert pixels_of(encode(picture), channels=1) == [[76]]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_transparent_palette_entries_show_the_background(encode, transparency):
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    data = encode(picture, transparency=transparency)
    assert pixels_of(data, background=(1, 2, 3)) == [[[10, 20, 30], [1, 2, 3]]]


def test_alpha_is_composited_over_white_unless_told_otherwise(encode):
    data = encode(np.array([[[0, 0, 0, 255], [0, 0, 0, 0], [200, 100, 0, 128]]], np.uint8))
    assert pixels_of(data) == [[[0, 0, 0], [255, 255, 255], [227, 177, 127]]]
    assert pixels_of(data, background=(0, 0, 0)) == [[[0, 0, 0], [0, 0, 0], [100, 50, 0]]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_grey_with_alpha_is_composited_too(encode, kind):
    picture = Image.merge("LA", [Image.new("L", (4, 4), 0), Image.new("L", (4, 4), 0)])
    data = encode(picture, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert pixels_of(data, background=(9, 9, 9), channels=1) == [[9] * 4] * 4


def test_a_transparent_colour_shows_the_background(encode):
    picture = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    data = encode(picture, transparency=(1, 2, 3))
    assert pixels_of(data, background=(7, 8, 9)) == [[[7, 8, 9], [4, 5, 6]]]


def test_a_transparent_grey_of_sixteen_bits_is_ignored():
    data = png(6, 1, 16, 0, [WIDE], (b"tRNS", struct.pack(">H", 0x1234)))
    assert pixels_of(data, channels=1) == [WIDE_UPPER]


def test_a_transparent_colour_of_sixteen_bits_is_ignored():
    colours = np.array([0x1234, 0x5678, 0x9ABC, 0x3434, 0x7878, 0xBCBC], ">u2").tobytes()
    data = png(2, 1, 16, 2, [colours], (b"tRNS", colours[:6]))
    assert pixels_of(data) == [[[0x12, 0x56, 0x9A], [0x34, 0x78, 0xBC]]]


def test_cmyk_becomes_rgb(encode):
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    red, green, blue = decode(data).getpixel((8, 8))
    assert (red > 250, green < 5, blue < 5) == (True, True, True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_colour_becomes_grey_by_luma(encode, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(Image.new("RGB", (16, 16), (200, 100, 50)), kind, **options)
    assert abs(decode(data, channels=1).getpixel((8, 8)) - (0.299 * 200 + 58.7 + 5.7)) <= 1


def test_grey_becomes_three_equal_channels(encode, noise):
    array = noise(5, 7)
    assert np.array_equal(np.asarray(decode(encode(array))), np.dstack([array] * 3))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_taken(encode, kind):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("#ff0000", "#00ff00")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decode(data).getpixel((0, 0)) == (255, 0, 0)


def test_damaged_animation_chunks_give_neither_warning_nor_error(encode):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("#ff0000", "#00ff00")]
    data = encode(frames[0], save_all=True, append_images=frames[1:])
    at = data.index(b"acTL") + 4
    count = bytes(4)  # no frames at all
    chunk = b"acTL" + count + data[at + 4 : at + 8]
    damaged = data[: at - 4] + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[at + 12 :]
    assert decode(damaged).getpixel((0, 0)) == (255, 0, 0)


def test_the_first_picture_of_a_multi_picture_file_is_taken(encode, scene):
    frames = [Image.fromarray(scene), Image.new("RGB", (128, 96))]
    data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert np.abs(np.asarray(decode(data)).astype(int) - scene).mean() < 5


@pytest.mark.parametrize("size", [(1, 1), (1, 65535), (65535, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_thinnest_pictures_are_decoded(encode, kind, size):
    if kind == "JPEG":  # libjpeg's own limit
        size = tuple(min(side, 65500) for side in size)
    assert decode(encode(Image.new("L", size), kind)).size == size


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("limit", [None, 1])
def test_pillows_global_limit_plays_no_part(encode, scene, monkeypatch, kind, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert decode(encode(scene, kind)).size == (128, 96)
    with pytest.raises(trihook.PayloadTooLargeError, match=r"limit of 10$"):
        decode(encode(scene, kind), max_pixels=10)


def test_a_webp_over_pillows_global_limit_is_too_large(encode, scene, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    with pytest.raises(trihook.PayloadTooLargeError, match="over"):
        decode(encode(scene, "WEBP"), max_pixels=10**6)


def test_formats_that_others_registered_are_never_asked(encode, scene, monkeypatch):
    monkeypatch.setattr(Image, "open", None)
    for kind in ("GIF", "TIFF", "BMP", "ICO"):
        with pytest.raises(trihook.PayloadError, match="no JPEG, PNG or WEBP picture"):
            decode(encode(scene, kind))


def test_a_shortage_of_memory_is_not_called_corruption(encode, scene, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(trihook.PayloadTooLargeError, match="more memory than there is"):
        decode(encode(scene))


def test_reduced_decoding_stays_at_least_as_large_as_asked(encode):
    data = encode(Image.new("RGB", (640, 480), "#336699"), "JPEG")
    assert decode(data).size == (640, 480)
    assert decode(data, reduce_to=(224, 224)).size == (320, 240)
    assert decode(data, reduce_to=(60, 60)).size == (80, 60)
    assert decode(data, reduce_to=(800, 10)).size == (640, 480)


def test_reduced_decoding_knows_that_the_picture_will_be_turned(encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.new("RGB", (640, 320)), "JPEG", exif=exif)
    assert decode(data, reduce_to=(160, 160)).size == (160, 320)
    assert decode(data, reduce_to=(80, 320)).size == (160, 320)


def test_orientation_after_the_pixels_of_a_png_is_found():
    exif = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    data = png(2, 1, 8, 0, [b"\x01\x02"])
    chunk = b"eXIf" + exif
    end = data.index(b"IEND") - 4
    late = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert pixels_of(data[:end] + late + data[end:], channels=1) == [[1], [2]]
