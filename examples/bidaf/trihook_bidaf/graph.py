"""The stand-in model as an ONNX graph, from strings to the first and last word of the answer.

The graph numbers words and characters, compares the words of the question with those of the
context by their spelling and by the lexicon, and scores every span of up to 20 words with a small
trained network. Shapes: c words of context, q of question, of which the first 64 are read.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper

from trihook_bidaf import alphabet
from trihook_bidaf.encoding import Encoder, Words
from trihook_bidaf.layers import Layers, Weights
from trihook_bidaf.lexicon import read_lexicon
from trihook_bidaf.nodes import Graph
from trihook_bidaf.sizes import DILATIONS, QUESTION, REACH, SENTENCE_ENDS, SPAN

_FAR = -1e9


def build_graph(weights: Weights) -> ModelProto:
    """Build the model; the same weights give the same bytes."""
    return _Builder(weights).build()


class _Builder:
    """Adds the network, from two encoded texts to two positions."""

    def __init__(self, weights: Weights) -> None:
        self.graph = Graph()
        self.layers = Layers(self.graph, weights)
        self.lexicon = read_lexicon()

    def build(self) -> ModelProto:
        encoder = Encoder(self.layers, self.lexicon)
        context, query = encoder.encode("context"), encoder.encode("query", QUESTION)
        scores = self._scores(context, query)
        self._answer(scores)
        strings = [
            helper.make_tensor_value_info(f"{name}_{part}", TensorProto.STRING, [size, *rest])
            for name, size in (("context", "c"), ("query", "q"))
            for part, rest in (("word", [1]), ("char", [1, 1, alphabet.WIDTH]))
        ]
        positions = [
            helper.make_tensor_value_info(name, TensorProto.INT32, [1])
            for name in ("start_pos", "end_pos")
        ]
        return self.graph.model("bidaf_stand_in", strings, positions)

    def _scores(self, context: Words, query: Words) -> str:
        """Score spans, [c, 20]: by their first word, and how many words more they have."""
        g = self.graph
        hc = self.layers.near("context0", context.embedded)
        hq = self.layers.near("query0", query.embedded)
        hq = g.add("Add", hq, self.layers.near("query1", hq))
        matches = self._matches(context, query)
        weight = self._importance(hq, matches)
        like = g.add("Mul", matches, g.add("Sigmoid", self.layers.weight("likeness")))
        weighted = g.add("Mul", g.highest(like, 2), weight)
        pooled = g.add("Softmax", self.layers.linear("pool", hq), axis=0)
        question = g.total(g.add("Mul", pooled, hq), 0, keep=True)
        evidence = self._evidence(context.kinds, matches, weighted, weight)
        attended = self._attended(hc, hq, weighted)
        h = self.layers.linear("merge", g.add("Concat", hc, attended, evidence, axis=1))
        for number, dilation in enumerate(DILATIONS):
            h = self._block(f"blocks.{number}", dilation, h, question)
        return self._spans(h, question)

    def _matches(self, context: Words, query: Words) -> str:
        """Compare words, [c, q, 5]: whole, first 6, 5 and 4 letters, and group."""
        g = self.graph
        left = g.add("Unsqueeze", context.hashes, g.integers(1))
        right = g.add("Unsqueeze", query.hashes, g.integers(0))
        same = g.add("And", g.add("Equal", left, right), g.add("Greater", left, g.integers(0)))
        left, right = g.shaped(context.groups, -1, 1, 1), g.shaped(query.groups, 1, -1, 1)
        alike = g.add("And", g.add("Equal", left, right), g.add("Greater", left, g.integers(0)))
        return g.add("Concat", g.cast(same), g.cast(alike), axis=2)

    def _importance(self, hq: str, matches: str) -> str:
        """Weigh the words of the question, [q], by what they are and how often they are found."""
        g = self.graph
        counts = [g.total(g.at(matches, 0, 2), 0), g.total(g.highest(matches, 2), 0)]
        logs = [g.shaped(g.add("Log", g.add("Add", n, g.constant(1))), -1, 1) for n in counts]
        found = self.layers.linear("weight", g.add("Concat", hq, *logs, axis=1))
        return g.shaped(g.add("Sigmoid", found), -1)

    def _evidence(self, kinds: str, matches: str, weighted: str, weight: str) -> str:
        """Tell how much of the question is found at, around and near each word, [c, 8]."""
        g = self.graph
        total = g.add("Add", g.total(weight, 0), g.constant(1e-3))
        inside, before = self._by_sentence(kinds, weighted)
        either = g.add("Max", inside, g.add("Mul", before, g.constant(0.5)))
        row = g.add("Unsqueeze", g.add("Transpose", weighted, perm=[1, 0]), g.integers(0))
        around = g.add("MaxPool", row, kernel_shape=[2 * REACH + 1], pads=[REACH, REACH])
        exact = g.add("Mul", g.at(matches, 0, 2), weight)
        columns = [g.highest(weighted, 1), g.total(weighted, 1), g.highest(exact, 1)]
        columns += [g.add("Div", g.total(part, 1), total) for part in (inside, before, either)]
        columns += [g.add("Div", g.total(g.at(around, 0, 0), 0), total), g.total(inside, 1)]
        return g.add("Concat", *(g.shaped(column, -1, 1) for column in columns), axis=1)

    def _by_sentence(self, kinds: str, weighted: str) -> tuple[str, str]:
        """Sum matches over the sentence of each word, and over the one before, [c, q] each."""
        g = self.graph
        first, *others = (self.lexicon.names.index(name) + 1 for name in SENTENCE_ENDS)
        ends = g.equals(kinds, first)
        for kind in others:
            ends = g.add("Add", ends, g.equals(kinds, kind))
        number = g.add("CumSum", ends, g.constant(0, np.int64), exclusive=1)
        # row 0 stays empty: it is what comes before the first sentence
        place = g.add("Add", number, g.integers(1))
        empty = g.add("Pad", g.add("Mul", weighted, g.constant(0)), g.integers(1, 0, 0, 0))
        sums = g.add("ScatterND", empty, g.shaped(place, -1, 1), weighted, reduction="add")
        most = g.highest(weighted, 0, keep=True)
        inside, before = (g.add("Gather", sums, rows, axis=0) for rows in (place, number))
        return g.add("Min", inside, most), g.add("Min", before, most)

    def _attended(self, hc: str, hq: str, weighted: str) -> str:
        g = self.graph
        size = self.layers.weights["attend.weight"].shape[0]
        turned = g.add("MatMul", hc, self.layers.turned("attend.weight"))
        product = g.add("MatMul", turned, g.add("Transpose", hq, perm=[1, 0]))
        product = g.add("Div", product, g.constant(size**0.5))
        logits = g.add("Add", product, g.add("Mul", weighted, self.layers.weight("attend_match")))
        # a word may attend to no word of the question: a column of zeros stands for that
        padded = g.add("Pad", logits, g.integers(0, 1, 0, 0))
        share = g.add("Softmax", padded, axis=1)
        last = g.integers(np.iinfo(np.int64).max)
        kept = g.add("Slice", share, g.integers(1), last, g.integers(1))
        return g.add("MatMul", kept, hq)

    def _block(self, name: str, dilation: int, h: str, question: str) -> str:
        g = self.graph
        norm = [self.layers.weight(f"{name}.norm.{part}") for part in ("weight", "bias")]
        y = g.add("LayerNormalization", h, *norm, epsilon=1e-5)
        y = self.layers.conv(f"{name}.mix", y, dilation)
        scale = g.add("Add", self.layers.linear(f"{name}.scale", question), g.constant(1))
        y = g.add("Add", g.add("Mul", y, scale), self.layers.linear(f"{name}.shift", question))
        both = self.layers.linear(f"{name}.up", y)
        size = self.layers.weights[f"{name}.norm.weight"].shape[0]
        value, gate = (
            g.add("Slice", both, g.integers(at), g.integers(at + size), g.integers(1))
            for at in (0, size)
        )
        y = g.add("Mul", value, g.add("Sigmoid", gate))
        return g.add("Add", h, self.layers.linear(f"{name}.down", y))

    def _spans(self, h: str, question: str) -> str:
        g = self.graph
        rank = self.layers.weights["first.weight"].shape[0]
        end = self.layers.linear("end", h)
        end = g.add("Pad", end, g.integers(0, 0, SPAN - 1, 0), g.constant(_FAR))
        lasts = g.add("MatMul", h, self.layers.turned("last.weight"))
        lasts = g.add("Pad", lasts, g.integers(0, 0, SPAN - 1, 0))
        start = self.layers.linear("start", h)
        count = g.add("Squeeze", g.add("Shape", h, end=1), g.integers(0))
        rows = g.add("Range", g.constant(0, np.int64), count, g.constant(1, np.int64))
        index = g.add("Add", g.shaped(rows, -1, 1), g.integers(*range(SPAN)))
        end = g.shaped(g.add("Gather", end, index, axis=0), -1, SPAN)
        last = g.add("Transpose", g.add("Gather", lasts, index, axis=0), perm=[0, 2, 1])
        first = g.add("MatMul", h, self.layers.turned("first.weight"))
        first = g.add("Unsqueeze", first, g.integers(1))
        pair = g.shaped(g.add("MatMul", first, last), -1, SPAN)
        pair = g.add("Div", pair, g.constant(rank**0.5))
        score = g.add("Add", g.add("Add", start, end), pair)
        return g.add("Add", score, self.layers.linear("length", question))

    def _answer(self, scores: str) -> None:
        g = self.graph
        best = g.add("ArgMax", g.shaped(scores, -1), axis=0, keepdims=1)
        start = g.add("Div", best, g.integers(SPAN))
        end = g.add("Add", start, g.add("Mod", best, g.integers(SPAN)))
        for value, name in ((start, "start_pos"), (end, "end_pos")):
            g.rename(g.cast(value, np.int32), name)
