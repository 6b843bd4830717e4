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

    ``picture`` has mode ``RGB`` or ``L``, as the target's channels say. The arithmetic is done in
    float32, and for an FP16 target rounded at the end; for UINT8 the pixels are copied.
    """
    pixels = np.asarray(picture).reshape(picture.height, picture.width, target.channels)
    if options.bgr:
        pixels = pixels[:, :, ::-1]
    if target.layout == "NCHW":
        pixels = pixels.transpose(2, 0, 1)
    if target.datatype == "UINT8":
        return np.array(pixels, order="C")
    tensor = np.empty(pixels.shape, np.float32)
    axis = 0 if target.layout == "NCHW" else 2
    # by channel: numpy is ten times slower where it broadcasts along a last axis of three
    for plane, source, factor, offset in zip(
        np.moveaxis(tensor, axis, 0),
        np.moveaxis(pixels, axis, 0),
        options.factor,
        options.offset,
        strict=True,
    ):
        np.multiply(source, factor, out=plane, dtype=np.float32)
        np.add(plane, offset, out=plane, dtype=np.float32)
    return tensor.astype(np.float16) if target.datatype == "FP16" else tensor


def _centre(own: tuple[int, int], wanted: tuple[int, int]) -> tuple[float, float, float, float]:
    ratio = min(own[0] / wanted[0], own[1] / wanted[1])
    width, height = wanted[0] * ratio, wanted[1] * ratio
    left, top = max(0.0, (own[0] - width) / 2), max(0.0, (own[1] - height) / 2)
    return left, top, min(left + width, own[0]), min(top + height, own[1])
