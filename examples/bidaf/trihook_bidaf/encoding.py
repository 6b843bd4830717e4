"""From strings to numbers: what the network sees of each word, as nodes of the graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trihook_bidaf import alphabet
from trihook_bidaf.layers import Layers
from trihook_bidaf.lexicon import Lexicon


@dataclass(frozen=True)
class Words:
    """What is known of n words: kinds and groups [n], the rest [n, width]."""

    kinds: str
    groups: str
    hashes: str
    embedded: str


class Encoder:
    """Adds the nodes that number words and characters by ``CategoryMapper``, and describe them."""

    def __init__(self, layers: Layers, lexicon: Lexicon) -> None:
        self.layers = layers
        self.graph = layers.graph
        self.lexicon = lexicon

    def encode(self, name: str, most: int | None = None) -> Words:
        """Encode ``<name>_word`` and ``<name>_char``: all words, or the first ``most``."""
        g = self.graph
        words = g.shaped(f"{name}_word", -1)
        cells = g.shaped(f"{name}_char", -1, alphabet.WIDTH)
        if most is not None:
            words, cells = g.first(words, most), g.first(cells, most)
        kinds = g.categories(words, self.lexicon.kinds, 0)
        groups = g.categories(words, self.lexicon.groups, 0)
        letters = g.categories(cells, alphabet.letters(), alphabet.OTHER)
        types = g.categories(cells, alphabet.types(), alphabet.MARK)
        length = g.total(g.cast(g.add("Greater", types, g.integers(0)), np.int64), 1, keep=True)
        embedded = self._embed(kinds, letters, length, self._flags(types, length))
        return Words(kinds, groups, self._hashes(letters, length), embedded)

    def _flags(self, types: str, length: str) -> str:
        """Describe the shape of words, [n, 10]: its columns are those of the training."""
        g = self.graph
        first = g.add("Slice", types, g.integers(0), g.integers(1), g.integers(1))
        digits = self._count(types, alphabet.DIGIT)
        later = g.add("Sub", self._count(types, alphabet.UPPER), g.equals(first, alphabet.UPPER))
        whole = g.add("Equal", digits, length)
        year = g.add("And", whole, g.add("Equal", length, g.integers(4)))
        columns = [
            g.equals(first, kind)
            for kind in (alphabet.UPPER, alphabet.LOWER, alphabet.DIGIT, alphabet.MARK)
        ]
        columns += [whole, *(g.add("Greater", n, g.integers(0)) for n in (digits, later)), year]
        size = g.add("Div", g.cast(length), g.constant(alphabet.WIDTH))
        flags = [*map(g.cast, columns), size, g.cast(g.equals(length, 1))]
        return g.add("Concat", *flags, axis=1)

    def _count(self, types: str, kind: int) -> str:
        return self.graph.total(self.graph.equals(types, kind), 1, keep=True)

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
        x = g.add("Gather", self.layers.weight("words.kind.weight"), kinds, axis=0)
        x = g.add("Add", x, self.layers.linear("words.flags", flags))
        padded = g.add("Pad", letters, g.integers(0, 3, 0, 0), g.constant(0, np.int64))
        for k in range(3):
            place = g.add("Add", length, g.integers(2 - k))
            letter = g.shaped(g.add("GatherElements", padded, place, axis=1), -1)
            table = self.layers.weight(f"words.last.{k}.weight")
            x = g.add("Add", x, g.add("Gather", table, letter, axis=0))
        return x
