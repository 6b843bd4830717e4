"""Whose fault it is that the time is over: found by how long the hooks have taken of it."""

import threading
import time

import pytest
from trihook.calls import HookCall, Stopwatch, late_error


def _call(plugin="", done=False):
    return HookCall("preprocess", running=plugin, done=done)


@pytest.mark.parametrize(
    ("calls", "seconds", "message", "plugin"),
    [
        ([_call("a", done=True), _call("b")], 6, "plugin 'b' took too long in preprocess", "b"),
        ([_call("a", done=True), _call("b")], 4, "too little time was left for preprocess", ""),
        ([_call("a", done=True)], 6, "plugin 'a' took too long in preprocess", "a"),
        ([_call(), _call("b")], 6, "plugin 'b' took too long in preprocess", "b"),
        ([_call("a", done=True), _call()], 6, "waiting for a free thread took too long in", ""),
    ],
)
def test_a_plugin_is_to_blame_where_its_hook_took_most_of_the_time(calls, seconds, message, plugin):
    error = late_error(calls, seconds, 10)
    assert error.message.startswith(message)
    assert error.plugin == plugin


def test_calls_that_have_ended_and_those_under_way_count():
    watch, begun, end = Stopwatch(), threading.Event(), threading.Event()
    assert watch.seconds == 0
    assert watch.timed(lambda piece: time.sleep(0.05) or piece)(7) == 7
    assert watch.seconds >= 0.05
    before = watch.seconds
    wait = watch.timed(lambda seconds: begun.set() or end.wait(seconds))
    thread = threading.Thread(target=wait, args=[20])
    thread.start()
    assert begun.wait(20)
    time.sleep(0.05)
    assert watch.seconds >= before + 0.05
    end.set()
    thread.join()


def test_a_call_that_raises_has_ended():
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError):
        watch.timed(lambda piece: 1 / piece)(0)
    taken = watch.seconds
    time.sleep(0.01)
    assert watch.seconds == taken
