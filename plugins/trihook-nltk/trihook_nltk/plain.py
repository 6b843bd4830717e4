"""The quick way through sentences of plain words, which NLTK's rules only split at marks.

NLTK's tokenizer runs some 25 regular expressions over every sentence. Most sentences hold only
letters, digits and a comma here and there; what the rules make of those is known beforehand.
"""

from __future__ import annotations

import re

# letters and digits, with single hyphens and full stops inside, and commas inside numbers
_WORD = r"[^\W_](?:[^\W_]|[-.](?=[^\W_])|,(?=[0-9]))*"
# the last dot takes what begins no chunk: nothing is looked for further on, from letter to letter
_CHUNK = re.compile(rf"({_WORD}\.?)([,;:?!]?)(?:\s+(?!\Z)|\Z)|.", re.DOTALL)
_CONTRACTED = re.compile(r"\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b", re.IGNORECASE)


def plain_spans(sentence: str) -> list[tuple[int, int]]:
    """List the start and end of each word and mark of a plain sentence, in order.

    Marks stand alone, and so does the sentence's last full stop, but not those before. Empty for
    a sentence that is not plain: only NLTK knows what its rules make of that.
    """
    spans: list[tuple[int, int]] = []
    length, reached = len(sentence), 0
    for chunk in _CHUNK.finditer(sentence):
        start, end = chunk.span(1)
        if start != reached:
            return []
        reached, stop = chunk.end(), chunk.end(2)
        if stop == end == length and sentence[end - 1] == ".":
            end -= 1
        spans.append((start, end))
        if stop > end:
            spans.append((end, stop))
    return spans if reached == length and not _CONTRACTED.search(sentence) else []
