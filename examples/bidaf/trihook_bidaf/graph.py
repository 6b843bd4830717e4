"""The stand-in model as an ONNX graph, from strings to the first and last word of the answer.

The graph numbers words and characters by ``CategoryMapper``, compares the words of the question
with those of the context by their spelling and by the lexicon, and scores every span of up to 20
words with a small trained network. Shapes: c words of context, q of question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, helper

from trihook_bidaf import alphabet
from trihook_bidaf.lexicon import Lexicon, read_lexicon
from trihook_bidaf.nodes import Graph

SPAN = 20
_DILATIONS = (1, 2, 4, 8, 1)
_REACH = 5
_FAR = -1e9
_ENDS = ("full_stop", "question_mark", "exclamation_mark")

Weights = Mapping[str, "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]


@dataclass(frozen=True)
class _Words:
    """What is known of n words: kinds and groups [n], the rest [n, width]."""

    kinds: str
    groups: str
    hashes: str
    embedded: str


def build_graph(weights: Weights) -> ModelProto:
    """Build the model; the same weights give the same bytes."""
    return _Builder(weights).build()


class _Builder:
    """Adds the layers of the network, named as in the weights."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.graph = Graph()
        self.lexicon: Lexicon = read_lexicon()

    def build(self) -> ModelProto:
        context, query = self._words("context"), self._words("query")
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

    # -- words ------------------------------------------------------------------------------

    def _words(self, name: str) -> _Words:
        g = self.graph
        words = g.shaped(f"{name}_word", -1)
        cells = g.shaped(f"{name}_char", -1, alphabet.WIDTH)
        kinds = g.categories(words, self.lexicon.kinds, 0)
        groups = g.categories(words, self.lexicon.groups, 0)
        letters = g.categories(cells, alphabet.letters(), alphabet.OTHER)
        types = g.categories(cells, alphabet.types(), alphabet.MARK)
        length = g.total(g.cast(g.add("Greater", types, g.integers(0)), np.int64), 1, keep=True)
        embedded = self._embed(kinds, letters, length, self._flags(types, length))
        return _Words(kinds, groups, self._hashes(letters, length), embedded)

    def _flags(self, types: str, length: str) -> str:
        """Describe the shape of words, [n, 10]: its columns are those of the training."""
        g = self.graph
        first = g.add("Slice", types, g.integers(0), g.integers(1), g.integers(1))
        digits = self._count(types, alphabet.DIGIT)
        later = g.add("Sub", self._count(types, alphabet.UPPER), self._equal(first, alphabet.UPPER))
        whole = g.add("Equal", digits, length)
        year = g.add("And", whole, g.add("Equal", length, g.integers(4)))
        columns = [
            self._equal(first, kind)
            for kind in (alphabet.UPPER, alphabet.LOWER, alphabet.DIGIT, alphabet.MARK)
        ]
        columns += [whole, *(g.add("Greater", n, g.integers(0)) for n in (digits, later)), year]
        size = g.add("Div", g.cast(length), g.constant(alphabet.WIDTH))
        flags = [*map(g.cast, columns), size, g.cast(self._equal(length, 1))]
        return g.add("Concat", *flags, axis=1)

    def _equal(self, value: str, number: int) -> str:
        same = self.graph.add("Equal", value, self.graph.integers(number))
        return self.graph.cast(same, np.int64)

    def _count(self, types: str, kind: int) -> str:
        return self.graph.total(self._equal(types, kind), 1, keep=True)

    def _hashes(self, letters: str, length: str) -> str:
        """Number the whole word and its first 6, 5 and 4 letters, [n, 4]; 0 where too short."""
        g = self.graph
        products = g.add("Mul", letters, g.integers(*alphabet.position_weights()))
        sums = g.add("CumSum", products, g.constant(1, np.int64))
        chosen = g.add("Gather", sums, g.integers(alphabet.WIDTH - 1, 5, 4, 3), axis=1)
        enough = g.add("GreaterOrEqual", length, g.integers(0, 6, 5, 4))
        return g.add("Mul", chosen, g.cast(enough, np.int64))

    def _embed(self, kinds: str, letters: str, length: str, flags: str) -> str:
        g = self.graph
        x = g.add("Gather", self._weight("words.kind.weight"), kinds, axis=0)
        x = g.add("Add", x, self._linear("words.flags", flags))
        padded = g.add("Pad", letters, g.integers(0, 3, 0, 0), g.constant(0, np.int64))
        for k in range(3):
            place = g.add("Add", length, g.integers(2 - k))
            letter = g.shaped(g.add("GatherElements", padded, place, axis=1), -1)
            table = self._weight(f"words.last.{k}.weight")
            x = g.add("Add", x, g.add("Gather", table, letter, axis=0))
        return x

    # -- the network ------------------------------------------------------------------------

    def _scores(self, context: _Words, query: _Words) -> str:
        """Score spans, [c, 20]: by their first word, and how many words more they have."""
        g = self.graph
        hc = self._near("context0", context.embedded)
        hq = self._near("query0", query.embedded)
        hq = g.add("Add", hq, self._near("query1", hq))
        matches = self._matches(context, query)
        weight = self._importance(hq, matches)
        like = g.add("Mul", matches, g.add("Sigmoid", self._weight("likeness")))
        weighted = g.add("Mul", g.highest(like, 2), weight)
        pooled = g.add("Softmax", self._linear("pool", hq), axis=0)
        question = g.total(g.add("Mul", pooled, hq), 0, keep=True)
        evidence = self._evidence(context.kinds, matches, weighted, weight)
        attended = self._attended(hc, hq, weighted)
        h = self._linear("merge", g.add("Concat", hc, attended, evidence, axis=1))
        for number, dilation in enumerate(_DILATIONS):
            h = self._block(f"blocks.{number}", dilation, h, question)
        return self._spans(h, question)

    def _matches(self, context: _Words, query: _Words) -> str:
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
        found = self._linear("weight", g.add("Concat", hq, *logs, axis=1))
        return g.shaped(g.add("Sigmoid", found), -1)

    def _evidence(self, kinds: str, matches: str, weighted: str, weight: str) -> str:
        """Tell how much of the question is found at, around and near each word, [c, 8]."""
        g = self.graph
        total = g.add("Add", g.total(weight, 0), g.constant(1e-3))
        inside, before = self._by_sentence(kinds, weighted)
        either = g.add("Max", inside, g.add("Mul", before, g.constant(0.5)))
        row = g.add("Unsqueeze", g.add("Transpose", weighted, perm=[1, 0]), g.integers(0))
        around = g.add("MaxPool", row, kernel_shape=[2 * _REACH + 1], pads=[_REACH, _REACH])
        exact = g.add("Mul", g.at(matches, 0, 2), weight)
        columns = [g.highest(weighted, 1), g.total(weighted, 1), g.highest(exact, 1)]
        columns += [g.add("Div", g.total(part, 1), total) for part in (inside, before, either)]
        columns += [g.add("Div", g.total(g.at(around, 0, 0), 0), total), g.total(inside, 1)]
        return g.add("Concat", *(g.shaped(column, -1, 1) for column in columns), axis=1)

    def _by_sentence(self, kinds: str, weighted: str) -> tuple[str, str]:
        """Sum matches over the sentence of each word, and over the one before, [c, q] each."""
        g = self.graph
        first, *others = (self.lexicon.names.index(name) + 1 for name in _ENDS)
        ends = self._equal(kinds, first)
        for kind in others:
            ends = g.add("Add", ends, self._equal(kinds, kind))
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
        size = self.weights["attend.weight"].shape[0]
        turned = g.add("MatMul", hc, self._turned("attend.weight"))
        product = g.add("MatMul", turned, g.add("Transpose", hq, perm=[1, 0]))
        product = g.add("Div", product, g.constant(size**0.5))
        logits = g.add("Add", product, g.add("Mul", weighted, self._weight("attend_match")))
        # a word may attend to no word of the question: a column of zeros stands for that
        padded = g.add("Pad", logits, g.integers(0, 1, 0, 0))
        share = g.add("Softmax", padded, axis=1)
        far = g.constant(np.iinfo(np.int64).max, np.int64)
        kept = g.add("Slice", share, g.integers(1), g.shaped(far, 1), g.integers(1))
        return g.add("MatMul", kept, hq)

    def _block(self, name: str, dilation: int, h: str, question: str) -> str:
        g = self.graph
        norm = [self._weight(f"{name}.norm.{part}") for part in ("weight", "bias")]
        y = g.add("LayerNormalization", h, *norm, epsilon=1e-5)
        y = self._conv(f"{name}.mix", y, dilation)
        scale = g.add("Add", self._linear(f"{name}.scale", question), g.constant(1))
        y = g.add("Add", g.add("Mul", y, scale), self._linear(f"{name}.shift", question))
        both = self._linear(f"{name}.up", y)
        size = self.weights[f"{name}.norm.weight"].shape[0]
        value, gate = (
            g.add("Slice", both, g.integers(at), g.integers(at + size), g.integers(1))
            for at in (0, size)
        )
        y = g.add("Mul", value, g.add("Sigmoid", gate))
        return g.add("Add", h, self._linear(f"{name}.down", y))

    def _spans(self, h: str, question: str) -> str:
        g = self.graph
        rank = self.weights["first.weight"].shape[0]
        ends = g.add("Pad", self._linear("end", h), g.integers(0, 0, SPAN - 1, 0), g.constant(_FAR))
        lasts = g.add("MatMul", h, self._turned("last.weight"))
        lasts = g.add("Pad", lasts, g.integers(0, 0, SPAN - 1, 0))
        start = self._linear("start", h)
        count = g.add("Squeeze", g.add("Shape", h, end=1), g.integers(0))
        rows = g.add("Range", g.constant(0, np.int64), count, g.constant(1, np.int64))
        index = g.add("Add", g.shaped(rows, -1, 1), g.integers(*range(SPAN)))
        end = g.shaped(g.add("Gather", ends, index, axis=0), -1, SPAN)
        last = g.add("Transpose", g.add("Gather", lasts, index, axis=0), perm=[0, 2, 1])
        first = g.add("Unsqueeze", g.add("MatMul", h, self._turned("first.weight")), g.integers(1))
        pair = g.shaped(g.add("MatMul", first, last), -1, SPAN)
        pair = g.add("Div", pair, g.constant(rank**0.5))
        score = g.add("Add", g.add("Add", start, end), pair)
        return g.add("Add", score, self._linear("length", question))

    def _answer(self, scores: str) -> None:
        g = self.graph
        best = g.add("ArgMax", g.shaped(scores, -1), axis=0, keepdims=1)
        start = g.add("Div", best, g.integers(SPAN))
        end = g.add("Add", start, g.add("Mod", best, g.integers(SPAN)))
        for value, name in ((start, "start_pos"), (end, "end_pos")):
            g.rename(g.cast(value, np.int32), name)

    # -- layers -----------------------------------------------------------------------------

    def _weight(self, name: str) -> str:
        return self.graph.constant(self.weights[name])

    def _turned(self, name: str) -> str:
        return self.graph.constant(self.weights[name].T)

    def _linear(self, name: str, x: str) -> str:
        product = self.graph.add("MatMul", x, self._turned(f"{name}.weight"))
        return self.graph.add("Add", product, self._weight(f"{name}.bias"))

    def _near(self, name: str, x: str) -> str:
        return self.graph.add("Relu", self._conv(name, x, 1))

    def _conv(self, name: str, x: str, dilation: int) -> str:
        """Convolve rows [n, channels] along n, keeping their number."""
        g = self.graph
        kernel = self.weights[f"{name}.weight"]
        reach = dilation * (kernel.shape[2] // 2)
        channels = g.add("Unsqueeze", g.add("Transpose", x, perm=[1, 0]), g.integers(0))
        weights = [self._weight(f"{name}.{part}") for part in ("weight", "bias")]
        y = g.add(
            "Conv",
            channels,
            *weights,
            dilations=[dilation],
            pads=[reach, reach],
            group=kernel.shape[0] // kernel.shape[1],
        )
        return g.add("Transpose", g.at(y, 0, 0), perm=[1, 0])
