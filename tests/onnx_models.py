"""Small ONNX models for tests, and the repositories that Triton loads them from.

Shapes are given as for ``onnx.helper``: a number is a fixed length, a string such as ``"N"`` a
dynamic one. Datatypes are numpy's, with ``str`` for ONNX's strings. Weights are fixed, so that
a test can say what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike
from onnx import helper, numpy_helper

Shape = Sequence["int | str"]


def linear_model(features: int = 4, outputs: int = 2, batch: int | str = "N") -> onnx.ModelProto:
    """``y = x @ w``: FP32 x [batch, features] to FP32 y [batch, outputs].

    ``w[i, j]`` is ``i + j``, so ``linear_weights`` times x is what to expect.
    """
    return _model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [_tensor("x", np.float32, (batch, features))],
        [_tensor("y", np.float32, (batch, outputs))],
        [numpy_helper.from_array(linear_weights(features, outputs), "w")],
    )


def linear_weights(features: int = 4, outputs: int = 2) -> np.ndarray[Any, Any]:
    """Return the weights of :func:`linear_model`: FP32 [features, outputs]."""
    return np.add.outer(np.arange(features), np.arange(outputs)).astype(np.float32)


def identity_model(dtype: DTypeLike, shape: Shape = ("N", 3)) -> onnx.ModelProto:
    """``y = x``, both of one datatype and shape."""
    return _model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [_tensor("x", dtype, shape)],
        [_tensor("y", dtype, shape)],
    )


def identities_model(dtypes: Mapping[str, DTypeLike], shape: Shape = ("N", 3)) -> onnx.ModelProto:
    """``y_<name> = x_<name>`` for each of the names, of its datatype."""
    return _model(
        [helper.make_node("Identity", [f"x_{name}"], [f"y_{name}"]) for name in dtypes],
        [_tensor(f"x_{name}", dtype, shape) for name, dtype in dtypes.items()],
        [_tensor(f"y_{name}", dtype, shape) for name, dtype in dtypes.items()],
    )


def lookup_model(size: int = 10) -> onnx.ModelProto:
    """``y = 10 * index``: INT64 index [N, 1] to INT64 y [N, 1].

    Running it fails for an index that is not below ``size``, for the whole batch.
    """
    table = np.arange(size, dtype=np.int64) * 10
    return _model(
        [helper.make_node("Gather", ["table", "index"], ["y"])],
        [_tensor("index", np.int64, ("N", 1))],
        [_tensor("y", np.int64, ("N", 1))],
        [numpy_helper.from_array(table, "table")],
    )


def sum_and_difference_model(shape: Shape = ("N", 3)) -> onnx.ModelProto:
    """``sum = a + b`` and ``difference = a - b``, all INT32 of one shape."""
    return _model(
        [
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("Sub", ["a", "b"], ["difference"]),
        ],
        [_tensor("a", np.int32, shape), _tensor("b", np.int32, shape)],
        [_tensor("sum", np.int32, shape), _tensor("difference", np.int32, shape)],
    )


def row_sum_model() -> onnx.ModelProto:
    """``y = sum(x, axis=1)``: FP32 x [N, 3] to FP32 y [N], one number a row."""
    return _model(
        [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
        [_tensor("x", np.float32, ("N", 3))],
        [_tensor("y", np.float32, ("N",))],
        [numpy_helper.from_array(np.array([1], np.int64), "axes")],
    )


def scaled_sum_model() -> onnx.ModelProto:
    """``y = factor * sum(x)``: FP32 x [2, 3] and a scalar factor to a scalar y, all FP32."""
    return _model(
        [
            helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
            helper.make_node("Mul", ["total", "factor"], ["y"]),
        ],
        [_tensor("x", np.float32, (2, 3)), _tensor("factor", np.float32, ())],
        [_tensor("y", np.float32, ())],
    )


def shift_model() -> onnx.ModelProto:
    """``y = x + shift``: FP32 [3]; ``shift`` is an input that is 1 where it is left out."""
    shift = np.ones(3, np.float32)
    return _model(
        [helper.make_node("Add", ["x", "shift"], ["y"])],
        [_tensor("x", np.float32, (3,)), _tensor("shift", np.float32, (3,))],
        [_tensor("y", np.float32, (3,))],
        [numpy_helper.from_array(shift, "shift")],
    )


def started_model() -> onnx.ModelProto:
    """``y = x + 100 * START``, all FP32 [N, 1]: START is for a sequence batcher to set."""
    names = ("x", "START", "y")
    x, start, y = (_tensor(name, np.float32, ("N", 1)) for name in names)
    return _model(
        [
            helper.make_node("Mul", ["START", "hundred"], ["offset"]),
            helper.make_node("Add", ["x", "offset"], ["y"]),
        ],
        [x, start],
        [y],
        [numpy_helper.from_array(np.array([100], np.float32), "hundred")],
    )


def add_model(
    repository: Path,
    name: str,
    model: onnx.ModelProto | bytes,
    config: str = "",
    version: int = 1,
) -> Path:
    """Put a model into a repository and return its folder; ``config`` is its ``config.pbtxt``."""
    folder = repository / name
    file = folder / str(version) / "model.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    if config:
        (folder / "config.pbtxt").write_text(config)
    return folder


def _tensor(name: str, dtype: DTypeLike, shape: Shape) -> onnx.ValueInfoProto:
    kind = (
        onnx.TensorProto.STRING
        if dtype is str
        else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    )
    return helper.make_tensor_value_info(name, kind, shape)


def _model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, weights)
    # fixed versions, which ONNX Runtime 1.19 and newer read whatever the installed onnx writes
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model
