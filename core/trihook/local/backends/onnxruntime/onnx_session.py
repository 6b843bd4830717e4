"""ONNX Runtime sessions, set up as a Triton model configuration says.

This module runs in Triton's Python stub too, and imports ONNX Runtime and what is beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime

if TYPE_CHECKING:
    from trihook.local.backends.onnxruntime import onnx_signature
else:  # in the stub it is a top-level module
    import onnx_signature

_LEVELS = {
    -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    0: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
"""What ``optimization.graph.level`` means to the native backend; other levels mean 0."""


def open_for_reading(path: str) -> Any:
    """Open a model to read its signature, without optimizing it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return _open(path, options)


def open_for_inference(path: str, config: onnx_signature.Config) -> Any:
    """Open a model with the session options that its configuration asks for.

    A session has one thread unless ``intra_op_thread_count`` says otherwise. The native backend
    gives it as many as there are cores; but Triton runs two instances of each model on a CPU,
    each of them a process, and here they share few cores with each other and with the host.
    """
    parameters = config["parameters"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _whole(parameters, "intra_op_thread_count") or 1
    options.inter_op_num_threads = _whole(parameters, "inter_op_thread_count") or 1
    options.execution_mode = _execution_mode(parameters)
    level = int(config["optimization"].get("graph", {}).get("level", 0))
    options.graph_optimization_level = _LEVELS.get(level, _LEVELS[0])
    options.enable_cpu_mem_arena = _switch(parameters, "enable_mem_arena")
    options.enable_mem_pattern = _switch(parameters, "enable_mem_pattern")
    return _open(path, options)


def read_signature(session: Any) -> onnx_signature.Signature:
    """Return the tensors of an open model; raise ValueError for a type that Triton lacks."""
    return onnx_signature.Signature(
        inputs=onnx_signature.read_tensors(session.get_inputs()),
        outputs=onnx_signature.read_tensors(session.get_outputs()),
        initializers=onnx_signature.read_tensors(session.get_overridable_initializers()),
    )


def _open(path: str, options: onnxruntime.SessionOptions) -> Any:
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _execution_mode(parameters: onnx_signature.Config) -> Any:
    if _whole(parameters, "execution_mode"):
        return onnxruntime.ExecutionMode.ORT_PARALLEL
    return onnxruntime.ExecutionMode.ORT_SEQUENTIAL


def _whole(parameters: onnx_signature.Config, name: str) -> int:
    text = parameters.get(name, {}).get("string_value", "0")
    if not text.isdecimal():
        raise ValueError(f"parameter {name} is '{text}', expected a whole number")
    return int(text)


def _switch(parameters: onnx_signature.Config, name: str) -> bool:
    text = parameters.get(name, {}).get("string_value", "1").lower()
    if text not in {"0", "1", "true", "false"}:
        raise ValueError(f"parameter {name} is '{text}', expected 0, 1, true or false")
    return text in {"1", "true"}
