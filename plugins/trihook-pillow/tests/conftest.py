"""Pictures to test with, made afresh."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def encode():
    """Return a function that encodes an array, or a PIL picture, as a file of a format."""

    def encode_picture(picture, kind="PNG", **options):
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(picture)
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return file.getvalue()

    return encode_picture


@pytest.fixture
def noise():
    """Return a function that makes an array of random bytes, the same for the same shape."""

    def make_noise(*shape):
        return np.random.default_rng(shape).integers(0, 256, shape, dtype=np.uint8)

    return make_noise


@pytest.fixture
def scene():
    """Return a 96 high, 128 wide RGB array with gradients and edges, as photographs have."""
    rows, columns = np.mgrid[0:96, 0:128]
    disc = ((rows - 40) ** 2 + (columns - 70) ** 2 < 900) * 90
    channels = [rows * 2 + 20, columns, 160 - rows + disc]
    return np.dstack(channels).clip(0, 255).astype(np.uint8)


@pytest.fixture
def with_segments():
    """Return a function that puts segments, each a marker and a body, behind a JPEG's SOI."""

    def insert(data, *segments):
        packed = [
            struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments
        ]
        return b"".join([data[:2], *packed, data[2:]])

    return insert


@pytest.fixture
def with_chunks():
    """Return a function that puts chunks, each a name and a body, before another in a PNG."""

    def insert(data, *chunks, before=b"IDAT"):
        packed = [
            struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        ]
        at = data.index(before) - 4
        return b"".join([data[:at], *packed, data[at:]])

    return insert
