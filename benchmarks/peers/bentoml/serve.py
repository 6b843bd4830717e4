"""A BentoML service in front of Triton, for one work.

Annotations must be objects here, not strings: BentoML makes its schemas of them. Each service takes
the request's body as its one argument.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import bentoml
import numpy as np
import orjson
from bentoml.validators import ContentType
from starlette.responses import Response
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from work import WORKS

Picture = Annotated[Path, ContentType("image/jpeg")]
Tensors = dict[str, np.ndarray[Any, Any]]

SETTINGS = {
    "workers": 2,
    "metrics": {"enabled": False},
    "logging": {"access": {"enabled": False}},
}
# as many as the model takes; what BentoML expects to take longer than the latency gets 503
BATCHING = {"batchable": True, "max_batch_size": 32, "max_latency_ms": 1000}

_work = WORKS[os.environ["WORK"]]
_outputs = [InferRequestedOutput(name) for name in _work.outputs]


class Host:
    """What the services have in common: the work, and Triton."""

    def __init__(self) -> None:
        self._triton: InferenceServerClient | None = None

    async def infer(self, tensors: Tensors) -> Tensors:
        """Ask Triton."""
        inputs = []
        for name, array in tensors.items():
            tensor = InferInput(name, array.shape, _work.datatypes[name])
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        if self._triton is None:  # a channel belongs to the event loop that it is made in
            self._triton = InferenceServerClient(url=os.environ["TRITON_GRPC"])
        result = await self._triton.infer(_work.model, inputs, outputs=_outputs)
        return {name: result.as_numpy(name) for name in _work.outputs}

    async def answer(self, request: Any) -> Response:
        """Take one request through the whole work."""
        tensors, state = _work.prepare(request)
        if _work.batched:
            tensors = {name: array[None] for name, array in tensors.items()}
        outputs = await self.infer(tensors)
        if _work.batched:
            outputs = {name: array[0] for name, array in outputs.items()}
        reply = orjson.dumps(_work.answer(outputs, state))
        return Response(reply, media_type="application/json")


@bentoml.service(**SETTINGS)
class Vectors(Host):
    """Requests that wait together, each of one vector, share an inference."""

    @bentoml.api(route="/score", **BATCHING)
    async def score(self, vectors: list[list[float]], /) -> list[list[float]]:
        """Answer several requests."""
        prepared = [_work.prepare(vector) for vector in vectors]
        batch = {
            name: np.stack([tensors[name] for tensors, _ in prepared]) for name in _work.datatypes
        }
        outputs = await self.infer(batch)
        return [
            _work.answer({name: array[row] for name, array in outputs.items()}, state)
            for row, (_, state) in enumerate(prepared)
        ]


@bentoml.service(**SETTINGS)
class Pictures(Host):
    """Each request is a picture, which BentoML writes to a file."""

    @bentoml.api(route="/score")
    async def score(self, picture: Picture, /) -> dict[str, Any]:
        """Answer one request."""
        return await self.answer(picture.read_bytes())


@bentoml.service(**SETTINGS)
class Texts(Host):
    """Each request is JSON of named texts."""

    @bentoml.api(route="/score")
    async def score(self, texts: dict[str, str], /) -> dict[str, Any]:
        """Answer one request."""
        return await self.answer(texts)


service = {"vector": Vectors, "bidaf": Texts}.get(_work.name, Pictures)
