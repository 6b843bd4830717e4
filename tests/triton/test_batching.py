"""Items are stacked, split and dealt out again in order, in as few inferences as may be."""

from types import SimpleNamespace

import gevent
import numpy as np
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st
from trihook import (
    DeadlineError,
    Inference,
    OverloadedError,
    RequestedOutput,
    TritonError,
    TritonUnavailableError,
)
from trihook.deadline import Deadline
from trihook.testing import make_model
from trihook.triton import busy_polling
from trihook.triton.batching import Batcher
from trihook.triton.client import TritonRefusalError
from trihook.triton.inputs import build_inputs
from trihook.triton.lanes import Limits

LIMIT = 4


def _model(max_batch_size=LIMIT, **declared):
    return make_model(
        inputs=["x INT64 [?]"],
        outputs=["y INT64 [?]", "z BYTES [1]"],
        max_batch_size=max_batch_size,
        **declared,
    )


def _refusal():
    return _caused_by_triton(TritonError("Triton refused an inference"))


def _caused_by_triton(error):
    error.__cause__ = TritonRefusalError(400, "because")
    return error


class Fake:
    """A client in the batcher's eyes: doubles x, and refuses rows that hold a bad number."""

    def __init__(self, bad=(), error=_refusal, version="1", seconds=0):
        self._seconds = seconds
        self.calls = []
        self.options = []
        self.under_way = self.most = 0
        self._bad, self._error, self._version = bad, error, version

    def infer(self, model, tensors, **options):
        x = np.concatenate(tensors["x"]) if model.max_batch_size else tensors["x"][0]
        self.calls.append(x)
        self.options.append(options)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        gevent.sleep(self._seconds)
        self.under_way -= 1
        if np.isin(x, self._bad).any():
            raise self._error()
        z = np.array([[str(row).encode()] for row in np.atleast_2d(x)], object)
        outputs = {"y": x * 2, "z": z if model.max_batch_size else z[0]}
        wanted = {output.name for output in options["outputs"]} or set(outputs)
        return {name: outputs[name] for name in outputs if name in wanted}, self._version


class Held(Fake):
    """Infers nothing until ``go`` is set."""

    def __init__(self):
        super().__init__()
        self.go = Event()

    def infer(self, model, tensors, **options):
        self.go.wait()
        return super().infer(model, tensors, **options)


def _item(values, model, outputs=(), **more):
    return build_inputs(Inference({"x": np.asarray(values, "i8")}, tuple(outputs), **more), model)


def _batcher(fake, concurrency=8, max_delay=0.0, **options):
    return Batcher(
        fake, lambda model: Limits(model.max_batch_size, concurrency, max_delay), **options
    )


def _submit(fake, items, model, **options):
    return _batcher(fake, **options).submit(items, model)


def _side_by_side(calls):
    """Return what each of the calls returns, begun in order and at the same time."""
    greenlets = [gevent.spawn(call) for call in calls]
    return [greenlet.get(timeout=5) for greenlet in greenlets]


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


# submissions


@given(ITEMS, st.integers(0, 8))
def test_no_row_is_sent_twice_and_no_batch_is_too_large(drawn, limit):
    model, fake = _model(limit), Fake()
    items = _items(drawn, model)
    _submit(fake, items, model)
    assert all(len(x) <= limit for x in fake.calls) or not limit
    sent = sorted(int(value) for x in fake.calls for value in x.flat)
    assert sent == sorted(int(value) for item in items for value in item.tensors["x"].flat)


