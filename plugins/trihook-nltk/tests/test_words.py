"""Every token stands where it says, whatever the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook_nltk import Token, split_sentences, tokenize, words
from trihook_nltk.engine import destructive

# what the tokenizer's rules look for, thrown together at random
PIECES = (
    *('"', "''", "``", "`", "'", "'s", "n't", "can", "cannot", "gimme", ".", "..", "?!", ",", ":"),
    *(";", "--", "\u2014", "(", ")", "[", "]", "<", "«", "»", "“", "”", "\u2019", "$", "3,141"),
    *(" ", "  ", "\n", "\t", "\x00", "\x1c", "\x85", "\xa0", "\u200b", "\u2028", "\u3000"),
    *("Dr.", "e.g.", "Word", "é", "e\u0301", "語", "日本。", "שלום", "\u202e", "\ufeff"),
    "👩\u200d👩\u200d👧",
)
MARKS = st.lists(st.sampled_from(PIECES)).map("".join)


def words_of(text, **options):
    return [token.text for token in tokenize(text, **options)]


def assert_tokens_cover(text):
    tokens = tokenize(text)
    assert all(text[token.start : token.end] == token.text for token in tokens)
    assert all(token.text and not any(map(str.isspace, token.text)) for token in tokens)
    ends = [0, *(token.end for token in tokens)]
    starts = [*(token.start for token in tokens), len(text)]
    between = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    assert all(gap == "" or gap.isspace() for gap in between)


@given(st.text())
def test_tokens_of_any_text_are_slices_of_it_with_only_white_space_between(text):
    assert_tokens_cover(text)


@given(MARKS)
def test_tokens_of_awkward_marks_are_slices_with_only_white_space_between(text):
    assert_tokens_cover(text)


@given(MARKS)
def test_tokens_are_those_of_nltk_but_for_rewritten_quotation_marks(text):
    theirs = list(destructive.NLTKWordTokenizer().tokenize(text))
    ours = [token.text for token in words._align(theirs, text, 0, len(text))]
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        assert our == their or (our in {'"', "''"} and their in {"``", "''"})


def test_offsets_survive_the_cuts_of_a_long_text():
    assert_tokens_cover('He said "no", didn\'t he? ' * 3_000)
    assert_tokens_cover("語" * 40_000)


def test_a_lone_surrogate_is_a_character_like_any_other():
    assert tokenize("a \ud800 b")[1] == Token("\ud800", 2, 3)


def test_blank_text_has_no_tokens():
    assert tokenize("") == tokenize(" \n\t\u3000") == ()


def test_words_are_cut_as_in_the_penn_treebank():
    assert words_of("Mr. O'Neill can't pay $3.88 (or 3,36 euros), he said.") == [
        *("Mr.", "O'Neill", "ca", "n't", "pay", "$", "3.88", "(", "or", "3,36", "euros", ")"),
        *(",", "he", "said", "."),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('say "no" now', ["say", '"', "no", '"', "now"]),
        ("say ``no'' now", ["say", "``", "no", "''", "now"]),
        ("say (''no'') now", ["say", "(", "''", "no", "''", ")", "now"]),
        ('"``"', ['"', "``", '"']),
    ],
)
def test_quotation_marks_stay_as_written(text, expected):
    assert words_of(text) == expected


def test_sentences_are_given_as_spans_of_the_text():
    text = " It rained.  (It poured!) Dr. Who slept. "
    spans = list(split_sentences(text))
    assert [text[start:end] for start, end in spans] == [
        " It rained.",
        "(It poured!)",
        "Dr. Who slept.",
    ]


def test_an_unknown_language_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown language 'klingon', expected one of czech, "):
        tokenize("nuqneH", language="klingon")


def test_a_language_without_installed_parameters_still_splits_sentences():
    assert words_of("Es regnet. Es schneit.", language="german") == [
        *("Es", "regnet", ".", "Es", "schneit", "."),
    ]
