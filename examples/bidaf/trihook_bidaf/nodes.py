"""A graph under construction: nodes are added by calls, and constants are shared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

_ML = "ai.onnx.ml"


class Graph:
    """Nodes and constants in the order they were added; names are numbered, so always the same."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[TensorProto] = []

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return that output's name."""
        output = f"{op.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def rename(self, value: str, name: str) -> None:
        """Give a value the name of one of the graph's outputs."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))

    def categories(self, strings: str, table: dict[str, int], other: int) -> str:
        """Number strings by a table; those that are not in it get ``other``."""
        return self.add(
            "CategoryMapper",
            strings,
            domain=_ML,
            cats_strings=list(table),
            cats_int64s=list(table.values()),
            default_int64=other,
        )

    def constant(self, value: ArrayLike, dtype: type = np.float32) -> str:
        """Add a constant, unless the same one is there already, and return its name."""
        array: np.ndarray[Any, Any] = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._initializers)}"
            self._initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def integers(self, *values: int) -> str:
        """Add a constant list of int64."""
        return self.constant(values, np.int64)

    def cast(self, value: str, dtype: type = np.float32) -> str:
        """Convert a value to another type."""
        return self.add("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def equals(self, value: str, number: int) -> str:
        """Tell where integers are a number, as int64 0 or 1."""
        return self.cast(self.add("Equal", value, self.integers(number)), np.int64)

    def shaped(self, value: str, *shape: int) -> str:
        """Reshape a value; one size may be -1."""
        return self.add("Reshape", value, self.integers(*shape))

    def at(self, value: str, index: int, axis: int) -> str:
        """Take one slice of a value, and drop its axis."""
        return self.add("Gather", value, self.constant(index, np.int64), axis=axis)

    def first(self, value: str, count: int) -> str:
        """Take the first rows of a value, all of them where there are fewer."""
        return self.add("Slice", value, self.integers(0), self.integers(count), self.integers(0))

    def total(self, value: str, axis: int, *, keep: bool = False) -> str:
        """Sum over an axis."""
        return self.add("ReduceSum", value, self.integers(axis), keepdims=int(keep))

    def highest(self, value: str, axis: int, *, keep: bool = False) -> str:
        """Take the maximum over an axis."""
        return self.add("ReduceMax", value, self.integers(axis), keepdims=int(keep))

    def model(
        self, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]
    ) -> ModelProto:
        """Close the graph and return it as a checked model."""
        graph = helper.make_graph(self._nodes, name, inputs, outputs, self._initializers)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(_ML, 3)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)
