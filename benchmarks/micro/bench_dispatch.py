"""Asking one hook, with few plugins and with many."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any

import pluggy
import pytest
from trihook import Inference, Item, hookimpl, hookspecs
from trihook.calls import HookCall
from trihook.hooks import Hooks
from trihook.testing import make_model, make_request

from micro.measuring import Measure, Table, check

TABLE = Table(
    "Plugin dispatch",
    "One `preprocess`. All plugins but the one asked last decline, or are left out by their mark. "
    "pluggy's own call tells neither who answered nor who failed, and does not check the answer.",
)
COUNTS = (1, 10, 50)
MODEL = make_model(inputs=["x FP32 [8]"], outputs=["y FP32 [8]"], max_batch_size=32)
REQUEST = make_request([1.0] * 8)
[ITEM] = REQUEST.items
TENSORS = {"x": [1.0] * 8}


class Plugin:
    """Takes items of one media type."""

    def __init__(self, media_type: str) -> None:
        self.media_type = media_type

    @hookimpl
    def preprocess(self, item: Item) -> dict[str, Any] | None:
        """Answer for an item of the type."""
        return TENSORS if item.media_type == self.media_type else None


class Marked(Plugin):
    """Is for no model that there is."""

    @hookimpl(models=lambda _model: False)
    def preprocess(self, item: Item) -> dict[str, Any] | None:
        """Answer for an item of the type."""
        return super().preprocess(item)


class Wrapper:
    """Goes around all others and changes nothing."""

    @hookimpl(wrapper=True)
    def preprocess(self) -> Generator[None, Any, Any]:
        """Hand on what the others answered."""
        return (yield)


def register(count: int, kind: type[Plugin], *wrappers: object) -> pluggy.PluginManager:
    """Return a manager with so many plugins; of those the last one asked answers."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    others = [kind("image/jpeg") for _ in range(count - 1)]
    for plugin in (Plugin("application/json"), *others, *wrappers):  # the last one is asked first
        manager.register(plugin)
    return manager


def ask(hooks: Hooks) -> Inference | None:
    """Ask as the pipeline does."""
    return hooks.preprocess(HookCall("preprocess"), ITEM, MODEL, REQUEST)


def rows(count: int) -> str:
    """Name a row."""
    return f"{count} plugin{'s' if count > 1 else ''}"


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("wrappers", [(), (Wrapper(),)], ids=["plain", "wrapped"])
def bench_pluggy(measure: Measure, count: int, wrappers: tuple[object, ...]) -> None:
    """Measure pluggy's own call."""
    hook = register(count, Plugin, *wrappers).hook.preprocess
    column = "pluggy, a wrapper" if wrappers else "pluggy"
    asked = partial(hook, item=ITEM, model=MODEL, request=REQUEST)
    check(measure(TABLE, rows(count), column, asked) is TENSORS)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    ("column", "kind", "wrappers"),
    [
        ("trihook", Plugin, ()),
        ("trihook, left out by `models=`", Marked, ()),
        ("trihook, a wrapper", Plugin, (Wrapper(),)),
        ("trihook, left out, a wrapper", Marked, (Wrapper(),)),
    ],
)
def bench_hooks(
    measure: Measure, count: int, column: str, kind: type[Plugin], wrappers: tuple[object, ...]
) -> None:
    """Measure the framework's face over pluggy."""
    answer = measure(TABLE, rows(count), column, ask, Hooks(register(count, kind, *wrappers)))
    check(answer.inputs is TENSORS)
