"""Replies and errors as bytes: the JSON that callers get."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from trihook.errors import ScoringError
from trihook.types import Reply

JSON = "application/json"


def encode_json(value: Any) -> bytes:
    """Return ``value`` as JSON, numpy arrays and scalars included; NaN and infinity are null.

    Raises ``TypeError`` for what JSON has no form for.
    """
    option = orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(value, _encode_rest, option | orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        # orjson refuses big-endian arrays outright; without its numpy option they come to us
        return orjson.dumps(value, _encode_rest, option)


def encode_reply(reply: Reply) -> bytes:
    """Return the body of a reply; raises ``TypeError`` if it cannot be one."""
    if reply.media_type == JSON:
        return encode_json(reply.value)
    if isinstance(reply.value, bytes):
        return reply.value
    try:
        return str.encode(reply.value)
    except (TypeError, UnicodeEncodeError) as exc:
        raise TypeError(f"a reply of {reply.media_type} is neither bytes nor Unicode") from exc


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


def _encode_rest(value: Any) -> Any:
    """Encode arrays that orjson cannot: not contiguous, big-endian or of unusual dtypes."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufU":
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON-able")
