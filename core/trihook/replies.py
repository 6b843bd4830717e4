"""Replies and errors as bytes: the JSON that callers get."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from trihook.errors import ScoringError
from trihook.types import Reply

JSON = "application/json"

_SHORT = 1024  # bytes
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_SURROGATE = "it holds half a surrogate pair, which is no text"
_REASONS = {
    "surrogates": _SURROGATE,
    "64-bit": "it holds a whole number of over 64 bits",
    "Dict key": "it holds a key that is neither text nor a number of Python's own",
    "ecursion": "it is nested too deeply, or holds itself",
}


def encode_json(value: Any) -> bytes:
    """Return ``value`` as JSON, with what is in it of numpy's, and NaN and infinity as null.

    Bytes, such as those of a BYTES tensor, are text where they are UTF-8, else
    ``{"b64": "..."}``. Raises ``TypeError`` for what JSON has no form for, saying what it is.
    """
    if isinstance(value, bytes):
        raise TypeError("it is bytes, which have a media type of their own")
    try:
        encoded = orjson.dumps(value, _encode_rest, _OPTIONS)
        # a copy, for behind a short one orjson leaves 4 KB, and a request may have thousands
        return encoded if len(encoded) > _SHORT else b"%b" % encoded
    except TypeError:
        # orjson refuses big-endian arrays outright; without its numpy option they come to us
        try:
            return orjson.dumps(value, _encode_rest, orjson.OPT_NON_STR_KEYS)
        except TypeError as exc:
            raise TypeError(_explain(exc)) from exc


def holds_json(reply: Reply) -> bool:
    """Tell whether the reply's value is one to encode as JSON, and not the body itself."""
    if reply.media_type == JSON:
        return True
    essence = reply.media_type.partition(";")[0].strip().lower()
    if essence == JSON:
        return not isinstance(reply.value, bytes)
    return essence.endswith("+json") and not isinstance(reply.value, bytes | str)


def encode_reply(reply: Reply) -> bytes:
    """Return the body of a reply; raises ``TypeError`` if it cannot be one, saying why."""
    if holds_json(reply):
        return encode_json(reply.value)
    if isinstance(reply.value, bytes):
        return reply.value
    try:
        return str.encode(reply.value)
    except TypeError:
        raise TypeError(f"it is {type(reply.value).__name__}, neither bytes nor text") from None
    except UnicodeEncodeError:
        raise TypeError(_SURROGATE) from None


def error_object(error: ScoringError, request_id: str) -> dict[str, str]:
    """Return what a caller is told of an error."""
    return {
        "message": error.message,
        "code": error.code,
        "stage": error.stage,
        "plugin": error.plugin,
        "request_id": request_id,
    }


def encode_predictions(bodies: Iterable[bytes]) -> bytes:
    """Return the body of a reply to several items, from their JSON bodies."""
    return b'{"predictions":[' + b",".join(bodies) + b"]}"


def bytes_as_text(value: Any) -> Any:
    """Return nested lists with each ``bytes`` among them as text or ``{"b64": "..."}``."""
    if isinstance(value, list):
        return [bytes_as_text(element) for element in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _encode_rest(value: Any) -> Any:
    """Encode bytes, and arrays that orjson cannot: of bytes, not contiguous, big-endian, …"""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufUSO":
        return bytes_as_text(value.tolist())
    if isinstance(value, bytes):
        return bytes_as_text(value)
    raise TypeError(f"it holds {type(value).__name__}")


def _explain(exc: TypeError) -> str:
    """Say what orjson does not take, in words of our own: its message may change."""
    if isinstance(exc.__cause__, TypeError):  # what _encode_rest has raised
        return str(exc.__cause__)
    said = str(exc)
    known = (reason for words, reason in _REASONS.items() if words in said)
    return next(known, "it holds something that JSON has no form for")
