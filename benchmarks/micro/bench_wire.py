"""Items stacked and put into Triton's wire format, and taken out again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from trihook import Inference, Model
from trihook.testing import make_model
from trihook.triton.inputs import build_inputs
from trihook.triton.stacking import Part, stack, unstack
from trihook.triton.wire import decode_reply, encode_request
from tritonclient.http import InferenceServerClient, InferInput

from micro.measuring import Measure, Table, check

REQUESTS = Table(
    "Requests to Triton",
    "Fitted items to the body of one inference. trihook leaves large tensors where they are: "
    "“as sent” joins what is below 64 KiB, as its connections do. tritonclient is given the "
    "items' arrays concatenated (`np.concatenate`, `InferInput`, `generate_request_body`).",
)
REPLIES = Table(
    "Replies of Triton",
    "The body of a reply to the arrays of each item: 8 numbers for a vector, 1,000 for a picture. "
    "tritonclient (`parse_response_body`, `as_numpy`, a slice an item) does not check them "
    "against what the model declares.",
)
VECTOR = make_model("vector", inputs=["x FP32 [8]"], outputs=["y FP32 [8]"], max_batch_size=32)
PICTURE = make_model(
    "picture", inputs=["x FP32 [3, 224, 224]"], outputs=["y FP32 [1000]"], max_batch_size=32
)
CASES = {
    "1 vector": (VECTOR, 1),
    "8 vectors": (VECTOR, 8),
    "32 vectors": (VECTOR, 32),
    "1 picture": (PICTURE, 1),
    "4 pictures": (PICTURE, 4),
}
JOINED_BELOW = 65536
case = pytest.mark.parametrize(("row", "model", "count"), [(r, *c) for r, c in CASES.items()])


def make_parts(model: Model, count: int) -> list[Part]:
    """Return the parts of so many items."""
    array = np.random.default_rng(0).random(model.inputs[0].shape, np.float32)
    items = (build_inputs(Inference({"x": array + n}), model) for n in range(count))
    return [Part(item, 0, 1) for item in items]


def make_reply(model: Model, count: int) -> tuple[bytes, int]:
    """Return the body of a reply, as Triton writes it, and the length of its header."""
    outputs = np.arange(count * model.outputs[0].shape[0], dtype=np.float32)
    header = {
        "id": "7",
        "model_name": model.name,
        "model_version": "1",
        "outputs": [
            {
                "name": "y",
                "datatype": "FP32",
                "shape": [count, *model.outputs[0].shape],
                "parameters": {"binary_data_size": outputs.nbytes},
            }
        ],
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    return head + outputs.tobytes(), len(head)


def as_sent(parts: list[Part], model: Model) -> list[Any]:
    """Stack and encode, and join what is small."""
    buffers, _ = encode_request(stack(parts), model, (), "7")
    return buffers if sum(map(len, buffers)) >= JOINED_BELOW else [b"".join(buffers)]


def with_tritonclient(arrays: list[Any]) -> bytes:
    """Stack and encode by means of tritonclient."""
    array = np.concatenate(arrays)
    tensor = InferInput("x", array.shape, "FP32")
    tensor.set_data_from_numpy(array)
    body: bytes
    body, _ = InferenceServerClient.generate_request_body([tensor], request_id="7")
    return body


@case
def bench_stack(measure: Measure, row: str, model: Model, count: int) -> None:
    """Measure stacking alone."""
    check(len(measure(REQUESTS, row, "`stack`", stack, make_parts(model, count))["x"]) == count)


@case
def bench_encode(measure: Measure, row: str, model: Model, count: int) -> None:
    """Measure encoding alone."""
    pieces = stack(make_parts(model, count))
    buffers, _ = measure(REQUESTS, row, "`encode_request`", encode_request, pieces, model, (), "7")
    check(b"".join(buffers).endswith(b"".join(piece.tobytes() for piece in pieces["x"])))


@case
def bench_request(measure: Measure, row: str, model: Model, count: int) -> None:
    """Measure both."""
    parts = make_parts(model, count)
    buffers = measure(REQUESTS, row, "both, as sent", as_sent, parts, model)
    tensors = b"".join(part.inputs.tensors["x"].tobytes() for part in parts)
    check(b"".join(buffers).endswith(tensors))


@case
def bench_tritonclient_request(measure: Measure, row: str, model: Model, count: int) -> None:
    """Measure the same by tritonclient."""
    arrays = [part.inputs.tensors["x"] for part in make_parts(model, count)]
    body = measure(REQUESTS, row, "tritonclient", with_tritonclient, arrays)
    check(body.endswith(b"".join(array.tobytes() for array in arrays)))


@case
def bench_decode(measure: Measure, row: str, model: Model, count: int) -> None:
    """Measure decoding alone."""
    reply = make_reply(model, count)
    arrays, _ = measure(REPLIES, row, "`decode_reply`", decode_reply, *reply, model, (), "7", count)
    check(len(arrays["y"]) == count)


@case
def bench_unstack(measure: Measure, row: str, model: Model, count: int) -> None:
    """Measure dealing out alone."""
    parts = make_parts(model, count)
    outputs, _ = decode_reply(*make_reply(model, count), model, (), "7", count)
    shares = measure(REPLIES, row, "`unstack`", lambda: list(unstack(outputs, parts)))
    check(len(shares) == count)


@case
def bench_tritonclient_reply(measure: Measure, row: str, model: Model, count: int) -> None:
    """Measure both by tritonclient."""
    body, length = make_reply(model, count)

    def decode() -> list[Any]:
        parsed = InferenceServerClient.parse_response_body(body, header_length=length)
        array = parsed.as_numpy("y")
        return [array[n : n + 1] for n in range(count)]

    check(len(measure(REPLIES, row, "tritonclient, both", decode)) == count)
