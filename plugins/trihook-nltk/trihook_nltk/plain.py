"""The quick way through sentences of plain words, which NLTK's rules only split at marks.

NLTK's tokenizer runs some 25 regular expressions over every sentence. Most sentences hold only
letters, digits and a comma here and there; what the rules make of those is known beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# letters and digits, with single hyphens and full stops inside, and commas inside numbers
_WORD = r"[^\W_](?:[^\W_]|[-.](?=[^\W_])|,(?=[0-9]))*"
_CHUNK = re.compile(rf"({_WORD}\.?)([,;:?!]?)")
_PLAIN = re.compile(rf"(?:{_CHUNK.pattern}\s+)*{_CHUNK.pattern}")
_CONTRACTED = re.compile(r"\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b", re.IGNORECASE)


def is_plain(sentence: str) -> bool:
    """Say whether :func:`plain_spans` knows what NLTK would make of a sentence."""
    return bool(_PLAIN.fullmatch(sentence)) and not _CONTRACTED.search(sentence)


def plain_spans(sentence: str) -> Iterator[tuple[int, int]]:
    """Give the start and end of each word and mark of a plain sentence, in order.

    Marks stand alone, and so does the sentence's last full stop, but not those before.
    """
    for chunk in _CHUNK.finditer(sentence):
        start, end = chunk.span(1)
        if chunk.end() == end == len(sentence) and sentence[end - 1] == ".":
            yield start, end - 1
            yield end - 1, end
        else:
            yield start, end
            if chunk.end() > end:
                yield end, chunk.end()
