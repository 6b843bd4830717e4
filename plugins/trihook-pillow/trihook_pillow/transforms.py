"""Resize a decoded picture, scale its values, lay them out as the model declares: all pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from trihook_pillow.decoding import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trihook_pillow.options import Options
    from trihook_pillow.target import Target

_DTYPES: dict[str, type[np.generic]] = {
    "UINT8": np.uint8,
    "FP16": np.float16,
    "FP32": np.float32,
}


def prepare(data: bytes, target: Target, options: Options) -> NDArray[Any]:
    """Decode, resize and scale a picture into the target's tensor, without a batch dimension.

    The array is contiguous, [C, H, W] or [H, W, C], of the target's datatype. Raises what
    :func:`~trihook_pillow.decode` raises.
    """
    reduce_to = None
    if options.reduced_decode and target.width is not None and target.height is not None:
        reduce_to = (target.width, target.height)
    picture = decode(
        data,
        channels=target.channels,
        max_pixels=options.max_pixels,
        background=options.background,
        reduce_to=reduce_to,
    )
    picture = resize(picture, target.width, target.height, crop=options.resize == "center_crop")
    return to_tensor(picture, target, options)


def resize(
    picture: Image.Image, width: int | None, height: int | None, *, crop: bool = False
) -> Image.Image:
    """Resize with a bilinear filter that, when it shrinks, averages over all source pixels.

    None keeps the picture's own width or height. With ``crop`` the largest centred part that
    has the wanted proportions is taken; without, the whole picture is stretched.
    """
    size = (width or picture.width, height or picture.height)
    box = _centre(picture.size, size) if crop else None
    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.BILINEAR, box)


def to_tensor(picture: Image.Image, target: Target, options: Options) -> NDArray[Any]:
    """Return the pixels times ``options.factor`` plus ``options.offset``, laid out as the target.

    ``picture`` has mode ``RGB`` or ``L``, as the target's channels say. A pixel has 256 values at
    most, so each result is computed once, in float64, rounded once, and looked up.
    """
    pixels = np.asarray(picture).reshape(picture.height, picture.width, target.channels)
    if options.bgr:
        pixels = pixels[:, :, ::-1]
    tables = _value_tables(options, _DTYPES[target.datatype])
    if target.layout == "NHWC":
        tensor = np.empty(pixels.shape, tables.dtype)
        for channel, table in enumerate(tables):
            tensor[:, :, channel] = table[pixels[:, :, channel]]
        return tensor
    tensor = np.empty((target.channels, *pixels.shape[:2]), tables.dtype)
    for channel, table in enumerate(tables):
        # "clip" changes nothing for 8-bit indices, but lets numpy write in place, unbuffered
        np.take(table, pixels[:, :, channel], out=tensor[channel], mode="clip")
    return tensor


def _value_tables(options: Options, dtype: type[np.generic]) -> NDArray[Any]:
    factor, offset = np.array([options.factor, options.offset])[:, :, np.newaxis]
    tables: NDArray[Any] = (np.arange(256) * factor + offset).astype(dtype)
    return tables


def _centre(own: tuple[int, int], wanted: tuple[int, int]) -> tuple[float, float, float, float]:
    ratio = min(own[0] / wanted[0], own[1] / wanted[1])
    width, height = wanted[0] * ratio, wanted[1] * ratio
    left, top = (own[0] - width) / 2, (own[1] - height) / 2
    return left, top, min(left + width, own[0]), min(top + height, own[1])
