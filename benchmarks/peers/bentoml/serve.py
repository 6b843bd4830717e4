"""A BentoML service in front of Triton, for one work.

Annotations must be objects here, not strings: BentoML makes its schemas of them. Each service takes
the request's body as its one argument.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import bentoml
import orjson
from bentoml.validators import ContentType
from starlette.responses import Response
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from work import WORKS

Picture = Annotated[Path, ContentType("image/jpeg")]

SETTINGS = {
    "workers": 2,
    "metrics": {"enabled": False},
    "logging": {"access": {"enabled": False}},
}
_work = WORKS[os.environ["WORK"]]
_outputs = [InferRequestedOutput(name) for name in _work.outputs]


class Host:
    """What the services have in common: the work, and Triton."""

    def __init__(self) -> None:
        self._triton: InferenceServerClient | None = None

    async def answer(self, request: Any) -> Response:
        """Take one request through the whole work."""
        tensors, state = _work.prepare(request)
        inputs = []
        for name, array in tensors.items():
            batch = array[None] if _work.batched else array
            tensor = InferInput(name, batch.shape, _work.datatypes[name])
            tensor.set_data_from_numpy(batch)
            inputs.append(tensor)
        if self._triton is None:  # a channel belongs to the event loop that it is made in
            self._triton = InferenceServerClient(url=os.environ["TRITON_GRPC"])
        result = await self._triton.infer(_work.model, inputs, outputs=_outputs)
        outputs = {name: result.as_numpy(name) for name in _work.outputs}
        if _work.batched:
            outputs = {name: array[0] for name, array in outputs.items()}
        reply = orjson.dumps(_work.answer(outputs, state))
        return Response(reply, media_type="application/json")


@bentoml.service(**SETTINGS)
class Vectors(Host):
    """Each request is JSON of numbers."""

    @bentoml.api(route="/score")
    async def score(self, vector: list[float], /) -> list[float]:
        """Answer one request."""
        return await self.answer(vector)


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
