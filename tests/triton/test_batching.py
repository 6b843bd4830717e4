"""Items are stacked, split and dealt out again in order, in as few inferences as may be."""

import gevent
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook import (
    DeadlineError,
    Inference,
    RequestedOutput,
    TritonError,
    TritonUnavailableError,
)
from trihook.deadline import Deadline
from trihook.testing import make_model
from trihook.triton.batching import Batcher, plan, stack, unstack
from trihook.triton.client import TritonRefusalError
from trihook.triton.inputs import build_inputs

LIMIT = 4


def _model(max_batch_size=LIMIT, **declared):
    return make_model(
        inputs=["x INT64 [?]"],
        outputs=["y INT64 [?]", "z BYTES [1]"],
        max_batch_size=max_batch_size,
        **declared,
    )


def _refusal():
    error = TritonError("Triton refused an inference")
    error.__cause__ = TritonRefusalError(400, "because")
    return error


class Fake:
    """A client in the batcher's eyes: doubles x, and refuses rows that hold a bad number."""

    def __init__(self, bad=(), error=_refusal, version="1"):
        self.calls = []
        self.options = []
        self.under_way = self.most = 0
        self._bad, self._error, self._version = bad, error, version

    def infer(self, model, tensors, **options):
        x = tensors["x"]
        self.calls.append(x)
        self.options.append(options)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        gevent.sleep(0)
        self.under_way -= 1
        if np.isin(x, self._bad).any():
            raise self._error()
        z = np.array([[str(row).encode()] for row in np.atleast_2d(x)], object)
        outputs = {"y": x * 2, "z": z if model.max_batch_size else z[0]}
        wanted = {output.name for output in options["outputs"]} or set(outputs)
        return {name: outputs[name] for name in outputs if name in wanted}, self._version


def _item(values, model, outputs=()):
    return build_inputs(Inference({"x": np.asarray(values, "i8")}, tuple(outputs)), model)


def _submit(fake, items, model, **options):
    return Batcher(fake, **options).submit(items, model)


# plans

ITEMS = st.lists(
    st.tuples(
        st.integers(0, 3),  # 0: without the batch dimension, else that many times 3 rows
        st.integers(0, 2),  # length
        st.sampled_from([(), (RequestedOutput("y"),)]),
    ),
    max_size=8,
)


def _items(drawn, model):
    """Return items with distinct numbers in all their elements."""
    items, at = [], 0
    for times, length, outputs in drawn:
        shape = (3 * times, length) if times and model.max_batch_size else (length,)
        values = np.arange(at, at + int(np.prod(shape))).reshape(shape)
        at += values.size
        items.append(_item(values, model, outputs))
    return items


@given(ITEMS, st.integers(1, 8))
def test_a_plan_takes_every_row_once_and_no_batch_too_large(drawn, limit):
    model = _model(limit)
    items = _items(drawn, model)
    rows = []
    for batch in plan(items, model):
        assert batch
        assert sum(part.stop - part.start for part in batch) <= limit
        alike = {
            (items[part.index].tensors["x"].shape[1:], items[part.index].outputs) for part in batch
        }
        assert len(alike) == 1
        rows += [(part.index, row) for part in batch for row in range(part.start, part.stop)]
    assert sorted(rows) == [(i, row) for i, item in enumerate(items) for row in range(item.rows)]


