"""A typed face over pluggy: asks the hooks, knows who answered, and checks the answers."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pluggy

from trihook.calls import HookCall
from trihook.chains import Chain, Implementation, build_chain, find_implementations
from trihook.errors import ConfigError, HookError, HookResultError, ScoringError
from trihook.fields import is_field_name, is_field_value
from trihook.types import Inference, Item, Model, ModelRef, Outputs, Reply, ScoringRequest

HOOKS = ("select_model", "preprocess", "postprocess", "example")

_MAX_CHAINS = 4096  # models that are read again are new ones
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})


class Hooks:
    """The hooks of all loaded plugins.

    Each method takes a :class:`HookCall` to report to. What a plugin raises comes out as it is
    if it is a :class:`ScoringError`, else as a :class:`HookError` with the plugin's name; an
    answer that the hook does not allow as a :class:`HookResultError`.
    """

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._hook = manager.hook
        self._implementations = {
            name: find_implementations(getattr(manager.hook, name)) for name in HOOKS
        }
        self._chains: dict[tuple[str, int], tuple[Model | None, Chain]] = {}

    def are_quick(self, hook: str, model: Model | None, request: ScoringRequest, size: int) -> bool:
        """Tell whether all plugins that may answer are quick for an input of ``size`` bytes."""
        try:
            return self._chain(HookCall(hook), model).is_quick(request, size)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - whoever asks the hook hears of it
            return False

    def select_model(
        self, call: HookCall, request: ScoringRequest, models: Mapping[str, Model]
    ) -> ModelRef | None:
        """Ask which model scores the request; None if no plugin, nor the core, can tell."""
        answer = self._ask(call, None, {"request": request, "models": models})
        if isinstance(answer, str):
            return ModelRef(answer)
        if isinstance(answer, ModelRef) and all(
            isinstance(text, str) for text in (answer.name, answer.version, answer.reason)
        ):
            return answer
        if answer is None:
            return None
        raise _bad_answer(call, answer, "a model's name or a ModelRef of texts")

    def preprocess(
        self, call: HookCall, item: Item, model: Model, request: ScoringRequest
    ) -> Inference | None:
        """Ask for an item's input tensors; None if no plugin takes the item."""
        answer = self._ask(call, model, {"item": item, "model": model, "request": request})
        if answer is None:
            return None
        inference = answer if isinstance(answer, Inference) else Inference(answer)
        if not isinstance(inference.inputs, (dict, Mapping)):  # the first tells at once
            raise _bad_answer(call, answer, "a mapping of input names to arrays, or an Inference")
        return inference

    def postprocess(
        self, call: HookCall, outputs: Outputs, item: Item, model: Model, request: ScoringRequest
    ) -> Reply | None:
        """Ask for an item's reply; None if no plugin made one."""
        arguments = {"outputs": outputs, "item": item, "model": model, "request": request}
        answer = self._ask(call, model, arguments)
        if answer is None:
            return None
        if not isinstance(answer, Reply):
            return Reply(answer)
        fault = _find_fault(answer)
        if fault:
            raise HookResultError(
                f"plugin {call.answered!r} made a reply that HTTP cannot carry: {fault}",
                stage=call.hook,
                plugin=call.answered,
            )
        return answer if type(answer.status) is int else replace(answer, status=int(answer.status))

    def examples(self, model: Model) -> Iterator[tuple[str, Item | ScoringError]]:
        """Ask one plugin after the other for an item that fits the model, the core last.

        Yields those that have an answer, and it, or the error that it is.
        """
        for each in self._implementations["example"]:
            if each.is_wrapper:
                continue
            call, plugin = HookCall("example"), each.hookimpl.plugin_name
            try:
                answer = self._ask(call, model, {"model": model}, [each])
                if answer is not None and not isinstance(answer, Item):
                    answer = _bad_answer(call, answer, "an Item")
            except ScoringError as exc:
                answer = exc
            if answer is not None:
                yield plugin, answer

    def _ask(
        self,
        call: HookCall,
        model: Model | None,
        arguments: Mapping[str, object],
        implementations: Sequence[Implementation] = (),
    ) -> Any:
        """Ask the chain of the call's hook, or of those ``implementations`` alone."""
        try:
            if implementations:
                hook = getattr(self._hook, call.hook)
                return build_chain(call, hook, implementations, model).ask(call, arguments)
            return self._chain(call, model).ask(call, arguments)
        except ScoringError as exc:
            call.blamed = call.blamed or call.running
            raise _copy(exc).at(call.hook, call.blamed) from exc.__cause__
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            plugin = call.blamed = call.blamed or call.running
            raise HookError(
                f"plugin {plugin!r} {_describe_failure(call, exc)}", stage=call.hook, plugin=plugin
            ) from exc
        finally:
            call.done = True

    def _chain(self, call: HookCall, model: Model | None) -> Chain:
        """Return the chain of the call's hook for a model, resolved once for each model."""
        key = (call.hook, id(model))
        known = self._chains.get(key)
        if known is not None:
            return known[1]
        implementations = self._implementations[call.hook]
        chain = build_chain(call, getattr(self._hook, call.hook), implementations, model)
        if len(self._chains) >= _MAX_CHAINS:
            self._chains.clear()
        self._chains[key] = (model, chain)  # the model stays, so that its id stays its own
        return chain


def _copy(error: ScoringError) -> ScoringError:
    """Return an error like this one, which its plugin may have made once for all requests."""
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    return copy.with_traceback(error.__traceback__)


def _bad_answer(call: HookCall, answer: object, expected: str) -> HookResultError:
    return HookResultError(
        f"plugin {call.answered!r} answered {call.hook} with {type(answer).__name__}, "
        f"expected {expected} or None",
        stage=call.hook,
        plugin=call.answered,
    )


def _find_fault(reply: Reply) -> str:
    """Say what of a reply is not such as RFC 9110 allows; framing is not for a plugin to say."""
    try:
        status = operator.index(reply.status)
    except TypeError:
        status = 0
    if isinstance(reply.status, bool) or not 200 <= status <= 599:
        return f"its status is {_show(reply.status)}, expected a whole number from 200 to 599"
    media_type: Any = reply.media_type
    headers: Any = reply.headers
    if not is_field_value(media_type) or not media_type:
        return f"its media type is {_show(media_type)}"
    if not isinstance(headers, Mapping):
        return f"its headers are {type(headers).__name__}, expected a mapping"
    return next(filter(None, (_find_fault_in_header(*each) for each in headers.items())), "")


def _find_fault_in_header(name: Any, value: Any) -> str:
    if not is_field_name(name):
        return f"a header's name is {_show(name)}"
    if name.lower() in _FRAMING:
        return f"header {name!r} is for the host to give"
    return "" if is_field_value(value) else f"header {name!r} is {_show(value)}"


def _show(value: object) -> str:
    """Show a text or number, and of anything else its type."""
    return repr(value) if isinstance(value, int | float | str) else type(value).__name__


def _describe_failure(call: HookCall, exc: BaseException) -> str:
    """Say what a plugin did; a ConfigError's words are meant for who configures it."""
    if isinstance(exc, ConfigError):
        return f"cannot be used as it is configured: {exc}"
    return f"raised {type(exc).__name__} in {call.hook}"
