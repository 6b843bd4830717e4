import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trihook_densenet import Score, rank, read_classification

LOGITS = np.array([1.0, 3.0, -2.0, 3.0], np.float32)
PROBABILITIES = np.array([0.1, 0.2, 0.65, 0.05], np.float32)


def softmax(values):
    total = sum(math.exp(v) for v in values)
    return [math.exp(v) / total for v in values]


def test_logits_become_probabilities():
    expected = softmax([1, 3, -2, 3])
    scores = rank(LOGITS, 4)
    assert [s.index for s in scores] == [1, 3, 0, 2]
    assert [s.score for s in scores] == pytest.approx([expected[i] for i in (1, 3, 0, 2)])


def test_what_is_a_distribution_already_stays_as_it_is():
    scores = rank(PROBABILITIES, 2)
    assert [s.index for s in scores] == [2, 1]
    assert [s.score for s in scores] == pytest.approx([0.65, 0.2])


@pytest.mark.parametrize("values", [[0.5, 0.6], [0.5, 0.4], [1.5, -0.5], [-0.001, 1.001]])
def test_what_is_no_distribution_is_taken_for_logits(values):
    assert sum(s.score for s in rank(np.array(values), 2)) == pytest.approx(1)
    assert rank(np.array(values), 1)[0].score == pytest.approx(max(softmax(values)))


def test_probabilities_rounded_to_sixteen_bits_are_still_a_distribution():
    values = np.random.default_rng(0).dirichlet(np.ones(1000)).astype(np.float16)
    assert rank(values, 1)[0].score == float(values.max())


def test_the_activation_can_be_forced():
    assert rank(PROBABILITIES, 1, "softmax")[0].score == pytest.approx(
        max(softmax([0.1, 0.2, 0.65, 0.05]))
    )
    assert rank(LOGITS, 1, "none") == [Score(1, 3.0)]


def test_equal_scores_are_in_the_order_of_their_indices():
    assert [s.index for s in rank(np.full(1000, 0.46, np.float32), 5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1, 1), (1, 4, 1, 1)])
def test_any_shape_will_do(shape):
    assert rank(LOGITS.reshape(shape), 4) == rank(LOGITS, 4)


def test_large_logits_do_not_overflow():
    assert rank(np.array([1e30, -1e30, 5.0]), 1) == [Score(0, 1.0)]


def test_read_only_outputs_are_left_alone():
    values = LOGITS.copy()
    values.flags.writeable = False
    rank(values, 4)
    assert np.array_equal(values, LOGITS)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="not finite"):
        rank(np.array([0.5, bad]), 1)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50), st.integers(1, 60))
def test_scores_fall_lie_between_0_and_1_and_are_as_many_as_asked_for(values, top):
    scores = [s.score for s in rank(np.array(values, np.float32), top, "softmax")]
    assert len(scores) == min(top, len(values))
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_classification_is_read_with_and_without_labels():
    entries = np.array([b"0.75:285:Egyptian cat", b"0.2:7", b"1e-10:3:a: b"], object)
    assert read_classification(entries, 3) == [
        Score(285, 0.75, "Egyptian cat"),
        Score(7, 0.2),
        Score(3, 1e-10, "a: b"),
    ]
    assert read_classification(entries.reshape(1, 3), 1) == [Score(285, 0.75, "Egyptian cat")]


@pytest.mark.parametrize(
    "entry", [b"", b"0.5", b"x:1", b"0.5:x", b"0.5:-1", b"\xff:1", b"0.5:", b"nan:1"]
)
def test_what_is_no_classification_is_refused(entry):
    with pytest.raises(ValueError, match="not score:index or score:index:label"):
        read_classification(np.array([entry], object), 1)