@given(st.integers(0, 30), st.integers(1, 8))
def test_single_rows_fill_their_batches(count, limit):
    model = _model(limit)
    batches = list(plan([_item([n], model) for n in range(count)], model))
    assert len(batches) == -(-count // limit)


@given(ITEMS)
def test_without_a_batch_dimension_every_item_goes_alone(drawn):
    model = _model(0)
    batches = list(plan(_items(drawn, model), model))
    assert [[part.index for part in batch] for batch in batches] == [[n] for n in range(len(drawn))]


@given(ITEMS)
def test_a_stateful_model_gets_its_items_alone_and_in_order(drawn):
    model = _model(64, stateful=True)
    batches = list(plan(_items(drawn, model), model))
    assert [[part.index for part in batch] for batch in batches] == [[n] for n in range(len(drawn))]


@given(ITEMS, st.integers(1, 8))
def test_what_is_stacked_comes_apart_again(drawn, limit):
    model = _model(limit)
    items = _items(drawn, model)
    for batch in plan(items, model):
        shares = unstack(stack(items, batch), batch)
        for part, share in zip(batch, shares, strict=True):
            expected = items[part.index].tensors["x"][part.start : part.stop]
            np.testing.assert_array_equal(share["x"], expected)


def test_a_whole_item_is_not_copied():
    model = _model()
    items = [_item([[1], [2]], model)]
    [batch] = plan(items, model)
    assert stack(items, batch)["x"] is items[0].tensors["x"]


# submissions


@given(ITEMS, st.integers(0, 8))
def test_every_item_gets_its_own_outputs(drawn, limit):
    model = _model(limit)
    items = _items(drawn, model)
    results = _submit(Fake(), items, model)
    assert len(results) == len(items)
    for item, result in zip(items, results, strict=True):
        x = item.tensors["x"][0] if item.squeeze else item.tensors["x"]
        np.testing.assert_array_equal(result["y"], x * 2)
        assert set(result) == ({"y"} if item.outputs else {"y", "z"})


def test_an_item_without_the_batch_dimension_gets_outputs_without():
    model = _model()
    [single, rows] = _submit(Fake(), [_item([7], model), _item([[8]], model)], model)
    assert (single["y"].shape, rows["y"].shape) == ((1,), (1, 1))


def test_items_of_one_shape_share_inferences():
    model, fake = _model(), Fake()
    _submit(fake, [_item([n], model) for n in range(6)], model)
    assert [len(x) for x in fake.calls] == [4, 2]


def test_the_number_of_rows_is_told():
    model, fake = _model(), Fake()
    _submit(fake, [_item([n], model) for n in range(3)], model)
    assert [options["rows"] for options in fake.options] == [3]
    _submit(fake, [_item([1], _model(0))], _model(0))
    assert fake.options[-1]["rows"] == 0


def test_a_large_item_is_split_and_joined_in_order():
    model, fake = _model(), Fake()
    [result] = _submit(fake, [_item(np.arange(10)[:, None], model)], model)
    assert [len(x) for x in fake.calls] == [4, 4, 2]
    assert result["y"].ravel().tolist() == list(range(0, 20, 2))


def test_joined_outputs_are_read_only_too():
    model = _model()
    [result] = _submit(Fake(), [_item(np.arange(10)[:, None], model)], model)
    with pytest.raises(ValueError, match="read-only"):
        result["y"][0] = 0


def test_inferences_go_side_by_side_within_the_limit():
    model, fake = _model(0), Fake()
    _submit(fake, [_item([n], model) for n in range(9)], model, concurrency=3)
    assert fake.most == 3


def test_inferences_of_a_stateful_model_follow_each_other():
    model, fake = _model(stateful=True), Fake()
    _submit(fake, [_item([n], model) for n in range(5)], model)
    assert fake.most == 1
    assert [int(x[0, 0]) for x in fake.calls] == list(range(5))


def test_id_version_and_deadline_are_passed_on():
    model, fake, deadline = _model(), Fake(), Deadline.after(60)
    Batcher(fake).submit([_item([1], model)], model, version="7", request_id="r", deadline=deadline)
    [options] = fake.options
    assert (options["version"], options["request_id"]) == ("7", "r")
    assert options["deadline"] is deadline


def test_the_version_that_answered_is_told_where_it_was_left_open():
    model, told = _model(), []
    batcher = Batcher(Fake(version="9"), on_version=lambda model, version: told.append(version))
    batcher.submit([_item([1], model)], model)
    assert told == ["9"]
    batcher.submit([_item([1], model)], model, version="3")
    assert told == ["9"]


def test_nothing_to_do_is_nothing_done():
    fake = Fake()
    assert _submit(fake, [], _model()) == []
    assert fake.calls == []


# failures


def test_one_bad_item_fails_alone():
    model, fake = _model(), Fake(bad=[2])
    results = _submit(fake, [_item([n], model) for n in range(4)], model)
    assert [isinstance(result, TritonError) for result in results] == [False, False, True, False]
    assert [int(result["y"][0]) for n, result in enumerate(results) if n != 2] == [0, 2, 6]


def test_a_refused_batch_is_run_again_item_by_item_once():
    model, fake = _model(), Fake(bad=[0, 1, 2, 3])
    results = _submit(fake, [_item([n], model) for n in range(4)], model)
    assert [x.ravel().tolist() for x in fake.calls] == [[0, 1, 2, 3], [0], [1], [2], [3]]
    assert all(isinstance(result, TritonError) for result in results)


def test_a_refused_item_that_was_alone_is_not_run_again():
    model, fake = _model(), Fake(bad=[5])
    [result] = _submit(fake, [_item([5], model)], model)
    assert isinstance(result, TritonError)
    assert len(fake.calls) == 1


def test_other_batches_are_not_run_again():
    model, fake = _model(), Fake(bad=[5])
    results = _submit(fake, [_item([n], model) for n in range(8)], model)
    assert [len(x) for x in fake.calls].count(4) == 2
    assert len(fake.calls) == 2 + 4
    assert [n for n, result in enumerate(results) if isinstance(result, TritonError)] == [5]


@pytest.mark.parametrize(
    "error",
    [
        lambda: TritonUnavailableError("gone"),
        lambda: DeadlineError("too slow"),
        lambda: TritonError("Triton's answer is nonsense"),
    ],
)
def test_what_is_no_refusal_is_not_sent_again(error):
    model, fake = _model(), Fake(bad=[2], error=error)
    results = _submit(fake, [_item([n], model) for n in range(4)], model)
    assert len(fake.calls) == 1
    assert {type(result) for result in results} == {type(error())}


def test_an_item_with_a_failed_piece_has_failed():
    model, fake = _model(), Fake(bad=[6])
    results = _submit(fake, [_item(np.arange(10)[:, None], model), _item([[11]], model)], model)
    assert isinstance(results[0], TritonError)
    assert results[1]["y"].tolist() == [[22]]


def test_what_is_no_scoring_error_is_raised():
    def broken():
        return ZeroDivisionError("a bug")

    model = _model()
    with pytest.raises(ZeroDivisionError):
        _submit(Fake(bad=[2], error=broken), [_item([2], model)], model)
