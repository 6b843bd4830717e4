"""How right an answer is, as SQuAD counts it: exact matches, and F1 of the words shared.

Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_ARTICLES = {"a", "an", "the"}


def rate(answer: str, accepted: Iterable[str]) -> tuple[float, float]:
    """Give (exact match, F1) of an answer against the best of those accepted, 0 to 1.

    Case, punctuation and articles do not count.
    """
    found = _words(answer)
    wanted = [_words(one) for one in accepted]
    return float(found in wanted), max(_f1(found, one) for one in wanted)


def _words(answer: str) -> list[str]:
    words = re.sub(r"[^\w\s]", "", answer.lower()).split()
    return [word for word in words if word not in _ARTICLES]


def _f1(left: list[str], right: list[str]) -> float:
    shared = (Counter(left) & Counter(right)).total()
    return 2 * shared / (len(left) + len(right)) if shared else 0.0
