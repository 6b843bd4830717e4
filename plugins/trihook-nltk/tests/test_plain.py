"""The quick way gives exactly what NLTK's rules give."""

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from trihook_nltk import plain
from trihook_nltk.engine import destructive
from trihook_nltk.plain import plain_spans

TOKENIZER = destructive.NLTKWordTokenizer()
PIECES = (
    *("word", "Mr.", "U.S.", "x.y", "1,280", "3.14", "1.5.", "well-known", "can", "not", "Cannot"),
    *("gonna", "d", "re", "s", "日本", "Ünïcode", "٣", "5", "a", "K", "_", "-", ".", ",", ";", ":"),
    *("?", "!", " ", " ", " ", "\n", "\t", "\x1c", "\x85", "\u3000", "'", '"', "(", "$", "\u0301"),
)
CHUNK = rf"{plain._WORD}\.?[,;:?!]?"
PLAIN = re.compile(rf"(?:{CHUNK}\s+)*{CHUNK}")


def spans_of(sentence):
    return [sentence[start:end] for start, end in plain_spans(sentence)]


@given(st.lists(st.sampled_from(PIECES), min_size=1).map("".join))
def test_words_and_marks_thrown_together_are_cut_as_nltk_cuts_them_if_plain(sentence):
    words = spans_of(sentence)
    if words:
        assert words == TOKENIZER.tokenize(sentence)


@given(st.from_regex(PLAIN, fullmatch=True))
def test_whatever_seems_plain_is_cut_as_nltk_cuts_it(sentence):
    words = spans_of(sentence)
    assume(words)
    assert words == TOKENIZER.tokenize(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The bridge, built in 1872, is 1,280 metres long.",
        "Mr. Brown of the U.S. left; why?",
        "A well-known case: none",
    ],
)
def test_ordinary_sentences_are_plain(sentence):
    assert spans_of(sentence) == TOKENIZER.tokenize(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["", " ", "It's", '"No"', "We cannot.", "a -- b", "$5", "10:30", "a...", "(a)", "a,b", "end. "],
)
def test_sentences_that_need_the_rules_are_not_plain(sentence):
    assert not plain_spans(sentence)


@pytest.mark.parametrize("word", ["x" * 16_000, "x-" * 8_000, "x.y" * 5_000, "1,2" * 5_000])
def test_a_long_word_is_read_once_if_it_is_not_plain(word):
    began = time.perf_counter()
    assert not plain_spans(f"{word}'")
    assert time.perf_counter() - began < 0.5  # reading it from every letter on takes seconds
