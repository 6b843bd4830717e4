"""A typed face over pluggy: asks the hooks, knows who answered, and checks the answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pluggy

from trihook.errors import ConfigError, HookError, HookResultError, ScoringError
from trihook.types import Inference, Item, Model, ModelRef, Outputs, Reply, ScoringRequest

HOOKS = ("select_model", "preprocess", "postprocess", "example")

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})


@dataclass(slots=True)
class HookCall:
    """What is known of one call of a hook, also while it is still under way.

    ``running`` is the plugin whose code was entered last, ``answered`` the one whose answer was
    taken (a wrapper, if it put its own in place of the plugin's), ``blamed`` the one that
    raised. ``done`` says that the call has ended.
    """

    hook: str
    running: str = ""
    answered: str = ""
    blamed: str = ""
    done: bool = False
    _raised: BaseException | None = None

    def blame(self, plugin: str, exc: BaseException) -> None:
        """Remember who raised an exception first: it passes through every wrapper above."""
        if exc is not self._raised:
            self._raised, self.blamed = exc, plugin


_CALL: ContextVar[HookCall] = ContextVar("trihook_hook_call")


class Hooks:
    """The hooks of all loaded plugins.

    Each method takes a :class:`HookCall` to report to. What a plugin raises comes out as it is
    if it is a :class:`ScoringError`, else as a :class:`HookError` with the plugin's name; an
    answer that the hook does not allow as a :class:`HookResultError`.
    """

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._hook = manager.hook
        for name in HOOKS:
            for hookimpl in getattr(manager.hook, name).get_hookimpls():
                _trace(hookimpl)

    def select_model(
        self, call: HookCall, request: ScoringRequest, models: Mapping[str, Model]
    ) -> ModelRef | None:
        """Ask which model scores the request; None if no plugin, nor the core, can tell."""
        answer = self._ask(call, request=request, models=models)
        if answer is None or isinstance(answer, ModelRef):
            return answer
        if isinstance(answer, str):
            return ModelRef(answer)
        raise _bad_answer(call, answer, "a model's name or a ModelRef")

    def preprocess(
        self, call: HookCall, item: Item, model: Model, request: ScoringRequest
    ) -> Inference | None:
        """Ask for an item's input tensors; None if no plugin takes the item."""
        answer = self._ask(call, item=item, model=model, request=request)
        if answer is None:
            return None
        inference = Inference(answer) if isinstance(answer, Mapping) else answer
        if not isinstance(inference, Inference) or not isinstance(inference.inputs, Mapping):
            raise _bad_answer(call, answer, "a mapping of input names to arrays, or an Inference")
        return inference

    def postprocess(
        self, call: HookCall, outputs: Outputs, item: Item, model: Model, request: ScoringRequest
    ) -> Reply | None:
        """Ask for an item's reply; None if no plugin made one."""
        answer = self._ask(call, outputs=outputs, item=item, model=model, request=request)
        if answer is None:
            return None
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        if not _fits_http(reply.status, reply.media_type, reply.headers):
            raise HookResultError(
                f"plugin {call.answered!r} made a reply that HTTP cannot carry: "
                "its status, media type or headers are not valid",
                stage=call.hook,
                plugin=call.answered,
            )
        return reply

    def example(self, call: HookCall, model: Model) -> Item | None:
        """Ask for an item that fits the model."""
        answer = self._ask(call, model=model)
        if answer is None or isinstance(answer, Item):
            return answer
        raise _bad_answer(call, answer, "an Item")

    def _ask(self, call: HookCall, **arguments: object) -> Any:
        token = _CALL.set(call)
        try:
            return getattr(self._hook, call.hook)(**arguments)
        except ScoringError as exc:
            raise exc.at(call.hook, call.blamed or call.running) from exc.__cause__
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            plugin = call.blamed or call.running
            raise HookError(
                f"plugin {plugin!r} {_describe_failure(call, exc)}", stage=call.hook, plugin=plugin
            ) from exc
        finally:
            _CALL.reset(token)
            call.done = True


def _bad_answer(call: HookCall, answer: object, expected: str) -> HookResultError:
    return HookResultError(
        f"plugin {call.answered!r} answered {call.hook} with {type(answer).__name__}, "
        f"expected {expected} or None",
        stage=call.hook,
        plugin=call.answered,
    )


def _fits_http(status: object, media_type: object, headers: object) -> bool:
    """Tell whether these are such as RFC 9110 allows; framing is not for a plugin to say."""
    if type(status) is not int or not 200 <= status <= 599 or not isinstance(headers, Mapping):
        return False
    return all(
        isinstance(name, str)
        and isinstance(value, str)
        and _FIELD_NAME.fullmatch(name)
        and _FIELD_VALUE.fullmatch(value)
        and name.lower() not in _FRAMING
        for name, value in [*headers.items(), ("Content-Type", media_type or None)]
    )


def _describe_failure(call: HookCall, exc: BaseException) -> str:
    """Say what a plugin did; a ConfigError's words are meant for who configures it."""
    if isinstance(exc, ConfigError):
        return f"cannot be used as it is configured: {exc}"
    return f"raised {type(exc).__name__} in {call.hook}"


def _trace(hookimpl: pluggy.HookImpl) -> None:
    """Let an implementation report to the call that it runs in.

    pluggy tells neither whose answer was taken nor who raised, so the function that it calls is
    replaced by one that does.
    """
    wrap = _traced_wrapper if hookimpl.wrapper or hookimpl.hookwrapper else _traced
    object.__setattr__(hookimpl, "function", wrap(hookimpl.function, hookimpl.plugin_name))


def _traced(function: Callable[..., Any], plugin: str) -> Callable[..., Any]:
    def run(*arguments: object, **keywords: object) -> object:
        call = _CALL.get()
        call.running = plugin
        try:
            answer = function(*arguments, **keywords)
        except BaseException as exc:
            call.blame(plugin, exc)
            raise
        if answer is not None:
            call.answered = plugin
        return answer

    return run


def _traced_wrapper(function: Callable[..., Any], plugin: str) -> Callable[..., Any]:
    def run(*arguments: object, **keywords: object) -> Generator[None, Any, Any]:
        call = _CALL.get()
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
