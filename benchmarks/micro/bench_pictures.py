"""A JPEG on its way to the tensor of a picture model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trihook_bench.works import photograph
from trihook_pillow import Target, decode, parse_options, prepare, resize, to_tensor

from micro.measuring import Measure, Table, check

TABLE = Table(
    "Pictures",
    "trihook-pillow's transforms: a JPEG of 640 x 480, quality 90, to FP32 [3, 224, 224]. "
    "Decoder and filter are Pillow's.",
)
COLUMN = {False: "whole decode", True: "`reduced_decode`"}
SIZE = (224, 224)
TARGET = Target("images", "FP32", "NCHW", 3, *SIZE)
OPTIONS = parse_options({"scaling": "NONE", "mean": "127", "std": "128"}, TARGET)
reduction = pytest.mark.parametrize("reduced", COLUMN)


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    """Return a photograph."""
    return photograph("coffee.png", (640, 480))


@reduction
def bench_decode(measure: Measure, jpeg: bytes, *, reduced: bool) -> None:
    """Measure the decoder, checks included."""
    reduce_to = SIZE if reduced else None
    picture = measure(TABLE, "decode", COLUMN[reduced], lambda: decode(jpeg, reduce_to=reduce_to))
    check(picture.size == ((320, 240) if reduced else (640, 480)))


@reduction
def bench_resize(measure: Measure, jpeg: bytes, *, reduced: bool) -> None:
    """Measure what follows upon the decoder."""
    picture = decode(jpeg, reduce_to=SIZE if reduced else None)
    check(measure(TABLE, "resize", COLUMN[reduced], resize, picture, *SIZE).size == SIZE)


@reduction
def bench_to_tensor(measure: Measure, jpeg: bytes, *, reduced: bool) -> None:
    """Measure scaling and layout."""
    picture = resize(decode(jpeg, reduce_to=SIZE if reduced else None), *SIZE)
    tensor = measure(TABLE, "to_tensor", COLUMN[reduced], to_tensor, picture, TARGET, OPTIONS)
    check(tensor.shape == (3, *SIZE))


@reduction
def bench_prepare(measure: Measure, jpeg: bytes, *, reduced: bool) -> None:
    """Measure all of it."""
    options = replace(OPTIONS, reduced_decode=reduced)
    tensor = measure(TABLE, "prepare, all of them", COLUMN[reduced], prepare, jpeg, TARGET, options)
    check(tensor.shape == (3, *SIZE))
