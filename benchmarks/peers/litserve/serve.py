"""A LitServe server in front of Triton: requests that wait together share an inference.

Annotations must be objects here, not strings: LitServe reads those of ``decode_request``.
"""

import os
from typing import Annotated, Any

import click
import numpy as np
import orjson
from fastapi import Body, Response
from litserve import LitAPI, LitServer
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from work import WORKS, Work

Tensors = dict[str, np.ndarray[Any, Any]]
Context = dict[str, Any]

# as many as the models take; 1 for those without a batch dimension
BATCHES = {"vector": 32, "efficientnet": 8, "densenet": 1, "bidaf": 1}
# inference workers: with next to nothing to prepare, more of them only split the batches; without
# batches, each spends its time waiting for Triton
WORKERS = {"vector": 1, "efficientnet": 2, "densenet": 4, "bidaf": 4}
# seconds that a batch is waited for; with 0 the workers would spin while nothing comes
BATCH_TIMEOUT = 0.001
API_SERVERS = 2


class JsonAPI(LitAPI):
    """One inference worker: it prepares what waits, asks Triton once, and answers each."""

    def __init__(self, work: Work, **options: Any) -> None:
        super().__init__(**options)
        self.work = work

    def setup(self, _device: str) -> None:
        """Connect to Triton, in the worker's own process."""
        self.triton = InferenceServerClient(url=os.environ["TRITON_HTTP"])
        self.outputs = [InferRequestedOutput(name) for name in self.work.outputs]

    def decode_request(self, request, context: Context) -> Tensors:  # noqa: ANN001 - means "JSON"
        """Prepare one request."""
        tensors, context["state"] = self.work.prepare(request)
        return tensors

    def batch(self, inputs: list[Tensors]) -> Tensors:
        """Stack what was prepared for several requests."""
        return {name: np.stack([tensors[name] for tensors in inputs]) for name in inputs[0]}

    def predict(self, tensors: Tensors) -> Tensors:
        """Ask Triton, for one request or for a batch."""
        inputs = []
        for name, array in tensors.items():
            tensor = InferInput(name, array.shape, self.work.datatypes[name])
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        result = self.triton.infer(self.work.model, inputs, outputs=self.outputs)
        return {name: result.as_numpy(name) for name in self.work.outputs}

    def unbatch(self, output: Tensors) -> list[Tensors]:
        """Give each request its row of the outputs."""
        rows = range(len(next(iter(output.values()))))
        return [{name: array[row] for name, array in output.items()} for row in rows]

    def encode_response(self, output: Tensors, context: Context) -> Response:
        """Answer one request."""
        reply = orjson.dumps(self.work.answer(output, context["state"]))
        return Response(reply, media_type="application/json")


class BytesAPI(JsonAPI):
    """The same for requests whose body is not JSON."""

    def decode_request(self, request: Annotated[bytes, Body()], context: Context) -> Tensors:
        """Prepare one request."""
        return super().decode_request(request, context)


@click.command()
@click.option("--work", "name", type=click.Choice(list(WORKS)), required=True)
@click.option("--port", type=int, required=True)
def serve(name: str, port: int) -> None:
    """Serve one work at POST /score."""
    work, batch = WORKS[name], BATCHES[name]
    kind = BytesAPI if work.raw else JsonAPI
    api = kind(work, api_path="/score", max_batch_size=batch, batch_timeout=BATCH_TIMEOUT)
    server = LitServer(api, accelerator="cpu", workers_per_device=WORKERS[name], fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=API_SERVERS,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )


if __name__ == "__main__":
    serve()
