"""One real Triton for the integration tests, with models of every kind that they need."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_models import add_model, identity_model, linear_model
from PIL import Image
from servers import Host, photograph, running_host
from trihook.local import LocalTriton
from trihook_bidaf.build import build
from trihook_densenet.build import build_repository

MOODY = '''
import time
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """y = x; refuses negative numbers, and takes as many seconds as the largest says."""

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
        if (x < 0).any():
            error = pb_utils.TritonError("secret path /etc/passwd is negative")
            return pb_utils.InferenceResponse(error=error)
        time.sleep(float(x.max()))
        return pb_utils.InferenceResponse([pb_utils.Tensor("y", x)])
'''
MOODY_CONFIG = """
backend: "python"
max_batch_size: 4
input [{ name: "x" data_type: TYPE_FP32 dims: [1] }]
output [{ name: "y" data_type: TYPE_FP32 dims: [1] }]
instance_group [{ count: 4 kind: KIND_CPU }]
"""


def grey_model() -> onnx.ModelProto:
    """Mean grey value of a picture that nobody wrote code for: UINT8 NHWC [N, 96, 128, 1]."""
    shape = ["N", 96, 128, 1]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["picture"], ["float"], to=onnx.TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Reshape", ["mean", "shape"], ["grey"]),
        ],
        "grey",
        [helper.make_tensor_value_info("picture", onnx.TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("grey", onnx.TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(np.array([-1, 1], np.int64), "shape")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9)


def fill_repository(repository: Path) -> None:
    """Put every model that the tests need into a repository."""
    build_repository(repository)
    build(repository)
    add_model(repository, "vector", linear_model(features=3))
    add_model(repository, "fixed", linear_model(features=3, batch=1))
    add_model(repository, "grey", grey_model())
    add_model(repository, "texts", identity_model(str))
    (repository / "moody" / "1").mkdir(parents=True)
    (repository / "moody" / "1" / "model.py").write_text(MOODY)
    (repository / "moody" / "config.pbtxt").write_text(MOODY_CONFIG)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "triton"
    folder.mkdir()
    fill_repository(folder)
    return folder


@pytest.fixture(scope="session")
def triton(repository: Path) -> Iterator[LocalTriton]:
    with LocalTriton(
        repository, http_port=0, model_control_mode="explicit", load_models=["*"], exit_timeout=0
    ) as server:
        yield server


@pytest.fixture(scope="session")
def host(triton: LocalTriton) -> Iterator[Host]:
    """A host with the installed plugins and no settings."""
    with running_host(triton.url, "--workers", "2") as running:
        yield running


@pytest.fixture(scope="session")
def cat() -> bytes:
    return photograph("chelsea.png")


@pytest.fixture(scope="session")
def coffee() -> bytes:
    return photograph("coffee.png")


@pytest.fixture(scope="session")
def jpeg(cat: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(cat)).convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()
