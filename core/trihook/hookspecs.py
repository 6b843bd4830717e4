"""The hooks: what a trihook plugin may answer, when it is asked, and what its answer means.

A plugin is a module (or an object, or a class called without arguments) that implements at
least one of these with :data:`hookimpl` and is named by an entry point in the group
``trihook``::

    from trihook import hookimpl

    @hookimpl
    def preprocess(item, model):
        ...

An implementation names only the arguments that it needs. For every hook, plugins are asked one
after the other and the first answer that is not ``None`` is taken: ``None`` means "not mine,
ask the next". Decide by what the model declares (its inputs, datatypes, shapes and options),
never by the order in which plugins happen to be installed: that order is not defined. An
implementation marked ``tryfirst=True`` or ``trylast=True`` is asked before or after the others;
the core's own defaults come last. ``@hookimpl(wrapper=True)`` composes around all answers, for
timing, or to change them; where it is given an answer it must return one.

Hooks run in several native threads at a time. Keep what belongs to an item in ``item.state``,
which one thread at a time touches. ``request.state`` is shared by the items of a request, whose
hooks may run side by side: put whole values into it, and lock what you count there. Everything
else that a hook is given must not be changed, and what it returned not be written to again.
``@hookimpl(models=…, quick_below=…, quick_for=…)`` spares the core to ask in vain and to hand
over what is quick: see :class:`~trihook.marks.HookimplMarker`.

To refuse an item raise :class:`~trihook.PayloadError`, :class:`~trihook.PayloadTooLargeError`
or :class:`~trihook.UnsupportedMediaTypeError`, saying what was wrong; for an option that cannot
be used, :class:`~trihook.ConfigError`. Anything else that a hook raises is logged with its
traceback and blamed on the plugin, with status 500.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pluggy

from trihook.marks import HookimplMarker

if TYPE_CHECKING:
    from trihook.types import (
        Inference,
        Item,
        Jsonable,
        Model,
        ModelRef,
        Outputs,
        Reply,
        ScoringRequest,
        Tensors,
    )

PROJECT = "trihook"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def select_model(request: ScoringRequest, models: Mapping[str, Model]) -> str | ModelRef | None:
    """Choose the model that scores this request, by name or as a ``ModelRef``.

    Asked once a request, before anything else. ``models`` holds every loaded model by name, at
    the version that Triton serves when none is named.

    By default a model that the caller names (``/score/<model>``, ``?model=``) is taken before
    other plugins are asked; after them, ``default_model`` of the settings, then the only model
    there is. Naming a model that is not in ``models`` is the plugin's error.
    """


@hookspec(firstresult=True)
def preprocess(item: Item, model: Model, request: ScoringRequest) -> Tensors | Inference | None:
    """Turn one item into the model's input tensors: ``{input name: array-like}``.

    Asked once an item. Shapes leave the batch dimension out: the core stacks items. An array
    that has it, with n rows, is n rows of that batch, and all inputs of the item must agree on
    n; its outputs then have n rows too. The core fits arrays to what the model declares where
    only one reading exists (a missing leading 1, a cast that keeps every value; floats may be
    rounded to a shorter float) and otherwise blames the plugin. BYTES tensors take ``str``,
    encoded as UTF-8, or ``bytes``.

    Return an :class:`~trihook.Inference` to ask for certain outputs only, or for Triton's
    classification of one.
    """


@hookspec(firstresult=True)
def postprocess(
    outputs: Outputs, item: Item, model: Model, request: ScoringRequest
) -> Jsonable | Reply | None:
    """Turn the model's outputs for one item into its reply: a JSON-able value or a ``Reply``.

    Asked once an item. ``outputs`` are arrays by output name, in the datatype and shape that the
    model declares, without the batch dimension (BYTES: object arrays of ``bytes``; BF16:
    ``float32``). Numpy arrays and numbers may stand in the reply, and ``bytes``, which become
    text. The arrays may share memory with other items' and are read-only.
    """


@hookspec(firstresult=True)
def example(model: Model) -> Item | None:
    """Give one item that this plugin's ``preprocess`` takes for this model.

    Asked when ``trihook check`` wants to know whether the tensors that come of it fit the
    model. Never asked while scoring.
    """
