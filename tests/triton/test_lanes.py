"""What waits for a model goes together, in turns, and nobody waits for what has failed."""

from collections import defaultdict, deque
from types import SimpleNamespace

import gevent
import numpy as np
import pytest
from gevent.event import Event
from hypothesis import given, settings
from hypothesis import strategies as st
from trihook import DeadlineError
from trihook.deadline import Deadline
from trihook.triton import lanes
from trihook.triton.inputs import Inputs
from trihook.triton.lanes import Lane, Limits, Queued
from trihook.triton.stacking import Part
from trihook.triton.waiting import Submission

ITEM = Inputs({"x": np.zeros((1, 1))}, rows=1)


class Run:
    """Settles each part with its submission's name and its place, and notes the batches."""

    def __init__(self, *, seconds=0.0, error=None):
        self.batches = []
        self.under_way = self.most = 0
        self._seconds, self._error = seconds, error

    def __call__(self, batch):
        self.batches.append([queued.submission.request_id for queued in batch])
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            gevent.sleep(self._seconds)
            if self._error is not None:
                raise self._error
        finally:
            self.under_way -= 1
        for queued in batch:
            queued.submission.settle(queued.place, (queued.submission.request_id, queued.place))


def _lane(run, rows=4, concurrency=1, max_delay=0.0, ahead=0, **options):
    return Lane(Limits(rows, concurrency, max_delay, ahead), run, **options)


def _submit(lane, name, *sizes, seconds=0.0, likeness="same"):
    """Submit parts with so many rows each, and return their results."""
    own = Submission(len(sizes), Deadline.after(seconds), name)
    parts = [Queued(Part(ITEM, 0, size), own, place) for place, size in enumerate(sizes)]
    lane.submit([(likeness, deque(parts))], own)
    return own.results


def _side_by_side(*calls):
    greenlets = [gevent.spawn(call) for call in calls]
    gevent.joinall(greenlets, timeout=10)
    assert all(greenlet.ready() for greenlet in greenlets), "somebody still waits"
    return [greenlet.exception or greenlet.value for greenlet in greenlets]


def _expected(name, count):
    return [(name, place) for place in range(count)]


# who goes with whom


def test_what_has_arrived_goes_together():
    run = Run()
    lane = _lane(run)
    results = _side_by_side(*[lambda n=n: _submit(lane, n, 1) for n in "abc"])
    assert run.batches == [["a", "b", "c"]]
    assert results == [_expected(n, 1) for n in "abc"]


def _starts_before_others_go(lane, run):
    """Tell whether a submission is on its way before another greenlet has had its turn."""
    others = gevent.spawn(lambda: len(run.batches))
    before = len(run.batches)
    _submit(lane, "own", 1)
    return others.get() > before


def test_who_has_long_been_alone_lets_nobody_go_first():
    run = Run()
    lane = _lane(run)
    started = [_starts_before_others_go(lane, run) for _ in range(20)]
    assert started == [False] * 8 + [True] * 12


def test_after_company_those_who_have_arrived_go_together_again():
    run = Run()
    lane = _lane(run)
    for _ in range(20):
        _submit(lane, "own", 1)
    run.batches.clear()
    for _ in range(2):
        _side_by_side(*[lambda n=n: _submit(lane, n, 1) for n in "abc"])
    assert run.batches == [["a"], ["b", "c"], ["a", "b", "c"]]


def test_a_delay_is_waited_for_also_by_who_has_long_been_alone():
    run = Run()
    lane = _lane(run, max_delay=0.001)
    assert not any(_starts_before_others_go(lane, run) for _ in range(20))


def test_an_inference_takes_no_more_rows_than_it_may():
    run = Run()
    lane = _lane(run, rows=4)
    _side_by_side(*[lambda n=n: _submit(lane, n, 3) for n in "ab"], lambda: _submit(lane, "c", 1))
    assert run.batches == [["a"], ["b", "c"]]


