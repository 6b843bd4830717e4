"""Answers are rated as SQuAD rates them."""

import pytest
from trihook_bidaf.rating import rate


@pytest.mark.parametrize(
    ("answer", "accepted", "rating"),
    [
        ("the Volga", ["Volga"], (1.0, 1.0)),
        ('"VOLGA".', ["the Rhine", "the Volga"], (1.0, 1.0)),
        ("the Rhine", ["the Volga"], (0.0, 0.0)),
        ("", ["the Volga"], (0.0, 0.0)),
        ("about six weeks", ["six weeks", "weeks"], (0.0, 0.8)),
        ("six six", ["six"], (0.0, 2 / 3)),
    ],
)
def test_words_are_compared_without_case_articles_and_punctuation(answer, accepted, rating):
    assert rate(answer, accepted) == pytest.approx(rating)
