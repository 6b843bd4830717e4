"""An entry script in the manner of Azure's tutorial on Triton.

As there, each request asks Triton for the model's metadata and configuration, and tensors travel
as JSON.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import numpy as np
import tritonclient.http as tritonhttpclient
from azureml_inference_server_http.api.aml_request import rawhttp
from flask import Request
from work import WORKS


def init() -> None:
    """Connect to Triton, once it is ready."""
    global triton_client, work  # noqa: PLW0603 - the tutorial's way to keep what init() makes
    work = WORKS[os.environ["WORK"]]
    triton_client = tritonhttpclient.InferenceServerClient(url=os.environ["TRITON_HTTP"])
    while not _is_ready():
        time.sleep(0.5)


@rawhttp
def run(request: Request) -> Any:
    """Answer one request."""
    body = request.get_data()
    tensors, state = work.prepare(body if work.raw else json.loads(body))
    return work.answer(_infer(tensors), state)


def _infer(tensors: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    metadata = triton_client.get_model_metadata(model_name=work.model)
    batched = triton_client.get_model_config(model_name=work.model)["max_batch_size"] > 0
    inputs = []
    for declared in metadata["inputs"]:
        data = tensors[declared["name"]]
        data = data[np.newaxis] if batched else data
        tensor = tritonhttpclient.InferInput(declared["name"], data.shape, declared["datatype"])
        tensor.set_data_from_numpy(data, binary_data=False)
        inputs.append(tensor)
    outputs = [
        tritonhttpclient.InferRequestedOutput(declared["name"], binary_data=False)
        for declared in metadata["outputs"]
    ]
    result = triton_client.infer(work.model, inputs, request_id="0", outputs=outputs)
    arrays = {output.name(): result.as_numpy(output.name()) for output in outputs}
    return {name: array[0] for name, array in arrays.items()} if batched else arrays


def _is_ready() -> bool:
    try:
        return bool(triton_client.is_model_ready(work.model))
    except OSError:
        return False
