"""EfficientNet-Lite0 as an ONNX graph, made from the weights of its PyTorch checkpoint.

The architecture is EfficientNet-B0's (Tan and Le, 2019, table 1) as its authors cut it down for
small devices: no squeeze-and-excitation, ReLU6 in place of swish. Batch normalisation is folded
into the convolutions, whose padding is TensorFlow's "SAME".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

INPUT, OUTPUT = "images", "probabilities"
SIDE, CLASSES = 224, 1000

_BLOCKS = 16
_STRIDE_2 = frozenset({1, 3, 5, 11})  # the blocks that begin stages 2, 3, 4 and 6
_EPSILON = 1e-3  # of the batch normalisations
_OPSET, _IR_VERSION = 13, 8  # old enough for ONNX Runtime 1.19 and long before


def build_efficientnet(weights: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    """Return the model: ``images`` FP32 [n, 3, 224, 224] to ``probabilities`` FP32 [n, 1000].

    Images are RGB, (pixel - 127) / 128. ``weights`` are named as in the checkpoint. Raises
    ``KeyError`` if one is missing.
    """
    graph = _Graph(weights)
    value, side = graph.convolve("_conv_stem", "_bn0", INPUT, SIDE, stride=2)
    for number in range(_BLOCKS):
        stride = 2 if number in _STRIDE_2 else 1
        value, side = graph.add_block(f"_blocks.{number}", value, side, stride)
    value, _ = graph.convolve("_conv_head", "_bn1", value, side)
    value = graph.add("GlobalAveragePool", [value])
    value = graph.add("Flatten", [value])
    matrix, bias = graph.constant("_fc.weight"), graph.constant("_fc.bias")
    value = graph.add("Gemm", [value, matrix, bias], transB=1)
    graph.add("Softmax", [value], output=OUTPUT, axis=1)
    return graph.finish()


class _Graph:
    """The nodes and constants so far; each method adds some and returns the new value's name."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._channels: dict[str, int] = {}
        self._six = self.constant("six", np.float32(6))
        self._zero = self.constant("zero", np.float32(0))

    def add(self, operator: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any] | np.float32 | None = None) -> str:
        array = np.asarray(self._weights[name] if value is None else value, np.float32)
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def convolve(
        self, name: str, norm: str, value: str, side: int, *, stride: int = 1, activate: bool = True
    ) -> tuple[str, int]:
        """Add a convolution, its normalisation folded in, and ReLU6; return the new side too."""
        weight, bias = self._fold(name, norm)
        kernel = weight.shape[2]
        pads, side_after = same_padding(side, kernel, stride)
        value = self.add(
            "Conv",
            [value, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=pads,
            group=weight.shape[0] if weight.shape[1] == 1 else 1,
        )
        if activate:
            value = self.add("Clip", [value, self._zero, self._six])
        self._channels[value] = weight.shape[0]
        return value, side_after

    def add_block(self, name: str, value: str, side: int, stride: int) -> tuple[str, int]:
        """Add an inverted residual block: expand, filter each channel, project, add the input."""
        expand, filters = f"{name}._expand_conv", f"{name}._depthwise_conv"
        project, inner = f"{name}._project_conv", value
        if f"{expand}.weight" in self._weights:
            inner, _ = self.convolve(expand, f"{name}._bn0", inner, side)
        inner, after = self.convolve(filters, f"{name}._bn1", inner, side, stride=stride)
        inner, after = self.convolve(project, f"{name}._bn2", inner, after, activate=False)
        if stride == 1 and self._channels[inner] == self._channels[value]:
            inner = self.add("Add", [inner, value])
            self._channels[inner] = self._channels[value]
        return inner, after

    def finish(self) -> onnx.ModelProto:
        images = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
        answer = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", CLASSES])
        constants = list(self._constants.values())
        graph = helper.make_graph(
            self._nodes, "efficientnet_lite0", [images], [answer], initializer=constants
        )
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="trihook-densenet")
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model)
        return model

    def _fold(self, name: str, norm: str) -> tuple[NDArray[Any], NDArray[Any]]:
        scale = self._weights[f"{norm}.weight"] / np.sqrt(
            self._weights[f"{norm}.running_var"] + np.float32(_EPSILON)
        )
        weight = self._weights[f"{name}.weight"] * scale[:, np.newaxis, np.newaxis, np.newaxis]
        bias = self._weights[f"{norm}.bias"] - self._weights[f"{norm}.running_mean"] * scale
        return weight, bias


def same_padding(side: int, kernel: int, stride: int) -> tuple[list[int], int]:
    """Return ONNX's pads (top, left, bottom, right) and the side after a "SAME" convolution.

    An odd pixel of padding goes to the bottom and right, as TensorFlow has it.
    """
    after = -(-side // stride)
    total = max((after - 1) * stride + kernel - side, 0)
    before = total // 2
    return [before, before, total - before, total - before], after
