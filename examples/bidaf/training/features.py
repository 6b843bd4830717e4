"""What the model sees of a word, computed here as the graph computes it from its strings."""

from __future__ import annotations

import numpy as np
from trihook_bidaf import alphabet
from trihook_bidaf.lexicon import read_lexicon

FLAGS = 10


class Vocabulary:
    """Numbers the words seen, and keeps what is known of each in growing tables."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self.rows: list[tuple[list[int], list[float], list[int]]] = []
        self._lexicon = read_lexicon()
        self._letters, self._types = alphabet.letters(), alphabet.types()
        self._weights = alphabet.position_weights()
        self.add("")

    def add(self, word: str) -> int:
        """Give the number of a word."""
        if word not in self.index:
            self.index[word] = len(self.rows)
            self.rows.append(self._describe(word))
        return self.index[word]

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give ids int64 [words, 5], flags float32 [words, 10], hashes int64 [words, 4]."""
        ids, flags, hashes = zip(*self.rows, strict=True)
        return np.array(ids, np.int64), np.array(flags, np.float32), np.array(hashes, np.int64)

    def _describe(self, word: str) -> tuple[list[int], list[float], list[int]]:
        cells = list(word[: alphabet.WIDTH])
        n = len(cells)
        letters = [self._letters.get(c, alphabet.OTHER) for c in cells]
        types = [self._types.get(c, alphabet.MARK) for c in cells]
        padded = letters + [0] * (alphabet.WIDTH - n)
        last = [letters[n - k] if n >= k else 0 for k in (1, 2, 3)]
        lower = word.lower()
        ids = [self._lexicon.kinds.get(lower, 0), self._lexicon.groups.get(lower, 0), *last]
        first = types[0] if types else 0
        digits, uppers = types.count(alphabet.DIGIT), types.count(alphabet.UPPER)
        flags = [float(first == t) for t in (1, 2, 3, 4)]
        flags += [
            float(digits == n),
            float(digits > 0),
            float(uppers - (first == alphabet.UPPER) > 0),
            float(digits == n == 4),
            n / alphabet.WIDTH,
            float(n == 1),
        ]
        sums = np.cumsum(np.array(padded, np.int64) * np.array(self._weights, np.int64))
        # words too short for a prefix match nothing by it: not even one another
        hashes = [int(sums[-1])] + [int(sums[k - 1]) if n >= k else 0 for k in (6, 5, 4)]
        return ids, flags, hashes