def test_who_does_not_fit_any_more_is_the_first_of_the_next():
    run = Run()
    lane = _lane(run, rows=4)
    _side_by_side(
        lambda: _submit(lane, "a", 2),
        lambda: _submit(lane, "b", 3),
        lambda: _submit(lane, "c", 2),
    )
    assert run.batches == [["a"], ["b"], ["c"]]


def test_without_a_batch_dimension_each_part_goes_alone():
    run = Run()
    lane = _lane(run, rows=0, concurrency=2)
    _side_by_side(*[lambda n=n: _submit(lane, n, 0, 0) for n in "ab"])
    assert sorted(map(tuple, run.batches)) == [("a",), ("a",), ("b",), ("b",)]
    assert run.most == 2


def test_submissions_take_turns_part_by_part():
    run = Run()
    lane = _lane(run, rows=2)
    _side_by_side(
        lambda: _submit(lane, "a", 1, 1, 1),
        lambda: _submit(lane, "b", 1, 1),
        lambda: _submit(lane, "c", 1),
    )
    assert [name for batch in run.batches for name in batch] == ["a", "b", "c", "a", "b", "a"]


def test_groups_take_turns_as_well():
    run = Run()
    lane = _lane(run, rows=2)
    _side_by_side(
        lambda: _submit(lane, "a", 1, 1, 1, 1, likeness="long"),
        lambda: _submit(lane, "b", 1, 1, 1, 1, likeness="short"),
    )
    assert run.batches == [["a", "a"], ["b", "b"], ["a", "a"], ["b", "b"]]


def test_unlike_groups_of_one_submission_are_all_awaited():
    run = Run()
    lane = _lane(run)
    own = Submission(2, Deadline(), "a")
    groups = [(n, deque([Queued(Part(ITEM, 0, 1), own, n)])) for n in range(2)]
    lane.submit(groups, own)
    assert own.results == _expected("a", 2)
    assert run.batches == [["a"], ["a"]]


def test_a_large_submission_lets_a_small_one_through_that_came_later():
    run = Run(seconds=0.001)
    lane, done = _lane(run, rows=4), []

    def call(name, count):
        _submit(lane, name, *[1] * count)
        done.append(name)

    _side_by_side(lambda: call("large", 400), lambda: gevent.sleep(0.01) or call("small", 1))
    assert done == ["small", "large"]
    before = next(n for n, batch in enumerate(run.batches) if "small" in batch)
    assert before < len(run.batches) - 1


def test_a_submission_of_unlike_parts_lets_others_go_between():
    run = Run(seconds=0.001)
    lane, own = _lane(run), Submission(50, Deadline(), "large")
    groups = [(n, deque([Queued(Part(ITEM, 0, 1), own, n)])) for n in range(50)]
    _side_by_side(
        lambda: lane.submit(groups, own),
        lambda: gevent.sleep(0.01) or _submit(lane, "other", 1, likeness="none of them"),
        lambda: gevent.sleep(0.01) or _submit(lane, "alike", 1, likeness=49),
    )
    names = [batch[0] for batch in run.batches]
    assert names.index("other") < 45
    assert next(n for n, batch in enumerate(run.batches) if "alike" in batch) < 45
    assert own.results == _expected("large", 50)


def test_who_has_waited_longest_decides_which_group_is_next():
    run = Run()
    lane = _lane(run, rows=1)
    _side_by_side(
        lambda: _submit(lane, "a", 1, 1, 1, likeness="long"),
        lambda: _submit(lane, "b", 1, likeness="long"),
        lambda: _submit(lane, "c", 1, 1, likeness="short"),
    )
    assert [name for [name] in run.batches] == ["a", "a", "b", "c", "a", "c"]


def test_of_one_submission_only_so_many_parts_count_as_waiting():
    seen = []

    def run(batch):
        seen.append(lane.waiting)
        gevent.sleep(0)
        for queued in batch:
            queued.submission.settle(queued.place, None)

    lane = _lane(run, rows=1, counted=3)
    _side_by_side(lambda: _submit(lane, "a", *[1] * 6), lambda: _submit(lane, "b", 1, 1))
    assert seen == [5, 5, 4, 4, 3, 2, 1, 0]
    assert lane.waiting == 0


