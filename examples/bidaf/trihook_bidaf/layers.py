"""The layers of the network, as nodes of a graph; names are those of the weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trihook_bidaf.nodes import Graph

Weights = Mapping[str, "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]


class Layers:
    """Adds layers to a graph, each with its weights."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.graph = graph
        self.weights = weights

    def weight(self, name: str) -> str:
        """Add a weight as a constant."""
        return self.graph.constant(self.weights[name])

    def turned(self, name: str) -> str:
        """Add a matrix of weights, transposed."""
        return self.graph.constant(self.weights[name].T)

    def linear(self, name: str, x: str) -> str:
        """Map rows [n, inputs] to [n, outputs]."""
        product = self.graph.add("MatMul", x, self.turned(f"{name}.weight"))
        return self.graph.add("Add", product, self.weight(f"{name}.bias"))

    def near(self, name: str, x: str) -> str:
        """Mix each row with its neighbours, and keep what is above 0."""
        return self.graph.add("Relu", self.conv(name, x, 1))

    def conv(self, name: str, x: str, dilation: int) -> str:
        """Convolve rows [n, channels] along n, keeping their number."""
        g = self.graph
        kernel = self.weights[f"{name}.weight"]
        reach = dilation * (kernel.shape[2] // 2)
        channels = g.add("Unsqueeze", g.add("Transpose", x, perm=[1, 0]), g.integers(0))
        weights = [self.weight(f"{name}.{part}") for part in ("weight", "bias")]
        y = g.add(
            "Conv",
            channels,
            *weights,
            dilations=[dilation],
            pads=[reach, reach],
            group=kernel.shape[0] // kernel.shape[1],
        )
        return g.add("Transpose", g.at(y, 0, 0), perm=[1, 0])