@given(st.integers(0, 30), st.integers(1, 8))
def test_single_rows_fill_their_batches(count, limit):
    model, fake = _model(limit), Fake()
    _submit(fake, [_item([n], model) for n in range(count)], model)
    assert len(fake.calls) == -(-count // limit)


@given(ITEMS)
def test_without_a_batch_dimension_every_item_goes_alone(drawn):
    model, fake = _model(0), Fake()
    _submit(fake, _items(drawn, model), model)
    assert len(fake.calls) == len(drawn)


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
    assert sorted(len(x) for x in fake.calls) == [2, 4]


def test_the_number_of_rows_is_told():
    model, fake = _model(), Fake()
    _submit(fake, [_item([n], model) for n in range(3)], model)
    assert [options["rows"] for options in fake.options] == [3]
    _submit(fake, [_item([1], _model(0))], _model(0))
    assert fake.options[-1]["rows"] == 0


def test_a_large_item_is_split_and_joined_in_order():
    model, fake = _model(), Fake()
    [result] = _submit(fake, [_item(np.arange(10)[:, None], model)], model)
    assert sorted(len(x) for x in fake.calls) == [2, 4, 4]
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
    _batcher(fake).submit(
        [_item([1], model)], model, version="7", request_id="r", deadline=deadline
    )
    [options] = fake.options
    assert (options["version"], options["request_id"]) == ("7", "r")
    assert options["deadline"] is deadline


def test_the_version_that_answered_is_told_where_it_was_left_open():
    model, told = _model(), []
    batcher = _batcher(Fake(version="9"), on_version=lambda model, version: told.append(version))
    batcher.submit([_item([1], model)], model)
    assert told == ["9"]
    batcher.submit([_item([1], model)], model, version="3")
    assert told == ["9"]


def test_nothing_to_do_is_nothing_done():
    fake = Fake()
    assert _submit(fake, [], _model()) == []
    assert fake.calls == []


# several submissions


def test_what_comes_at_the_same_time_shares_an_inference():
    model, fake = _model(), Fake()
    batcher = _batcher(fake)
    calls = [lambda n=n: batcher.submit([_item([n], model)], model) for n in range(3)]
    results = _side_by_side(calls)
    assert [len(x) for x in fake.calls] == [3]
    assert [int(result["y"][0]) for [result] in results] == [0, 2, 4]


def test_what_queues_while_an_inference_is_under_way_goes_together():
    model, fake = _model(), Fake(seconds=0.05)
    batcher = _batcher(fake, concurrency=1)

    def call(n):
        gevent.sleep(0.01 if n else 0)
        return batcher.submit([_item([n], model)], model)

    results = _side_by_side([lambda n=n: call(n) for n in range(6)])
    assert [len(x) for x in fake.calls] == [1, 4, 1]
    assert fake.most == 1
    assert [int(result["y"][0]) for [result] in results] == [2 * n for n in range(6)]


def test_one_that_is_alone_does_not_wait(monkeypatch):
    model, fake = _model(), Fake()
    batcher = _batcher(fake)
    monkeypatch.setattr(
        batcher._lane(model, ""), "_full", SimpleNamespace(wait=lambda _: pytest.fail("it waits"))
    )
    for n in range(3):
        batcher.submit([_item([n], model)], model)
    assert [len(x) for x in fake.calls] == [1, 1, 1]


@pytest.mark.parametrize(
    ("submissions", "busy_poll", "stays_awake"),
    [(1, 60.0, True), (2, 60.0, False), (1, 0.0, False)],
)
@pytest.mark.parametrize("stateful", [False, True])
def test_the_hub_stays_awake_for_a_submission_that_is_alone(
    monkeypatch, stateful, submissions, busy_poll, stays_awake
):
    looks = []
    monkeypatch.setattr(busy_polling, "_give_way", lambda: looks.append(None))
    model, fake = _model(stateful=stateful), Fake(seconds=0.001)
    batcher = _batcher(fake, busy_poll=busy_poll)
    for _ in range(5):  # once the hub may find that it is over already
        calls = [
            gevent.spawn(batcher.submit, [_item([[n]], model)], model) for n in range(submissions)
        ]
        gevent.joinall(calls, timeout=10, raise_error=True)
    assert bool(looks) is stays_awake


def test_a_delay_is_waited_for_company_until_the_batch_is_full():
    model, fake = _model(), Fake()
    batcher = _batcher(fake, max_delay=5)

    def call(n):
        gevent.sleep(0.01 * n)
        return batcher.submit([_item([n], model)], model)

    _side_by_side([lambda n=n: call(n) for n in range(LIMIT)])
    assert [len(x) for x in fake.calls] == [LIMIT]


def test_a_delay_ends():
    model, fake = _model(), Fake()
    _batcher(fake, max_delay=0.01).submit([_item([1], model)], model)
    assert [len(x) for x in fake.calls] == [1]


def test_a_delay_leaves_time_for_the_inference():
    model, fake = _model(), Fake()
    batcher = _batcher(fake, max_delay=10)
    [result] = batcher.submit([_item([1], model)], model, deadline=Deadline.after(0.5))
    assert result["y"].tolist() == [2]


def test_a_large_submission_does_not_starve_a_small_one():
    model, fake = _model(), Fake(seconds=0.001)
    batcher, order = _batcher(fake, concurrency=1), []

    def call(name, count):
        batcher.submit([_item([n], model) for n in range(count)], model)
        order.append((name, len(fake.calls)))

    _side_by_side([lambda: call("large", 1000), lambda: call("small", 1)])
    assert order[0][0] == "small"
    assert order[0][1] <= 2


def test_unlike_shapes_do_not_share_an_inference():
    model, fake = _model(), Fake()
    batcher = _batcher(fake)
    shapes = [[1], [1, 2], [3], [3, 4]]
    results = _side_by_side([lambda x=x: batcher.submit([_item(x, model)], model) for x in shapes])
    assert sorted(x.shape for x in fake.calls) == [(2, 1), (2, 2)]
    assert [result["y"].tolist() for [result] in results] == [[2], [2, 4], [6], [6, 8]]


def test_unlike_lengths_share_one_where_they_may_be_padded():
    model, fake = _model(), Fake()
    batcher = _batcher(fake)
    shapes = [[1], [1, 2], [3, 4, 5]]
    results = _side_by_side(
        [lambda x=x: batcher.submit([_item(x, model, padding={"x": 7})], model) for x in shapes]
    )
    [x] = fake.calls
    assert x.tolist() == [[1, 7, 7], [1, 2, 7], [3, 4, 5]]
    assert [result["y"].tolist() for [result] in results] == [[2, 14, 14], [2, 4, 14], [6, 8, 10]]


def test_what_is_padded_differently_goes_apart():
    model, fake = _model(), Fake()
    batcher = _batcher(fake)
    paddings = [{"x": 0}, {"x": 1}, {}]
    _side_by_side(
        [lambda p=p: batcher.submit([_item([5], model, padding=p)], model) for p in paddings]
    )
    assert [len(x) for x in fake.calls] == [1, 1, 1]


def test_unlike_parameters_do_not_share_an_inference():
    model, fake = _model(), Fake()
    items = [_item([n], model, parameters={"priority": n % 2}) for n in range(4)]
    _submit(fake, items, model)
    sent = {
        options["parameters"]["priority"]: x.ravel().tolist()
        for x, options in zip(fake.calls, fake.options, strict=True)
    }
    assert sent == {0: [0, 2], 1: [1, 3]}
    assert len(fake.calls) == 2


def test_versions_do_not_share_an_inference():
    model, fake = _model(), Fake()
    batcher = _batcher(fake)
    _side_by_side(
        [lambda v=v: batcher.submit([_item([1], model)], model, version=v) for v in ("", "1")]
    )
    assert sorted(options["version"] for options in fake.options) == ["", "1"]


def test_nothing_is_shared_where_it_is_switched_off():
    model, fake = _model(), Fake()
    batcher = _batcher(fake, share=False)
    _side_by_side(
        [lambda: batcher.submit([_item([n], model) for n in range(2)], model) for _ in range(3)]
    )
    assert [len(x) for x in fake.calls] == [2, 2, 2]


def test_a_bad_item_of_one_submission_leaves_the_others_alone():
    model, fake = _model(), Fake(bad=[2])
    batcher = _batcher(fake)
    calls = [lambda n=n: batcher.submit([_item([n], model)], model) for n in range(4)]
    results = [result for [result] in _side_by_side(calls)]
    assert [isinstance(result, TritonError) for result in results] == [False, False, True, False]
    assert [len(x) for x in fake.calls] == [4, 1, 1, 1, 1]


def test_a_shared_inference_is_named_after_the_first_of_them():
    model, fake = _model(), Fake()
    batcher = _batcher(fake)
    _side_by_side(
        [lambda i=i: batcher.submit([_item([1], model)], model, request_id=i) for i in "abc"]
    )
    assert [options["request_id"] for options in fake.options] == ["a+2"]


def test_a_shared_inference_has_the_longest_of_their_times():
    model, fake = _model(), Fake()
    batcher, deadlines = _batcher(fake), [Deadline.after(9), Deadline.after(60)]
    _side_by_side(
        [lambda d=d: batcher.submit([_item([1], model)], model, deadline=d) for d in deadlines]
    )
    assert [options["deadline"] for options in fake.options] == [deadlines[1]]


def test_each_waits_no_longer_than_its_own_time():
    model, fake = _model(), Fake(seconds=0.2)
    batcher = _batcher(fake)

    def call(seconds):
        return batcher.submit([_item([1], model)], model, deadline=Deadline.after(seconds))

    [late], [scored] = _side_by_side([lambda: call(0.05), lambda: call(60)])
    assert isinstance(late, DeadlineError)
    assert scored["y"].tolist() == [2]


def test_what_nobody_waits_for_any_more_is_not_sent():
    model, fake = _model(), Held()
    batcher = _batcher(fake, concurrency=1)
    first = gevent.spawn(batcher.submit, [_item([1], model)], model)
    gevent.idle()  # until it is under way
    with gevent.Timeout(20):
        [late] = batcher.submit([_item([2], model)], model, deadline=Deadline.after(0.01))
    assert isinstance(late, DeadlineError)
    fake.go.set()
    first.get(timeout=5)
    batcher.submit([_item([3], model)], model)
    assert [int(x[0, 0]) for x in fake.calls] == [1, 3]


def test_a_full_queue_takes_no_more_until_it_has_emptied():
    model, fake = _model(0), Held()
    batcher = _batcher(fake, concurrency=1, max_queue=2)
    under_way = []
    for n in range(3):  # the first is under way, the others wait
        under_way.append(gevent.spawn(batcher.submit, [_item([n], model)], model))
        gevent.idle()
    assert batcher.is_full(model.name)
    with pytest.raises(OverloadedError, match="wait for model 'model'"):
        batcher.submit([_item([9], model)], model)
    fake.go.set()
    gevent.joinall(under_way, raise_error=True)
    assert not batcher.is_full(model.name)
    assert batcher.submit([_item([9], model)], model)[0]["y"].tolist() == [18]


def test_a_large_request_leaves_a_place_in_the_queue():
    model, fake = _model(0), Fake(seconds=0.002)
    batcher = _batcher(fake, concurrency=1, max_queue=8)
    large = gevent.spawn(batcher.submit, [_item([n], model) for n in range(30)], model)
    gevent.sleep(0.005)
    assert not batcher.is_full(model.name)
    assert batcher.submit([_item([99], model)], model)[0]["y"].tolist() == [198]
    assert not large.ready()
    assert [result["y"].tolist() for result in large.get()] == [[2 * n] for n in range(30)]


def test_items_of_many_shapes_do_not_hold_up_others():
    model, fake = _model(0), Fake(seconds=0.002)
    batcher = _batcher(fake, concurrency=1)
    items = [_item([7] * n, model) for n in range(1, 31)]
    large = gevent.spawn(batcher.submit, items, model)
    gevent.sleep(0.005)
    batcher.submit([_item([99] * 40, model)], model)
    assert len(fake.calls) < 20
    large.get()


def test_a_model_that_has_changed_has_a_lane_of_its_own():
    old, new = _model(), _model(version="2")
    fake = Fake()
    batcher = _batcher(fake)
    _side_by_side(
        [lambda model=model: batcher.submit([_item([1], model)], model) for model in (old, new)]
    )
    assert [len(x) for x in fake.calls] == [1, 1]


def test_what_waits_for_a_killed_inference_is_told():
    model, fake = _model(), Fake(bad=[1], error=lambda: gevent.GreenletExit("killed"))
    batcher = _batcher(fake)
    calls = [gevent.spawn(batcher.submit, [_item([n], model)], model) for n in range(2)]
    gevent.joinall(calls, timeout=5)
    assert all(call.ready() for call in calls)
    assert batcher.submit([_item([3], model)], model)[0]["y"].tolist() == [6]


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
        lambda: _caused_by_triton(TritonUnavailableError("overloaded")),
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


def test_a_split_item_shares_no_inference_with_longer_ones():
    model, fake = _model(max_batch_size=2), Fake()
    long = _item([9, 9, 9, 9], model, padding={"x": 0})
    split = _item([[1, 1], [2, 2], [3, 3]], model, padding={"x": 0})
    results = _submit(fake, [split, long], model)
    assert [result["y"].tolist() for result in results] == [[[2, 2], [4, 4], [6, 6]], [18] * 4]


def test_parts_that_come_back_unlike_fail_their_item_alone():
    class Unlike(Fake):
        def infer(self, model, tensors, **options):
            outputs, version = super().infer(model, tensors, **options)
            return {**outputs, "y": outputs["y"][:, : len(self.calls)]}, version

    model = _model(max_batch_size=1)
    split, whole = _item([[1, 1], [2, 2]], model), _item([[3, 3]], model)
    bad, good = _submit(Unlike(), [split, whole], model, concurrency=1)
    assert isinstance(bad, TritonError)
    assert good["y"].tolist() == [[6, 6]]


def test_what_is_no_scoring_error_is_raised():
    def broken():
        return ZeroDivisionError("a bug")

    model = _model()
    with pytest.raises(ZeroDivisionError):
        _submit(Fake(bad=[2], error=broken), [_item([2], model)], model)
