"""The stand-in model keeps bidaf-9's contract, and reads."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook_bidaf.rating import rate

PAIRS = [
    (page["context"], *question)
    for page in json.loads(Path(__file__).with_name("questions.json").read_text("utf-8"))
    for question in page["questions"]
]


def test_the_model_declares_what_bidaf_9_declares(model):
    assert [str(spec) for spec in model.inputs] == [
        "context_word BYTES [?, 1]",
        "context_char BYTES [?, 1, 1, 16]",
        "query_word BYTES [?, 1]",
        "query_char BYTES [?, 1, 1, 16]",
    ]
    assert [str(spec) for spec in model.outputs] == ["start_pos INT32 [1]", "end_pos INT32 [1]"]


@pytest.mark.parametrize(("c", "q"), [(1, 1), (1, 50), (2, 1), (19, 3), (200, 10), (2_000, 40)])
def test_positions_are_two_int32_inside_any_context(session, strings, c, q):
    words = ["Ada", "Vonn", "built", "the", "old", "bridge", "of", "Brandel", "in", "1872", "."]
    context = strings("context", (words * c)[:c])
    first, last = session.run(None, context | strings("query", (["Who", "built", "?"] * q)[:q]))
    assert (first.dtype, first.shape) == (last.dtype, last.shape) == (np.int32, (1,))
    assert 0 <= first[0] <= last[0] < c


WORDS = st.lists(st.text(max_size=20), min_size=1, max_size=30)


@given(context=WORDS, query=WORDS)
def test_any_strings_are_read_the_same_way_twice(session, strings, context, query):
    feed = strings("context", context) | strings("query", query)
    first, last = session.run(None, feed)
    assert 0 <= first[0] <= last[0] < len(context)
    assert session.run(None, feed) == [first, last]


def test_the_answer_depends_on_the_question_and_on_the_text(reply):
    context = "Ulla Brandt founded the club in 1921. Piet Vos led it from 1950."
    assert reply(context, "Who founded the club?")["answer"] == "Ulla Brandt"
    assert reply(context, "When was the club founded?")["answer"] == "1921"
    other = context.replace("Ulla Brandt", "Mira Katz")
    assert reply(other, "Who founded the club?")["answer"] == "Mira Katz"


@pytest.mark.parametrize("more", [["When", "?"] * 30, ["Vos"] * 5_000])
def test_of_a_question_the_first_64_words_are_read(session, strings, more):
    text = "Ulla Brandt founded the club in 1921 . Piet Vos led it from 1950 ."
    context = strings("context", text.split())
    question = ["Who", "founded", "the", "club", *["?"] * 60]
    positions = session.run(None, context | strings("query", question))
    assert session.run(None, context | strings("query", question + more)) == positions


def test_a_long_question_is_answered_by_its_beginning(reply):
    context = "Ulla Brandt founded the club in 1921. Piet Vos led it from 1950."
    query = "Who founded the club?" + " Please tell." * 500
    assert reply(context, query)["answer"] == "Ulla Brandt"


def test_four_in_five_unseen_questions_are_answered_well(reply):
    rates = [rate(reply(context, query)["answer"], accepted) for context, query, accepted in PAIRS]
    exact, shared = np.mean(rates, axis=0)
    assert len(rates) >= 40
    assert exact >= 0.8
    assert shared >= 0.85
