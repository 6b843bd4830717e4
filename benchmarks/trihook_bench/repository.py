"""The model repository of the benchmarks: the examples' models, and one that doubles a vector.

Every model runs as two instances on the CPU, each with one thread, and Triton never waits for
a batch to fill.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

WIDTH = 8
MAX_BATCH = 32

_INSTANCES = "instance_group { count: 2 kind: KIND_CPU }\n"
_THREADS = 'parameters { key: "intra_op_thread_count" value { string_value: "1" } }\n'
_ONE_BY_ONE = 'backend: "onnxruntime"\n'
_DOUBLING = """\
backend: "onnxruntime"
max_batch_size: %(batch)d
input { name: "x" data_type: TYPE_FP32 dims: [ %(width)d ] }
output { name: "y" data_type: TYPE_FP32 dims: [ %(width)d ] }
dynamic_batching { }
"""
_IDLE = """\
class TritonPythonModel:
    def execute(self, requests):
        raise AssertionError("no request is for this model")
"""
_ENSEMBLE = """\
platform: "ensemble"
max_batch_size: %(batch)d
input { name: "x" data_type: TYPE_FP32 dims: [ %(width)d ] }
output { name: "y" data_type: TYPE_FP32 dims: [ %(width)d ] }
ensemble_scheduling {
  step {
    model_name: "%(model)s"
    model_version: -1
    input_map { key: "x" value: "x" }
    output_map { key: "y" value: "y" }
  }
}
"""
_BUILDERS = {
    "trihook_densenet.build": ("efficientnet_lite0", "densenet_onnx"),
    "trihook_bidaf.build": ("bidaf_onnx",),
}


def build_repository(folder: Path) -> Path:
    """Write what is missing of the repository into ``folder``, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for builder, models in _BUILDERS.items():
        if not all((folder / model / "1" / "model.onnx").exists() for model in models):
            command = [sys.executable, "-m", builder, str(folder)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for name in ("densenet_onnx", "bidaf_onnx"):
        _complete(folder / name, _ONE_BY_ONE)
    config = folder / "efficientnet_lite0" / "config.pbtxt"
    if "instance_group" not in config.read_text():
        _complete(config.parent, config.read_text())
    add_doubling(folder, "vector", WIDTH)
    add_doubling(folder, "wide", -1)
    return folder


def add_doubling(folder: Path, name: str, width: int) -> None:
    """Write a model that answers ``y = 2 x`` to FP32 vectors; a width of -1 takes any."""
    file = folder / name / "1" / "model.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_doubling_model(width).SerializeToString(deterministic=True))
    _complete(folder / name, _DOUBLING % {"batch": MAX_BATCH, "width": width})


def add_ensemble(folder: Path, name: str, *, of: str) -> None:
    """Write a model with the same tensors that is a way to another one, and has no process."""
    (folder / name / "1").mkdir(parents=True, exist_ok=True)
    config = _ENSEMBLE % {"batch": MAX_BATCH, "width": WIDTH, "model": of}
    (folder / name / "config.pbtxt").write_text(config)


def add_idle(folder: Path, name: str) -> None:
    """Write a model with the same tensors that is a process of its own, and is never asked."""
    file = folder / name / "1" / "model.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_IDLE)
    config = _DOUBLING % {"batch": MAX_BATCH, "width": WIDTH}
    instance = _INSTANCES.replace("2", "1")
    (folder / name / "config.pbtxt").write_text(config.replace("onnxruntime", "python") + instance)


def _complete(model: Path, config: str) -> None:
    (model / "config.pbtxt").write_text(config + _INSTANCES + _THREADS)


def _doubling_model(width: int) -> onnx.ModelProto:
    x, y = (
        helper.make_tensor_value_info(
            name, onnx.TensorProto.FLOAT, ["N", "W" if width < 0 else width]
        )
        for name in ("x", "y")
    )
    two = numpy_helper.from_array(np.array(2, np.float32), "two")
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"])]
    graph = helper.make_graph(nodes, "graph", [x], [y], [two])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model
