"""Positions become the answer as it was written, or no answer."""

from importlib.metadata import entry_points

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook import Item, Model, TensorSpec
from trihook.marks import marks_of
from trihook.testing import make_request
from trihook_bidaf import hooks
from trihook_nltk import tokenize

OUTPUTS = tuple(TensorSpec(name, "INT32", (1,)) for name in ("start_pos", "end_pos"))
MODEL = Model("m", "1", inputs=(), outputs=OUTPUTS)
TEXT = 'He said "no  way", twice.'


def postprocess(first, last, text=TEXT, model=MODEL):
    item = Item({}, state={"context_text": text, "context_tokens": tokenize(text)})
    outputs = {"start_pos": np.array([first], np.int32), "end_pos": np.array([last], np.int32)}
    return hooks.postprocess(outputs=outputs, item=item, model=model)


def test_the_answer_is_cut_from_the_text_as_written():
    assert postprocess(3, 4) == {
        "answer": "no  way",
        "start": 9,
        "end": 16,
        "words": ["no", "way"],
    }


@given(st.text(min_size=1).filter(str.strip), st.data())
def test_offsets_always_point_at_the_answer(text, data):
    count = len(tokenize(text))
    first = data.draw(st.integers(0, count - 1))
    last = data.draw(st.integers(first, count - 1))
    reply = postprocess(first, last, text)
    assert text[reply["start"] : reply["end"]] == reply["answer"]
    assert len(reply["words"]) == last - first + 1


@pytest.mark.parametrize(("first", "last"), [(-1, 0), (0, 9), (9, 9), (2, 1), (-3, -2)])
def test_impossible_positions_are_no_answer(first, last):
    assert len(tokenize(TEXT)) == 9
    assert postprocess(first, last) == {"answer": "", "start": 0, "end": 0, "words": []}


@pytest.mark.parametrize("outputs", [OUTPUTS[:1], (TensorSpec("scores", "FP32", (2,)),)])
def test_models_with_other_outputs_are_left_to_others(outputs):
    assert postprocess(0, 0, model=Model("m", "1", (), outputs)) is None


def test_items_without_words_are_left_to_others():
    assert hooks.postprocess(outputs={}, item=Item({}), model=MODEL) is None


@pytest.mark.parametrize(("size", "is_quick"), [(16 * 1024 - 1, True), (16 * 1024, False)])
def test_a_reply_is_quick_only_if_the_text_can_hold_no_long_answer(size, is_quick):
    request = make_request(Item({}), size=size)
    assert marks_of(hooks.postprocess).quick_for(request) is is_quick


def test_the_plugin_is_found_by_its_entry_point():
    (found,) = entry_points(group="trihook", name="bidaf")
    assert found.load() is hooks