# how many at a time


@pytest.mark.parametrize("concurrency", [1, 2, 5])
def test_no_more_inferences_are_under_way_than_may_be(concurrency):
    run = Run(seconds=0.001)
    lane = _lane(run, rows=1, concurrency=concurrency)
    _side_by_side(*[lambda n=n: _submit(lane, n, 1, 1) for n in "abcdefgh"])
    assert run.most == concurrency
    assert len(run.batches) == 16


def test_one_that_is_free_again_is_used():
    run = Run(seconds=0.002)
    lane = _lane(run, rows=1, concurrency=2)
    for _ in range(3):
        _side_by_side(*[lambda n=n: _submit(lane, n, 1) for n in "abc"])
    assert run.most == 2
    assert lane.waiting == 0


@pytest.mark.parametrize(("threshold", "most"), [(0.0, 3), (60.0, 2)])
def test_one_more_is_sent_ahead_where_inferences_take_long(monkeypatch, threshold, most):
    monkeypatch.setattr(lanes, "_LONG", threshold)
    run = Run(seconds=0.002)
    lane = _lane(run, rows=100, concurrency=2, ahead=1)
    _submit(lane, "first", 1)
    _side_by_side(*[lambda n=n: _submit(lane, n, 1, likeness=n) for n in "abcdefgh"])
    assert run.most == most
    assert len(run.batches) == 9


def test_none_is_sent_ahead_any_more_when_inferences_have_become_quick(monkeypatch):
    monkeypatch.setattr(lanes, "_LONG", 0.0)
    under_way, seen = [], []

    def run(batch):
        under_way.append(1)
        seen.append(len(under_way))
        gevent.sleep(0.001)
        if len(seen) == 5:
            monkeypatch.setattr(lanes, "_LONG", 60.0)
        under_way.pop()
        for queued in batch:
            queued.submission.settle(queued.place, "done")

    lane = _lane(run, rows=100, ahead=1)
    _submit(lane, "first", 1)
    _side_by_side(*[lambda n=n: _submit(lane, n, 1, likeness=n) for n in "abcdefghijkl"])
    assert max(seen) == 2
    assert seen[-6:] == [1] * 6
    assert (lane.waiting, lane._under_way) == (0, 0)


@pytest.mark.parametrize(
    ("waiting", "likenesses", "goes_ahead"),
    [
        *[([1, 1, 1], "aaa", False), ([1, 1, 1, 1], "aaaa", True), ([1] * 9, "a" * 9, True)],
        *[([4], "a", True), ([3], "a", False), ([2, 2], "aa", True)],
        *[([1] * 8, "abcdefgh", False), ([1, 4], "ab", False), ([4, 1], "ab", True)],
    ],
)
def test_one_more_is_sent_ahead_where_it_is_full_already(waiting, likenesses, goes_ahead):
    is_answered, sizes = Event(), []

    def run(batch):
        sizes.append(sum(queued.part.rows for queued in batch))
        is_answered.wait()
        for queued in batch:
            queued.submission.settle(queued.place, "done")

    lane = _lane(run, rows=4, ahead=1)
    calls = [gevent.spawn(_submit, lane, "first", 1, likeness="first")]
    gevent.idle()
    assert sizes == [1]
    for size, likeness in zip(waiting, likenesses, strict=True):
        calls.append(gevent.spawn(_submit, lane, "next", size, likeness=likeness))
    gevent.idle()
    assert sizes == [1, 4][: 1 + goes_ahead]
    is_answered.set()
    gevent.joinall(calls, timeout=10, raise_error=True)
    assert sum(sizes) == 1 + sum(waiting)


