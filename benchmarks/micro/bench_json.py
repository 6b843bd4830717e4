"""JSON in and out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from trihook import Reply
from trihook.host.payload import parse_payload
from trihook.replies import encode_predictions, encode_reply

from micro.measuring import Measure, Table, check

IN = Table("JSON in", "A body to the items that it holds, beside parsing alone.")
OUT = Table(
    "JSON out",
    "The default reply, an array, to a body: one for each instance, and then the list of them. "
    "For the standard library's json the arrays are made lists.",
)
JSON = "application/json"
NUMBERS = np.random.default_rng(0).standard_normal((256, 8)).round(3)
CASES = {
    "a vector of 8": NUMBERS[0],
    "1,000 floats": NUMBERS.ravel()[:1000],
    "256 instances of 8": NUMBERS,
}
PARSERS = {
    "trihook": lambda body: parse_payload(body, JSON, 4096),
    "orjson": orjson.loads,
    "json": json.loads,
}
cases = pytest.mark.parametrize("row", CASES)


def trihook_out(arrays: Any) -> bytes:
    """Encode as the pipeline does: each reply when it is made."""
    if arrays.ndim == 1:
        return encode_reply(reply(arrays))
    return encode_predictions([encode_reply(reply(array)) for array in arrays])


def reply(array: Any) -> Reply:
    """Return the default reply."""
    return Reply({"outputs": {"y": array}})


def orjson_out(arrays: Any) -> bytes:
    """Encode all at once, arrays as they are."""
    return orjson.dumps(whole(arrays), option=orjson.OPT_SERIALIZE_NUMPY)


def json_out(arrays: Any) -> bytes:
    """Encode all at once, arrays as lists."""
    return json.dumps(whole(arrays), default=np.ndarray.tolist, separators=(",", ":")).encode()


def whole(arrays: Any) -> Any:
    """Return the whole answer as one value."""
    if arrays.ndim == 1:
        return {"outputs": {"y": arrays}}
    return {"predictions": [{"outputs": {"y": array}} for array in arrays]}


ENCODERS = {"trihook": trihook_out, "orjson": orjson_out, "json": json_out}


@cases
@pytest.mark.parametrize("column", PARSERS)
def bench_in(measure: Measure, row: str, column: str) -> None:
    """Measure a body on its way in."""
    value = CASES[row].tolist()
    body = json.dumps({"instances": value} if len(value) == 256 else value).encode()
    check(measure(IN, row, column, PARSERS[column], body))


@cases
@pytest.mark.parametrize("column", ENCODERS)
def bench_out(measure: Measure, row: str, column: str) -> None:
    """Measure an answer on its way out."""
    arrays = CASES[row].astype(np.float32)
    body = measure(OUT, row, column, ENCODERS[column], arrays)
    got = json.loads(body)
    replies = got.get("predictions", [got])
    numbers = np.array([each["outputs"]["y"] for each in replies], np.float32)
    check(np.array_equal(numbers.reshape(arrays.shape), arrays))
