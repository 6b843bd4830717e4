"""Words as NLTK's word tokenizer cuts them, each at its place in the text as written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from trihook_nltk.engine import destructive
from trihook_nltk.plain import plain_spans
from trihook_nltk.sentences import split_sentences

_tokenizer = destructive.NLTKWordTokenizer()


class Token(NamedTuple):
    """A word, number or mark, and where it stands: ``text[start:end]``, in characters."""

    text: str
    start: int
    end: int


def tokenize(text: str, language: str = "english") -> tuple[Token, ...]:
    """Cut a text into words, in order, leaving out only white space.

    ``text[token.start:token.end] == token.text`` holds for every token: quotation marks stay as
    they are written, where NLTK's ``word_tokenize`` makes them `````` and ``''``. ``language``
    decides where sentences end, and so which full stops stand alone; the words themselves are
    cut by the rules for English. Raises ``ValueError`` for an unknown language.
    """
    tokens: list[Token] = []
    for start, end in split_sentences(text, language):
        sentence = text[start:end]
        spans = plain_spans(sentence)
        tokens += [Token(sentence[at:to], start + at, start + to) for at, to in spans]
        if not spans:
            tokens += _align(_tokenizer.tokenize(sentence), text, start, end)
    return tuple(tokens)


def _align(words: Iterable[str], text: str, start: int, end: int) -> Iterator[Token]:
    """Find each word again in ``text[start:end]``.

    The tokenizer only moves white space and rewrites a double quote to two characters, so that
    lengths alone tell where each word ends.
    """
    for word in words:
        while start < end and text[start].isspace():
            start += 1
        rewritten = word in {"``", "''"} and text.startswith('"', start)
        stop = min(start + (1 if rewritten else len(word)), end)
        yield Token(text[start:stop], start, stop)
        start = stop
