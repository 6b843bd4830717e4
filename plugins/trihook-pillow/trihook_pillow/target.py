"""Decide from a model's declared inputs whether, and how, it takes a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from trihook import Model, TensorSpec

Layout: TypeAlias = Literal["NCHW", "NHWC"]
Channels: TypeAlias = Literal[1, 3]
Datatype: TypeAlias = Literal["UINT8", "FP16", "FP32"]

_DATATYPES: dict[str, Datatype] = {"UINT8": "UINT8", "FP16": "FP16", "FP32": "FP32"}
_CHANNELS: dict[int, Channels] = {1: 1, 3: 3}


@dataclass(frozen=True, slots=True)
class Target:
    """The tensor that a picture becomes.

    ``height`` or ``width`` is None where the model takes any: the picture keeps its own.
    ``leading`` tells that the model declares the batch dimension as part of the input's shape.
    """

    input: str
    datatype: Datatype
    layout: Layout
    channels: Channels
    height: int | None
    width: int | None
    leading: bool = False


def find_target(model: Model) -> Target | None:
    """Return the tensor that a picture becomes for this model, or None if it takes no picture.

    A picture model has exactly one input that is not optional: UINT8, FP16 or FP32, of shape
    [C, H, W] or [H, W, C] with 1 or 3 channels, also behind a leading 1 or -1. Where the model's
    configuration gives the layout, that decides. Otherwise the first or the last dimension is
    the channels, whichever can be; if both can, 3 goes before 1, and first before last.
    """
    required = [spec for spec in model.inputs if not spec.optional]
    return _read_spec(required[0]) if len(required) == 1 else None


def _read_spec(spec: TensorSpec) -> Target | None:
    datatype = _DATATYPES.get(spec.datatype)
    leading = len(spec.shape) == 4 and spec.shape[0] in (1, -1)
    shape = spec.shape[1:] if leading else spec.shape
    if datatype is None or len(shape) != 3:
        return None
    layout = _find_layout(spec.layout, shape)
    if layout is None:
        return None
    channels, height, width = shape if layout == "NCHW" else (shape[2], *shape[:2])
    if channels not in _CHANNELS or 0 in (height, width):
        return None
    return Target(
        spec.name,
        datatype,
        layout,
        _CHANNELS[channels],
        height if height > 0 else None,
        width if width > 0 else None,
        leading,
    )


def _find_layout(declared: str, shape: tuple[int, ...]) -> Layout | None:
    if declared in ("NCHW", "NHWC"):
        return "NCHW" if declared == "NCHW" else "NHWC"
    for channels in (3, 1):
        if shape[0] == channels:
            return "NCHW"
        if shape[2] == channels:
            return "NHWC"
    return None