@pytest.mark.parametrize(
    ("callers", "delay", "most"), [(1, 0.0, 1), (2, 0.0, 2), (3, 0.0, 1), (2, 0.001, 1)]
)
def test_two_callers_do_not_wait_for_each_other_without_a_delay(callers, delay, most):
    run = Run()

    def call():
        for _ in range(30):
            _submit(lane, "own", 1)

    lane = _lane(run, rows=100, max_delay=delay, ahead=1)
    _side_by_side(*[call] * callers)
    assert sum(map(len, run.batches)) == 30 * callers
    assert run.most == most


def test_none_is_sent_ahead_any_more_when_callers_have_become_many():
    run = Run()
    lane = _lane(run, rows=100, ahead=1)
    for _ in range(10):
        _side_by_side(*[lambda n=n: _submit(lane, n, 1) for n in "ab"])
    assert run.most == 2
    _side_by_side(*[lambda n=n: _submit(lane, n, 1) for n in "abc"])
    run.most = 0
    for _ in range(4):
        _side_by_side(*[lambda n=n: _submit(lane, n, 1) for n in "ab"])
    assert run.most == 1


def test_what_waits_for_its_own_predecessor_does_not_count_as_long(monkeypatch):
    clocks = defaultdict(float)  # each greenlet's own
    monkeypatch.setattr(
        lanes, "time", SimpleNamespace(monotonic=lambda: clocks[gevent.getcurrent()])
    )
    under_way, seen = [], []

    def run(batch):
        under_way.append(1)
        seen.append(len(under_way))
        gevent.sleep(0)
        clocks[gevent.getcurrent()] += 0.003 * len(under_way)  # one after the other
        under_way.pop()
        for queued in batch:
            queued.submission.settle(queued.place, "done")

    lane = _lane(run, rows=100, ahead=1)
    lane._lasted = 1.0  # one that was held up
    _side_by_side(*[lambda n=n: _submit(lane, n, 1, likeness=n) for n in "abcdefghijkl"])
    assert max(seen) == 2
    assert seen[-4:] == [1] * 4


def test_a_submission_alone_needs_no_other_greenlet():
    ran = []
    lane = _lane(lambda batch: ran.append(gevent.getcurrent()) or Run()(batch), share=False)
    _submit(lane, "a", 1)
    assert ran == [gevent.getcurrent()]


def test_nobody_waits_for_company_by_default(monkeypatch):
    run = Run()
    lane = _lane(run)
    monkeypatch.setattr(lane, "_full", SimpleNamespace(wait=lambda _: pytest.fail("it waits")))
    for name in "abc":
        _submit(lane, name, 1)
    assert run.batches == [["a"], ["b"], ["c"]]


# a delay


def test_a_delay_lets_those_in_who_come_meanwhile():
    run = Run()
    lane = _lane(run, rows=4, max_delay=0.2)
    _side_by_side(
        lambda: _submit(lane, "a", 1), lambda: gevent.sleep(0.02) or _submit(lane, "b", 1)
    )
    assert run.batches == [["a", "b"]]


@pytest.mark.parametrize("likenesses", ["ab", "aa"])
def test_a_delay_is_over_for_who_goes_along_with_another_inference(likenesses):
    run = Run(seconds=0.002)
    lane = _lane(run, rows=3, concurrency=2, max_delay=60)
    first = gevent.spawn(_submit, lane, "first", 1, 1, 1)  # full, so that it does not wait
    gevent.idle()
    assert run.batches == [["first"] * 3]
    others = [gevent.spawn(_submit, lane, name, 1, likeness=name) for name in likenesses]
    gevent.joinall([first, *others], timeout=10)
    assert [each.ready() for each in (first, *others)] == [True] * 3


def test_a_delay_is_over_when_the_inference_is_full():
    run = Run()
    lane = _lane(run, rows=2, max_delay=60)
    _side_by_side(
        lambda: _submit(lane, "a", 1), lambda: gevent.sleep(0.01) or _submit(lane, "b", 1)
    )
    assert run.batches == [["a", "b"]]


