"""The same entry script as it should be: metadata is known, and tensors travel as bytes.

The server's workers are processes of several threads, by ``GUNICORN_CMD_ARGS``; each imports this
script and calls ``init`` by itself. Every thread has a client of its own, which keeps its
connection to Triton open.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
import orjson
from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse
from flask import Request
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from work import WORKS


def init() -> None:
    """Connect to Triton, once it is ready."""
    global triton, work, outputs  # noqa: PLW0603 - the server's way to keep what init() makes
    work = WORKS[os.environ["WORK"]]
    outputs = [InferRequestedOutput(name, binary_data=True) for name in work.outputs]
    triton = _Clients()
    while not _is_ready():
        time.sleep(0.5)


class _Clients(threading.local):
    """A client for each thread: one is not to be shared by threads."""

    def __init__(self) -> None:
        self.own = InferenceServerClient(url=os.environ["TRITON_HTTP"])


@rawhttp
def run(request: Request) -> AMLResponse:
    """Answer one request."""
    body = request.get_data()
    tensors, state = work.prepare(body if work.raw else orjson.loads(body))
    reply = orjson.dumps(work.answer(_infer(tensors), state))
    return AMLResponse(reply, 200, {"Content-Type": "application/json"})


def _infer(tensors: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    inputs = [
        _input(name, array[None] if work.batched else array) for name, array in tensors.items()
    ]
    result = triton.own.infer(work.model, inputs, outputs=outputs)
    arrays = {name: result.as_numpy(name) for name in work.outputs}
    return {name: array[0] for name, array in arrays.items()} if work.batched else arrays


def _input(name: str, array: np.ndarray[Any, Any]) -> InferInput:
    tensor = InferInput(name, array.shape, work.datatypes[name])
    tensor.set_data_from_numpy(array, binary_data=True)
    return tensor


def _is_ready() -> bool:
    try:
        return bool(triton.own.is_model_ready(work.model))
    except OSError:
        return False
