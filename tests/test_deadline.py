"""A deadline is a moment, not a duration."""

import time

from trihook.deadline import Deadline


def test_time_left_shrinks_to_zero_and_not_below():
    assert 0 < Deadline.after(60).left() <= 60
    assert Deadline(time.monotonic() - 1).left() == 0.0


def test_zero_or_less_means_no_limit():
    assert Deadline.after(0) == Deadline.after(-1) == Deadline()
    assert Deadline().left() is None


def test_infinite_seconds_mean_no_limit():
    assert Deadline.after(float("inf")).left() is None
