"""The same arithmetic without the framework: parse, double, reply."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from flask import Flask, Response, request

from micro.clients import double


def answer(body: bytes) -> bytes:
    """Return what the framework replies to a body: a vector or a list of instances."""
    value = orjson.loads(body)
    many = isinstance(value, dict)
    arrays = double(np.array(value["instances"] if many else [value], np.float32))
    replies: list[Any] = [{"outputs": {"y": array}} for array in arrays]
    whole = {"predictions": replies} if many else replies[0]
    return orjson.dumps(whole, option=orjson.OPT_SERIALIZE_NUMPY)


def create_bare_app() -> Flask:
    """Return a Flask application of one view."""
    app = Flask("bare")

    @app.post("/score/<model>")
    def score(model: str) -> Response:  # noqa: ARG001 - the route is the framework's
        return Response(answer(request.get_data()), content_type="application/json")

    return app
