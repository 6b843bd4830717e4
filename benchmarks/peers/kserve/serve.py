"""A KServe transformer in front of Triton: one server of one worker, which may share its port.

KServe reads its own options from the command line when it is imported.
"""

from __future__ import annotations

import os
import socket
from contextvars import ContextVar
from typing import Any

import grpc
import numpy as np
from kserve import Model, ModelServer
from kserve.constants.constants import FASTAPI_APP_IMPORT_STRING
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest, ModelInferResponse
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from kserve.protocol.infer_type import serialize_byte_tensor
from kserve.protocol.rest.server import RESTServer
from kserve.utils.numpy_codec import to_np_dtype
from work import WORKS, Work

# of the request that the current task answers
_state: ContextVar[Any] = ContextVar("state")


class Transformer(Model):
    """The work before and after the inference, for which Triton is asked by gRPC.

    Protocol buffers are filled and read here, and ``predict`` is overridden to send them: KServe's
    own converts them to objects and back, which takes a little longer.
    """

    def __init__(self, work: Work) -> None:
        super().__init__(work.model)
        self.work = work
        self.ready = True
        self._triton: GRPCInferenceServiceStub | None = None

    async def preprocess(self, payload: Any, _headers: Any = None) -> ModelInferRequest:
        """Turn a picture's bytes, or the one instance of a JSON body, into the model's inputs."""
        tensors, state = self.work.prepare(payload if self.work.raw else payload["instances"][0])
        _state.set(state)
        request = ModelInferRequest(model_name=self.name)
        for name, array in tensors.items():
            batch, datatype = array[None] if self.work.batched else array, self.work.datatypes[name]
            request.inputs.add(name=name, datatype=datatype, shape=batch.shape)
            raw = serialize_byte_tensor(batch).item() if datatype == "BYTES" else batch.tobytes()
            request.raw_input_contents.append(raw)
        return request

    async def predict(
        self, payload: ModelInferRequest, _headers: Any = None, _response_headers: Any = None
    ) -> ModelInferResponse:
        """Ask Triton."""
        if self._triton is None:  # a channel belongs to the event loop that it is made in
            channel = grpc.aio.insecure_channel(os.environ["TRITON_GRPC"])
            self._triton = GRPCInferenceServiceStub(channel)
        return await self._triton.ModelInfer(payload)

    async def postprocess(
        self, result: ModelInferResponse, _headers: Any = None, _response_headers: Any = None
    ) -> dict[str, Any]:
        """Turn the model's outputs into a reply of KServe's first protocol."""
        outputs = {}
        for output, content in zip(result.outputs, result.raw_output_contents, strict=True):
            array = np.frombuffer(content, to_np_dtype(output.datatype)).reshape(output.shape)
            outputs[output.name] = array[0] if self.work.batched else array
        return {"predictions": [self.work.answer(outputs, _state.get())]}


def serve(model: Model) -> None:
    """Serve as ``ModelServer.start`` does, at a port where other processes may listen too."""
    server = ModelServer()
    server.register_model(model)
    rest = RESTServer(
        FASTAPI_APP_IMPORT_STRING,
        server.dataplane,
        server.model_repository_extension,
        server.http_port,
        event_loop=server.event_loop,
    )
    # asyncio turns Nagle's algorithm off for sockets of this protocol only
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(("127.0.0.1", server.http_port))
        rest.run(sockets=[listening])


if __name__ == "__main__":
    serve(Transformer(WORKS[os.environ["WORK"]]))
