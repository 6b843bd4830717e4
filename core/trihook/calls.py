"""One call of a hook on its way through the plugins: who runs, who answered, who is to blame."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import pluggy

from trihook.errors import DeadlineError, HookResultError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class HookCall:
    """What is known of one call of a hook, also while it is still under way.

    ``running`` is the plugin whose code was entered last, ``answered`` the one whose answer was
    taken (a wrapper, if it put its own in place of the plugin's), ``blamed`` the one that
    raised. ``done`` says that the call has ended. ``skipped`` are the implementations that the call
    does not concern.
    """

    hook: str
    running: str = ""
    answered: str = ""
    blamed: str = ""
    done: bool = False
    skipped: frozenset[pluggy.HookImpl] = frozenset()
    _raised: BaseException | None = None

    def blame(self, plugin: str, exc: BaseException) -> None:
        """Remember who raised an exception first: it passes through every wrapper above."""
        if exc is not self._raised:
            self._raised, self.blamed = exc, plugin


class Stopwatch:
    """Adds up how long the calls of a function take, in whichever threads, begun ones included."""

    def __init__(self) -> None:
        self._begun: list[float] = []
        self._ended: list[float] = []

    def timed(self, function: Callable[[T], R]) -> Callable[[T], R]:
        """Return the function, with its calls timed."""

        def run(piece: T) -> R:
            self._begun.append(time.perf_counter())
            try:
                return function(piece)
            finally:
                self._ended.append(time.perf_counter())

        return run

    @property
    def seconds(self) -> float:
        """How long they have taken so far."""
        ended = list(self._ended)
        begun = list(self._begun)
        return sum(ended) + (len(begun) - len(ended)) * time.perf_counter() - sum(begun)


def late_error(calls: Sequence[HookCall], seconds: float, elapsed: float) -> DeadlineError:
    """Return the error of calls of one hook that took ``seconds`` of ``elapsed`` ones so far.

    The plugin that still runs is to blame where the hook has taken most of the time: else it has
    been left too little by what came before, such as others' hooks, or the inference.
    """
    late = [call for call in calls if not call.done] or list(calls)
    slow = next((call for call in late if call.running), late[0])
    if not slow.running:
        return DeadlineError(f"waiting for a free thread took too long in {slow.hook}")
    if seconds < elapsed / 2:
        return DeadlineError(f"too little time was left for {slow.hook}")
    return DeadlineError(
        f"plugin {slow.running!r} took too long in {slow.hook}", plugin=slow.running
    )


CURRENT: ContextVar[HookCall] = ContextVar("trihook_hook_call")
"""The call that a traced implementation reports to."""


def trace(hookimpl: pluggy.HookImpl) -> None:
    """Let an implementation report to the call that it runs in.

    pluggy tells neither whose answer was taken nor who raised, so the function that it calls is
    replaced by one that does.
    """
    wrap = _traced_wrapper if hookimpl.wrapper or hookimpl.hookwrapper else _traced
    object.__setattr__(hookimpl, "function", wrap(hookimpl.function, hookimpl))


def _traced(function: Callable[..., Any], hookimpl: pluggy.HookImpl) -> Callable[..., Any]:
    def run(*arguments: object, **keywords: object) -> object:
        call = CURRENT.get()
        if hookimpl in call.skipped:
            return None
        call.running = hookimpl.plugin_name
        try:
            answer = function(*arguments, **keywords)
        except BaseException as exc:
            call.blame(hookimpl.plugin_name, exc)
            raise
        if answer is not None:
            call.answered = hookimpl.plugin_name
        return answer

    return run


def _traced_wrapper(function: Callable[..., Any], hookimpl: pluggy.HookImpl) -> Callable[..., Any]:
    plugin = hookimpl.plugin_name

    def run(*arguments: object, **keywords: object) -> Generator[None, Any, Any]:
        call = CURRENT.get()
        if hookimpl in call.skipped:
            return (yield)
        call.running = plugin
        inner = None
        try:
            steps = function(*arguments, **keywords)
            next(steps)
            try:
                inner = yield
            except BaseException as exc:  # noqa: BLE001 - it is handed to the wrapper
                call.running = plugin
                steps.throw(exc)
            else:
                call.running = plugin
                steps.send(inner)
            _refuse_second_yield(steps)
        except StopIteration as end:
            if end.value is None and inner is not None and hookimpl.wrapper:
                error = HookResultError(
                    f"wrapper {plugin!r} was given an answer to {call.hook} and returned None",
                    plugin=plugin,
                )
                call.blame(plugin, error)
                raise error from None
            if end.value is not None and end.value is not inner:
                call.answered = plugin
            return end.value
        except BaseException as exc:
            call.blame(plugin, exc)
            raise

    return run


def _refuse_second_yield(steps: Generator[None, Any, Any]) -> None:
    steps.close()
    raise RuntimeError("a wrapper yields exactly once")