@pytest.mark.parametrize(
    ("sizes", "batches"), [((1, 1), [["a", "a"]]), ((2,), [["a"]]), ((2, 2, 1), [["a"]] * 3)]
)
def test_what_is_full_at_once_does_not_wait(sizes, batches):
    run = Run()
    lane = _lane(run, rows=2, max_delay=60)
    _side_by_side(lambda: _submit(lane, "a", *sizes))
    assert run.batches == batches


def test_a_delay_is_over_when_any_group_is_full_and_not_before():
    run = Run()
    lane = _lane(run, rows=3, max_delay=60)
    calls = [gevent.spawn(_submit, lane, n, 1, likeness=n) for n in "abc"]
    gevent.idle()
    assert run.batches == []
    calls.append(gevent.spawn(_submit, lane, "c", 2, likeness="c"))
    gevent.joinall(calls, timeout=10)
    assert run.batches == [["a"], ["b"], ["c", "c"]]


# failures


class Killed(BaseException):
    """What is no Exception."""


@pytest.mark.parametrize("error", [ZeroDivisionError(), Killed(), gevent.GreenletExit()], ids=repr)
@pytest.mark.parametrize("share", [True, False])
def test_what_an_inference_raises_is_raised_where_each_one_waits(error, share):
    lane = _lane(Run(error=error), rows=4, share=share)
    results = _side_by_side(*[lambda n=n: _caught(lane, n, 1) for n in "ab"])
    assert results == [error, error]
    assert lane.waiting == 0


def _caught(lane, name, *sizes, **more):
    try:
        return _submit(lane, name, *sizes, **more)
    except BaseException as exc:  # noqa: BLE001 - it is what the test asks for
        return exc


def test_a_lane_goes_on_after_a_failure():
    run = Run(error=Killed())
    lane = _lane(run, rows=1)
    assert all(
        isinstance(each, Killed)
        for each in _side_by_side(*[lambda n=n: _caught(lane, n, 1, 1) for n in "abc"])
    )
    run._error = None
    assert _side_by_side(lambda: _submit(lane, "d", 1)) == [_expected("d", 1)]
    assert (lane.waiting, lane._under_way) == (0, 0)


def test_a_failure_does_not_touch_those_who_have_their_results():
    def run(batch):
        batch[0].submission.settle(0, "fine")
        raise ZeroDivisionError

    lane = _lane(run)
    first, second = _side_by_side(*[lambda n=n: _caught(lane, n, 1) for n in "ab"])
    assert first == ["fine"]
    assert isinstance(second, ZeroDivisionError)


def test_who_has_no_time_left_does_not_wait():
    run = Run(seconds=0.05)
    lane = _lane(run, rows=1)
    first, late = _side_by_side(
        lambda: _submit(lane, "a", 1), lambda: _submit(lane, "b", 1, seconds=0.01)
    )
    assert first == _expected("a", 1)
    assert [type(each) for each in late] == [DeadlineError]


def test_who_has_no_time_left_keeps_what_has_come():
    run = Run(seconds=0.1)
    lane = _lane(run, rows=2)
    [own] = _side_by_side(lambda: _submit(lane, "a", 1, 1, 1, 1, seconds=0.15))
    assert own[:2] == _expected("a", 2)
    assert [type(each) for each in own[2:]] == [DeadlineError] * 2
    gevent.sleep(0.1)  # what was under way ends, and nobody minds
    assert _side_by_side(lambda: _submit(lane, "b", 1)) == [_expected("b", 1)]


@pytest.mark.parametrize("times", [(0.01, 0.02, 0.03), (0.03, 0.02, 0.01), (0.02, 0.02, 0.01)])
def test_each_waits_for_as_long_as_it_may(times):
    lane = _lane(Run(seconds=0.5), rows=1)
    first, *late = _side_by_side(
        lambda: _submit(lane, "a", 1),
        *[lambda s=s: _submit(lane, "late", 1, seconds=s) for s in times],
    )
    assert first == _expected("a", 1)
    assert [type(each) for [each] in late] == [DeadlineError] * 3


