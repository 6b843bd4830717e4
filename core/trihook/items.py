"""What is done with one item, before and after its inference: a hook asked, its answer checked.

Both raise :class:`trihook.ScoringError`, which is that item's alone.
"""

from __future__ import annotations

from trihook.calls import HookCall
from trihook.errors import (
    HookResultError,
    MisfitError,
    PayloadError,
    UnsupportedMediaTypeError,
)
from trihook.hooks import Hooks
from trihook.outcome import Scored
from trihook.plugins import CORE
from trihook.replies import encode_reply, holds_json
from trihook.triton.inputs import build_inputs
from trihook.types import Model, ScoringRequest


def preprocess(
    hooks: Hooks, request: ScoringRequest, one: Scored, call: HookCall, model: Model
) -> None:
    """Give an item the inputs that a plugin makes of it, as the model takes them."""
    inference = hooks.preprocess(call, one.item, model, request)
    if inference is None:
        raise UnsupportedMediaTypeError(
            f"no plugin takes {one.item.media_type or 'a body without a media type'!r} "
            f"for model {model.name!r}"
        )
    one.preprocessed_by = call.answered
    try:
        one.inputs = build_inputs(inference, model)
    except MisfitError as exc:
        if call.answered == CORE:  # whose tensors are the caller's
            raise PayloadError(str(exc), plugin=CORE) from exc
        raise HookResultError(f"plugin {call.answered!r}: {exc}", plugin=call.answered) from exc
    except Exception as exc:  # objects of a plugin's own may raise whatever they like
        raise HookResultError(
            f"plugin {call.answered!r} returned tensors that cannot be read", plugin=call.answered
        ) from exc


def postprocess(
    hooks: Hooks, request: ScoringRequest, one: Scored, call: HookCall, model: Model
) -> None:
    """Give an item the reply that a plugin makes of its outputs, also encoded."""
    reply = hooks.postprocess(call, one.outputs, one.item, model, request)
    if reply is None:
        raise HookResultError(f"no plugin made a reply for model {model.name!r}")
    one.postprocessed_by = call.answered
    try:
        one.body = encode_reply(reply)
    except TypeError as exc:
        raise HookResultError(
            f"plugin {call.answered!r} made a reply that cannot be encoded as "
            f"{reply.media_type}: {exc}",
            plugin=call.answered,
        ) from exc
    if request.many and not holds_json(reply):
        raise HookResultError(
            f"plugin {call.answered!r} made a reply of {reply.media_type}, "
            "which has no place among several",
            plugin=call.answered,
        )
    one.reply = reply
