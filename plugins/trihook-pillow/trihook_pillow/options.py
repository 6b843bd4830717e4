"""How pictures are prepared for a model, read from the model's options."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from trihook import ConfigError

from trihook_pillow.decoding import MAX_PIXELS, WHITE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trihook_pillow.target import Target

Resize = Literal["stretch", "center_crop"]

_VGG_MEAN = (123.0, 117.0, 104.0)  # of red, green and blue over ImageNet
_LARGEST = {
    "UINT8": 255.0,
    "FP16": 65504.0,
    "FP32": 1e38,
}  # a third of the largest FP32, for what is in between


@dataclass(frozen=True, slots=True)
class Options:
    """How a picture is prepared: the tensor's values are ``pixel * factor + offset``.

    Pixels are 0 to 255. ``factor`` and ``offset`` have one number a channel, in the order of the
    tensor's channels, which ``bgr`` reverses.
    """

    factor: tuple[float, ...]
    offset: tuple[float, ...]
    bgr: bool = False
    resize: Resize = "stretch"
    max_pixels: int = MAX_PIXELS
    background: tuple[int, int, int] = WHITE
    reduced_decode: bool = False


def parse_options(options: Mapping[str, object], target: Target) -> Options:
    """Read a model's options, as strings of ``config.pbtxt`` or as values of a settings file.

    ``scaling`` (NONE: 0 to 255; UNIT: / 255; INCEPTION: / 128 - 1; VGG: minus 123, 117, 104 of
    red, green, blue), ``mean`` and ``std`` (one number, or one a channel: the scaled value minus
    mean, by std), ``channel_order`` (RGB, BGR), ``resize`` (stretch, center_crop), ``max_pixels``,
    ``background`` (red, green, blue) and ``reduced_decode`` (true, false). Others are not read.

    Raises ``ConfigError`` naming the option, what was rule and what was given.
    """
    bgr = _choice(options, "channel_order", ("RGB", "BGR")) == "BGR"
    factor, offset = _scaling(options, target, bgr=bgr)
    return Options(
        factor=factor,
        offset=offset,
        bgr=bgr,
        resize=cast("Resize", _choice(options, "resize", ("stretch", "center_crop"))),
        max_pixels=_max_pixels(options),
        background=_background(options),
        reduced_decode=_choice(options, "reduced_decode", ("false", "true")) == "true",
    )


def _scaling(
    options: Mapping[str, object], target: Target, *, bgr: bool
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    plain = target.datatype == "UINT8" or "mean" in options or "std" in options
    names = ("NONE", "UNIT", "INCEPTION", "VGG")
    scaling = _choice(options, "scaling", names, default="NONE" if plain else "INCEPTION")
    mean = _per_channel(options, "mean", 0.0, target.channels)
    std = _per_channel(options, "std", 1.0, target.channels)
    _check_combination(options, scaling, mean, std, target)
    scale, shift = {"UNIT": (1 / 255, 0.0), "INCEPTION": (1 / 128, -1.0)}.get(scaling, (1.0, 0.0))
    if scaling == "VGG":
        mean = _VGG_MEAN[::-1] if bgr else _VGG_MEAN
    factor = tuple(scale / s for s in std)
    offset = tuple((shift - m) / s for m, s in zip(mean, std, strict=True))
    extreme = max(max(abs(o), abs(255 * f + o)) for f, o in zip(factor, offset, strict=True))
    if extreme > _LARGEST[target.datatype]:
        given = "std" if "std" in options else "mean"
        raise _wrong(options, given, f"must keep values within {target.datatype}")
    return factor, offset


def _check_combination(
    options: Mapping[str, object],
    scaling: str,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    target: Target,
) -> None:
    given = "mean" if "mean" in options else "std" if "std" in options else ""
    if target.datatype == "UINT8" and scaling != "NONE":
        raise _wrong(options, "scaling", f"must be NONE, as the input {target.input!r} is UINT8")
    if target.datatype == "UINT8" and given:
        raise _wrong(options, given, f"must not be given, as the input {target.input!r} is UINT8")
    if scaling == "VGG" and target.channels != 3:
        raise _wrong(options, "scaling", "must be NONE, UNIT or INCEPTION for one channel")
    if scaling in ("INCEPTION", "VGG") and given:
        raise _wrong(options, given, f"goes with scaling NONE or UNIT, not {scaling}")
    if given and "scaling" not in options and max(map(abs, mean + std)) <= 1:
        raise _wrong(options, given, "is at most 1, so scaling must be given: UNIT or NONE")


def _per_channel(
    options: Mapping[str, object], name: str, default: float, channels: int
) -> tuple[float, ...]:
    if name not in options:
        return (default,) * channels
    rule = (
        f"must be one number or {channels}, one a channel" if channels > 1 else "must be one number"
    )
    numbers = _numbers(options, name, rule)
    if len(numbers) == 1:
        numbers *= channels
    if len(numbers) != channels:
        raise _wrong(options, name, rule)
    if name == "std" and min(numbers) <= 0:
        raise _wrong(options, name, "must be above 0")
    return numbers


def _max_pixels(options: Mapping[str, object]) -> int:
    if "max_pixels" not in options:
        return MAX_PIXELS
    rule = "must be a whole number above 0"
    value = _single(_numbers(options, "max_pixels", rule))
    if value is None or value < 1 or value != int(value):
        raise _wrong(options, "max_pixels", rule)
    return int(value)


def _background(options: Mapping[str, object]) -> tuple[int, int, int]:
    if "background" not in options:
        return WHITE
    rule = "must be red, green and blue, each a whole number from 0 to 255"
    numbers = _numbers(options, "background", rule)
    if len(numbers) != 3 or any(n != int(n) or not 0 <= n <= 255 for n in numbers):
        raise _wrong(options, "background", rule)
    red, green, blue = map(int, numbers)
    return red, green, blue


def _numbers(options: Mapping[str, object], name: str, rule: str) -> tuple[float, ...]:
    value = options[name]
    if isinstance(value, str):
        value = value.strip().removeprefix("[").removesuffix("]").split(",")
    parts = value if isinstance(value, list) else [value]
    try:
        numbers = tuple(_number(part) for part in parts)
    except (TypeError, ValueError, OverflowError) as exc:
        raise _wrong(options, name, rule) from exc
    if not all(map(math.isfinite, numbers)):
        raise _wrong(options, name, rule)
    return numbers


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("not a number")
    return float(value)


def _single(numbers: tuple[float, ...]) -> float | None:
    return numbers[0] if len(numbers) == 1 else None


def _choice(
    options: Mapping[str, object], name: str, choices: tuple[str, ...], default: str | None = None
) -> str:
    """Return the choice that the option names, in any case; the first where it is not given."""
    if name not in options:
        return default or choices[0]
    given = str(options[name]).strip().casefold()
    for choice in choices:
        if choice.casefold() == given:
            return choice
    raise _wrong(options, name, f"must be {', '.join(choices[:-1])} or {choices[-1]}")


def _wrong(options: Mapping[str, object], name: str, rule: str) -> ConfigError:
    return ConfigError(f"the model's option {name!r} {rule}; it is {options[name]!r}")
