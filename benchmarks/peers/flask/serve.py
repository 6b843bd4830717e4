"""What Flask and the transforms cost by themselves: the same requests, and no inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from flask import Flask, Response, request
from trihook import Model, TensorSpec
from trihook_nltk import tokenize
from trihook_nltk.fields import text_fields
from trihook_pillow import Target, parse_options, prepare

_TARGET = Target("images", "FP32", "NCHW", 3, 224, 224)
_OPTIONS = {
    "efficientnet": parse_options({"scaling": "NONE", "mean": "127", "std": "128"}, _TARGET),
    "densenet": parse_options({}, _TARGET),
}
_BIDAF = Model(
    "bidaf_onnx",
    "1",
    inputs=tuple(
        TensorSpec(f"{field}_{kind}", "BYTES", shape)
        for field in ("context", "query")
        for kind, shape in (("word", (-1, 1)), ("char", (-1, 1, 1, 16)))
    ),
    outputs=(),
)
_FIELDS = text_fields(_BIDAF)
_LABEL = {"label": "Egyptian cat", "index": 285, "score": 0.79}
_ANSWER = {"answer": "Marta Lindqvist", "start": 70, "end": 85, "words": ["Marta", "Lindqvist"]}


def make_app(work: str) -> Flask:
    """Return the application for one work, at ``/score``."""
    answer: Callable[[bytes], Any] = {"vector": _double, "bidaf": _split}.get(work, _decode(work))
    app = Flask(work)

    @app.get("/")
    def live() -> str:
        return "Healthy"

    @app.post("/score")
    def score() -> Response:
        body = orjson.dumps(answer(request.get_data()), option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, content_type="application/json")

    return app


def _double(body: bytes) -> Any:
    return {"outputs": {"y": np.array(orjson.loads(body), np.float32) * 2}}


def _split(body: bytes) -> Any:
    texts = orjson.loads(body)
    for field in _FIELDS:
        for tensor in field.tensors(tokenize(texts[field.name]), lower=True).values():
            _join(tensor)
    return _ANSWER


def _join(tensor: Any) -> bytes:
    """Encode strings as Triton's binary protocol has them."""
    texts = [text.encode() for text in tensor.ravel()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _decode(work: str) -> Callable[[bytes], Any]:
    def prepared(body: bytes) -> Any:
        prepare(body, _TARGET, _OPTIONS[work]).tobytes()
        return _LABEL

    return prepared
