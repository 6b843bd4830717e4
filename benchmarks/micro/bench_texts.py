"""A text on its way to the tensors of a model of words."""

from __future__ import annotations

from itertools import cycle, islice

import pytest
from trihook import Item
from trihook.testing import make_model
from trihook_bench.questions import QUESTIONS
from trihook_nltk import hooks, tokenize
from trihook_nltk.engine import destructive
from trihook_nltk.sentences import split_sentences

from micro.measuring import Measure, Table, check

TABLE = Table(
    "Texts",
    "trihook-nltk: a text of plain sentences to words with their offsets, and on to the tensors "
    "of words and of 16 characters each. NLTK's tokenizer gives words only, sentence by sentence.",
)
MODEL = make_model(
    inputs=["text_word BYTES [?, 1]", "text_char BYTES [?, 16]"], outputs=["y FP32 [1]"]
)
WORDS = " ".join(dict(QUESTIONS)).split()
lengths = pytest.mark.parametrize("count", [20, 200])
TOKENIZER = destructive.NLTKWordTokenizer()


def write(count: int) -> str:
    """Return a text of so many words between spaces."""
    return " ".join(islice(cycle(WORDS), count))


@lengths
def bench_nltk(measure: Measure, count: int) -> None:
    """Measure NLTK's own tokenizer."""
    text = write(count)

    def cut() -> list[str]:
        spans = split_sentences(text, "english")
        return [word for start, end in spans for word in TOKENIZER.tokenize(text[start:end])]

    check(len(measure(TABLE, f"{count} words", "NLTK, words only", cut)) >= count)


@lengths
def bench_tokenize(measure: Measure, count: int) -> None:
    """Measure the tokenizer."""
    tokens = measure(TABLE, f"{count} words", "`tokenize`", tokenize, write(count))
    check(len(tokens) >= count)


@lengths
def bench_preprocess(measure: Measure, count: int) -> None:
    """Measure the plugin's hook."""
    item = Item({"text": write(count)})
    tensors = measure(
        TABLE, f"{count} words", "the whole `preprocess`", hooks.preprocess, item, MODEL
    )
    check(len(tensors["text_char"]) >= count)
