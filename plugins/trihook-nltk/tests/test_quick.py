"""Only texts that are quickly cut are cut where everybody else waits."""

import pytest
from trihook import Item, Model, TensorSpec
from trihook.marks import marks_of
from trihook.testing import make_request
from trihook_nltk import hooks, sentences, tokenize

WORDS = tuple(TensorSpec(f"{name}_word", "BYTES", (-1, 1)) for name in ("context", "query"))
MODEL = Model("m", "1", WORDS, outputs=())
QUESTION = {"context": "The bridge, built in 1872, is long. It leaks.", "query": "Is it long?"}


def is_quick(*items):
    return marks_of(hooks.preprocess).quick_for(make_request(*items))


def test_a_question_about_a_few_plain_sentences_is_quick():
    tokenize("The first text of all.")
    assert is_quick(Item(QUESTION))
    assert is_quick(Item(b"It is long. It leaks.", "text/plain"))


@pytest.mark.parametrize(
    "items",
    [
        [Item({"text": "! " * 20})],
        [Item({"text": "'a. " * 20})],
        [Item({"text": "日。" * 20})],
        [Item({"text": "],1" * 20})],
        [Item(b"! " * 20, "text/plain")],
        [Item(b"\xff" * 20, "text/plain")],
        [Item({"text": "gonna"}, index=index) for index in range(20)],
        [Item({f"f{index}": "gonna" for index in range(20)})],
        [Item({"text": {"text": "! " * 20}})],
    ],
)
def test_what_may_be_cut_into_many_sentences_or_marks_is_not_quick_however_short(items):
    tokenize("The first text of all.")
    assert not is_quick(*items)


def test_the_first_question_which_reads_punkts_files_is_not_quick():
    sentences._splitter.cache_clear()
    assert not is_quick(Item(QUESTION))
    hooks.preprocess(item=Item(QUESTION), model=MODEL)
    assert is_quick(Item(QUESTION))
