"""What authors write, and mypy is to take: this only has to type-check."""

from __future__ import annotations

from http import HTTPStatus

import numpy as np
from trihook import Inference, Item, Model, Reply, RequestedOutput, ScoringRequest, hookimpl
from trihook.testing import Harness, make_model, make_request
from trihook.types import Jsonable, Outputs, Tensors


@hookimpl(models=lambda model: model.input("x") is not None, quick_below=4096)
def preprocess(item: Item, model: Model) -> Tensors | Inference | None:
    """Return what came, as it came, or with more to say."""
    if not isinstance(item.data, dict):
        return None
    if model.max_batch_size:
        return Inference({"x": item.data["x"]}, (RequestedOutput("y"),), padding={"x": 0.0})
    return {"x": item.data["x"], "mask": np.ones(3, bool)}


@hookimpl
def postprocess(outputs: Outputs, request: ScoringRequest) -> Jsonable | Reply | None:
    """Return lists, dictionaries, arrays and numbers, each as it is at hand."""
    scores: dict[str, float] = {name: float(array.max()) for name, array in outputs.items()}
    names: list[str] = list(scores)
    if not names:
        return Reply({"title": "nothing"}, HTTPStatus.ACCEPTED, "application/problem+json")
    if "best" in request.query:
        return np.float32(scores[names[0]])
    if "text" in request.query:
        return [array.tobytes() for array in outputs.values()]
    return {"scores": scores, "names": names, "all": dict(outputs)} if request.many else scores


def test(rows: list[float], columns: dict[str, list[int]]) -> None:
    """Give the harness lists and dictionaries of anything."""
    model = make_model(inputs=["x FP32 [3]"], outputs=["y FP32 [3]"])
    harness = Harness(models=[model], infer=lambda _model, inputs: {"y": inputs["x"]})
    harness.reply(rows)
    harness.score(make_request(columns, b"bytes", Item(1.0), headers={"X-Arm": "a"}))
