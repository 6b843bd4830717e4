"""The implementations of one hook that concern a model: resolved once, asked for every item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import pluggy

from trihook.calls import CURRENT, HookCall, trace
from trihook.marks import Marks, marks_of
from trihook.types import Model, ScoringRequest


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's implementation of a hook, as it was before it was traced."""

    hookimpl: pluggy.HookImpl
    function: Callable[..., Any]
    marks: Marks

    @property
    def is_wrapper(self) -> bool:
        """Whether it goes around the others."""
        return self.hookimpl.wrapper or self.hookimpl.hookwrapper


class Step(NamedTuple):
    """What it takes to ask one implementation: ``pick`` takes its arguments out of the hook's."""

    plugin: str
    function: Callable[..., Any]
    pick: Callable[[Mapping[str, object]], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Chain:
    """The implementations of ``hook`` that are asked, first to last, until one answers.

    ``quick_below`` is the size in bytes below which all of them are quick, 0 if one never is, and
    ``quick_for`` are those that have to say so of the request besides.
    Where a wrapper is among them pluggy itself asks, all that are not ``skipped``.
    """

    hook: pluggy.HookCaller
    steps: tuple[Step, ...]
    skipped: frozenset[pluggy.HookImpl]
    quick_below: int
    quick_for: tuple[Callable[[ScoringRequest], bool], ...]
    wrapped: bool

    def is_quick(self, request: ScoringRequest, size: int) -> bool:
        """Tell whether all are quick for this request and an input of ``size`` bytes."""
        if size >= self.quick_below:
            return False
        return not self.quick_for or all(says(request) for says in self.quick_for)

    def ask(self, call: HookCall, arguments: Mapping[str, object]) -> Any:
        """Return the first answer, or None; the call is told who runs, answers and raises."""
        if self.wrapped:
            return self._ask_pluggy(call, arguments)
        for plugin, function, pick in self.steps:
            call.running = plugin
            answer = function(*pick(arguments))
            if answer is not None:
                call.answered = plugin
                return answer
        return None

    def _ask_pluggy(self, call: HookCall, arguments: Mapping[str, object]) -> Any:
        call.skipped = self.skipped
        token = CURRENT.set(call)
        try:
            return self.hook(**arguments)
        finally:
            CURRENT.reset(token)


def find_implementations(hook: pluggy.HookCaller) -> tuple[Implementation, ...]:
    """Return a hook's implementations in the order in which they are asked, and trace them.

    What is called later through pluggy reports to the call that it runs in.
    """
    found = []
    for hookimpl in reversed(hook.get_hookimpls()):  # pluggy keeps the last one asked first
        found.append(Implementation(hookimpl, hookimpl.function, marks_of(hookimpl.function)))
        trace(hookimpl)
    return tuple(found)


def build_chain(
    call: HookCall,
    hook: pluggy.HookCaller,
    implementations: Sequence[Implementation],
    model: Model | None,
) -> Chain:
    """Return the chain of those implementations that take the model; None takes them all.

    Raises what a mark raises; the call then says whose it is.
    """
    asked = tuple(each for each in implementations if _takes(call, each, model))
    skipped = frozenset(each.hookimpl for each in implementations if each not in asked)
    steps = tuple(
        Step(each.hookimpl.plugin_name, each.function, _picker(each.hookimpl.argnames))
        for each in asked
    )
    quick_below = min((each.marks.quick_below for each in asked), default=0)
    quick_for = tuple(each.marks.quick_for for each in asked if each.marks.quick_for is not None)
    wrapped = any(each.is_wrapper for each in asked)
    return Chain(hook, steps, skipped, quick_below, quick_for, wrapped)


def _takes(call: HookCall, implementation: Implementation, model: Model | None) -> bool:
    takes = implementation.marks.models
    if takes is None or model is None:
        return True
    call.running = implementation.hookimpl.plugin_name
    return takes(model)


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, object]], tuple[object, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda arguments: tuple([arguments[name] for name in names])
