"""The hook: the best labels, for any model that sorts pictures into ILSVRC's thousand classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trihook import ConfigError, Model, PayloadError, ScoringRequest, TritonError, hookimpl
from trihook_pillow import find_target

from trihook_densenet.labels import CLASSES, read_labels
from trihook_densenet.ranking import Activation, Score, rank, read_classification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_ACTIVATIONS: dict[str, Activation] = {"auto": "auto", "softmax": "softmax", "none": "none"}
_TOP = 5
_QUICK_BELOW = 16 * 1024  # the scores of four pictures, which take 0.4 ms


def sorts_pictures(model: Model) -> bool:
    """Tell whether the model takes a picture and has one output, of a thousand values.

    The output's shape may hold further dimensions of 1, and a leading -1.
    """
    if find_target(model) is None or len(model.outputs) != 1:
        return False
    shape = model.outputs[0].shape
    shape = shape[1:] if shape[:1] == (-1,) else shape
    return [size for size in shape if size != 1] == [CLASSES]


@hookimpl(models=sorts_pictures, quick_below=_QUICK_BELOW)
def postprocess(
    outputs: Mapping[str, NDArray[Any]], model: Model, request: ScoringRequest
) -> dict[str, Any] | None:
    """Name what the picture shows; ``?top=`` says how many labels, best first, 5 if not given.

    None, and so an answer in tensors, for several pictures that the caller sent as one tensor.
    """
    if not sorts_pictures(model):
        return None
    name = model.outputs[0].name
    values = outputs[name]
    if not _is_one_row(values):
        return None
    top = _read_top(request.query.get("top", str(_TOP)))
    try:
        if values.dtype == object:
            scores = read_classification(values, top)
        else:
            scores = rank(values, top, _read_activation(model))
        best = [_describe(score) for score in scores]
        return {**best[0], "top": best}
    except (ValueError, IndexError) as exc:
        raise TritonError(f"output {name!r} of {model} holds no scores of classes") from exc


def _is_one_row(values: NDArray[Any]) -> bool:
    """Tell whether these are all scores of one picture, or the best of them from Triton itself."""
    if values.dtype == object:
        return math.prod(values.shape[:-1]) == 1
    return values.size == CLASSES


def _describe(score: Score) -> dict[str, Any]:
    label = score.label or read_labels()[score.index]
    return {"label": label, "index": score.index, "score": score.score}


def _read_top(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= CLASSES:
        return int(text)
    raise PayloadError(f"'top' must be a whole number from 1 to {CLASSES}; it is {text[:20]!r}")


def _read_activation(model: Model) -> Activation:
    given = str(model.options.get("activation", "auto"))
    if given not in _ACTIVATIONS:
        raise ConfigError(
            f"'activation' of {model.name} must be auto, softmax or none; it is {given!r}"
        )
    return _ACTIVATIONS[given]
