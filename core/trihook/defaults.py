"""The core's own plugin: the model that is named, JSON tensors in, JSON tensors out."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

import numpy as np

from trihook.errors import PayloadError
from trihook.hookspecs import hookimpl
from trihook.replies import bytes_as_text
from trihook.triton.inputs import zeros
from trihook.types import Inference, Item, JsonValue, Model, ModelRef, Outputs, ScoringRequest

_ANY_SIZE = sys.maxsize
_QUICK_BELOW = 16 * 1024  # some 1,600 numbers, which take 0.2 ms
_MOST_NAMES = 16  # of what was sent, in an error
_NESTED = (list, dict)
_VALUES = (list, int, float, bool, str)
_MAX_DIMENSIONS = 32  # numpy 1.x has no arrays beyond that


class Defaults:
    """Answers whatever no other plugin does.

    A model that the request names is chosen before other plugins are asked, ``default_model``
    or the only model there is after them.

    A JSON item is ``{"inputs": {name: nested lists}}``, or that inner object alone, or for a
    model with one input just the lists. Texts in BYTES tensors are UTF-8; bytes that are not
    are written ``{"b64": "…"}``, both ways. The reply is ``{"outputs": {name: nested lists}}``.
    """

    def __init__(self, default_model: str = "") -> None:
        self._default_model = default_model

    @hookimpl(specname="select_model", tryfirst=True, quick_below=_ANY_SIZE)
    def select_named(self, request: ScoringRequest) -> ModelRef | None:
        """Choose the model that the request names."""
        if not request.model:
            return None
        return ModelRef(request.model, request.version, "the request names it")

    @hookimpl(specname="select_model", trylast=True, quick_below=_ANY_SIZE)
    def select_default(self, models: Mapping[str, Model]) -> ModelRef | None:
        """Choose the model that the settings name, or the only one."""
        if self._default_model:
            return ModelRef(self._default_model, reason="it is the default_model of the settings")
        if len(models) == 1:
            return ModelRef(next(iter(models)), reason="it is the only model loaded")
        return None

    @hookimpl(trylast=True, quick_below=_QUICK_BELOW)
    def preprocess(self, item: Item, model: Model) -> Inference | None:
        """Take the tensors of a JSON item as they stand; a body that is no JSON is not ours."""
        if isinstance(item.data, bytes):
            return None
        return Inference({k: _decode(v) for k, v in _tensors(item.data, model).items()})

    @hookimpl(trylast=True, quick_below=_QUICK_BELOW)
    def postprocess(self, outputs: Outputs) -> JsonValue:
        """Return every output as nested lists."""
        return {"outputs": {name: _encode(array) for name, array in outputs.items()}}

    @hookimpl(trylast=True)
    def example(self, model: Model) -> Item:
        """Return zeros and empty texts for every input."""
        return Item({"inputs": {spec.name: _encode(zeros(spec)) for spec in model.inputs}})


def _tensors(data: JsonValue | bytes, model: Model) -> dict[str, JsonValue]:
    """Find the input tensors in an item, by the one reading that it has."""
    names = [spec.name for spec in model.inputs]
    if isinstance(data, dict):
        inner = data.get("inputs")
        if isinstance(inner, dict):
            return inner
        if data and set(data) <= set(names):
            return data
    elif isinstance(data, _VALUES) and len(names) == 1:
        return {names[0]: data}
    came = f"the names {_quoted(data)}" if isinstance(data, dict) else _kind(data)
    raise PayloadError(
        f"no plugin takes this item for model {model.name!r}, and it holds no tensors: expected "
        f'{{"inputs": {{…}}}} with {", ".join(map(str, model.inputs))}; got {came}'
    )


def _quoted(names: Collection[str]) -> str:
    shown = ", ".join(map(repr, islice(names, _MOST_NAMES)))
    return shown if len(names) <= _MOST_NAMES else f"{shown}, … ({len(names)})"


def _kind(data: object) -> str:
    return {list: "a list", dict: "an object", str: "a text", type(None): "null"}.get(
        type(data), "a number or boolean"
    )


def _decode(value: JsonValue) -> Any:
    """Replace each ``{"b64": …}`` in nested lists by its bytes; lists without any stay."""
    return _decode_objects(value) if _holds_objects(value) else value


def _decode_objects(value: JsonValue, depth: int = 0) -> Any:
    _check_depth(depth)
    if isinstance(value, list):
        return [_decode_objects(element, depth + 1) for element in value]
    return _decode_base64(value) if isinstance(value, dict) else value


def _check_depth(depth: int) -> None:
    if depth > _MAX_DIMENSIONS:
        raise PayloadError(f"the lists are nested more than {_MAX_DIMENSIONS} deep")


def _decode_base64(value: dict[str, JsonValue]) -> bytes:
    text = value.get("b64")
    if len(value) != 1 or not isinstance(text, str):
        raise PayloadError('an element of a tensor is an object, expected {"b64": "…"}')
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise PayloadError('the text of a {"b64": "…"} is not base64') from exc


def _holds_objects(value: JsonValue, depth: int = 0) -> bool:
    _check_depth(depth)
    if isinstance(value, list):
        return any(
            _holds_objects(element, depth + 1) for element in value if isinstance(element, _NESTED)
        )
    return isinstance(value, dict)


def _encode(array: np.ndarray[Any, Any]) -> Any:
    """Return numbers as they are, for the JSON encoder, and texts as nested lists."""
    return array if array.dtype.kind != "O" else bytes_as_text(array.tolist())