def test_who_has_little_time_is_told_before_who_came_first_with_much():
    lane = _lane(Run(seconds=0.1), rows=1)
    _, patient, late = _side_by_side(
        lambda: _submit(lane, "a", 1),
        lambda: _submit(lane, "patient", 1, seconds=60),
        lambda: _submit(lane, "late", 1, seconds=0.01),
    )
    assert patient == _expected("patient", 1)
    assert [type(each) for each in late] == [DeadlineError]


def test_what_nobody_waits_for_is_left_out_and_takes_no_room():
    run = Run(seconds=0.05)
    lane = _lane(run, rows=2)
    results = _side_by_side(
        lambda: _submit(lane, "a", 2),
        lambda: _submit(lane, "late", 1, 1, 1, seconds=0.01),
        lambda: _submit(lane, "b", 1),
        lambda: _submit(lane, "c", 1),
    )
    assert run.batches == [["a"], ["b", "c"]]
    assert [results[0], *results[2:]] == [_expected(name, 1) for name in "abc"]
    assert lane.waiting == 0


def test_somebody_elses_timeout_is_theirs():
    lane = _lane(Run(seconds=5), rows=1)
    first = gevent.spawn(_submit, lane, "a", 1)
    gevent.sleep(0.001)
    with gevent.Timeout(0.01) as theirs, pytest.raises(gevent.Timeout) as caught:
        _submit(lane, "b", 1)
    assert caught.value is theirs
    first.kill()


def test_a_submission_that_is_killed_while_it_waits_leaves_the_others_alone():
    run = Run(seconds=0.02)
    lane = _lane(run, rows=1)
    waiting = [gevent.spawn(_submit, lane, n, 1) for n in "abc"]
    gevent.sleep(0.001)
    waiting[1].kill()
    gevent.joinall([waiting[0], waiting[2]], timeout=5)
    assert [waiting[0].value, waiting[2].value] == [_expected("a", 1), _expected("c", 1)]
    assert run.batches == [["a"], ["c"]]


def test_one_that_is_killed_while_it_looks_out_for_others_leaves_them_alone():
    run = Run()
    lane = _lane(run, max_delay=5)
    first, second = (gevent.spawn(_submit, lane, name, 1) for name in "ab")
    gevent.sleep(0.001)
    first.kill()
    gevent.joinall([second], timeout=2)
    assert second.value == _expected("b", 1)
    assert run.batches == [["b"]]


# in general


@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=5), min_size=1, max_size=6),
    st.integers(3, 8),
    st.integers(1, 3),
    st.lists(st.sampled_from(["x", "y"]), min_size=6, max_size=6),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_each_part_runs_once_and_its_result_is_its_own(sizes, rows, concurrency, likenesses, pause):
    ran, under_way = [], []

    def run(batch):
        under_way.append(1)
        assert len(under_way) <= concurrency
        assert sum(queued.part.rows for queued in batch) <= rows
        assert len({likenesses[queued.submission.request_id] for queued in batch}) == 1
        gevent.sleep(0)
        under_way.pop()
        for queued in batch:
            ran.append((queued.submission.request_id, queued.place))
            queued.submission.settle(queued.place, (queued.submission.request_id, queued.place))

    def call(name):
        if pause:
            gevent.sleep(0)
        return _submit(lane, name, *sizes[name], likeness=likenesses[name])

    lane = _lane(run, rows=rows, concurrency=concurrency)
    results = _side_by_side(*[lambda n=n: call(n) for n in range(len(sizes))])
    assert results == [_expected(n, len(each)) for n, each in enumerate(sizes)]
    assert sorted(ran) == sorted((n, k) for n, each in enumerate(sizes) for k in range(len(each)))
    assert (lane.waiting, lane._under_way, lane._turns) == (0, 0, {})
