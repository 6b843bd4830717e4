"""Clients of a Triton that is not there: they answer at once, with every number doubled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from trihook import Model
from trihook.fake_triton import FakeTriton
from trihook.testing import make_model
from trihook.triton.answers import HEADER_LENGTH, Answer
from trihook.triton.connections import Buffer
from trihook.triton.dtypes import Array
from trihook.triton.stacking import Pieces

MODEL = make_model(
    "vector", inputs=["x FP32 [8]"], outputs=["y FP32 [8]"], max_batch_size=64, instances=2
)


def double(array: Array) -> Array:
    """Do what the model does."""
    return array * np.float32(2)


class InstantClient(FakeTriton):
    """Answers inferences where the pipeline asks for them: no wire format, no network."""

    def __init__(self) -> None:
        super().__init__([MODEL], lambda _model, inputs: {"y": double(inputs["x"])})

    def infer(self, model: Model, tensors: Pieces, **_asked: Any) -> tuple[dict[str, Array], str]:
        """Answer one inference."""
        pieces = tensors["x"]
        stacked = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return {"y": double(stacked)}, model.version


class WiredClient(InstantClient):
    """Answers where the network would be: with the wire format, both ways."""

    def infer(self, model: Model, tensors: Pieces, **asked: Any) -> tuple[dict[str, Array], str]:
        """Run one inference as the real client does."""
        return super(FakeTriton, self).infer(model, tensors, **asked)

    def request(
        self,
        method: str,
        path: str,
        body: Sequence[Buffer] = (),
        headers: Mapping[str, str] | None = None,
        *rest: Any,
        **named: Any,
    ) -> Answer:
        """Answer an inference from its bytes, and anything else as the fake does."""
        if not path.endswith("/infer"):
            return super().request(method, path, body, headers, *rest, **named)
        sent = b"".join(body)
        length = int((headers or {})[HEADER_LENGTH])
        return _answer(orjson.loads(sent[:length]), sent[length:])


def _answer(asked: Mapping[str, Any], tensor: bytes) -> Answer:
    output = double(np.frombuffer(tensor, np.float32)).tobytes()
    entry = {
        "name": "y",
        "datatype": "FP32",
        "shape": asked["inputs"][0]["shape"],
        "parameters": {"binary_data_size": len(output)},
    }
    head = {"id": asked.get("id", ""), "model_version": MODEL.version, "outputs": [entry]}
    header = orjson.dumps(head)
    return Answer(200, header + output, len(header))
