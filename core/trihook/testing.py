"""What plugin authors test with: models, requests, and a Triton that is a Python function.

A :class:`Harness` puts plugins into the real pipeline: hooks, input construction, batching, the
wire format and its checks are those that serve requests. Only Triton itself is replaced, and no
network is used:

>>> from trihook import hookimpl
>>> from trihook.testing import Harness, make_model
>>> class Thermometer:
...     @hookimpl
...     def preprocess(self, item):
...         return {"fahrenheit": item.data["temperature"]}
...
...     @hookimpl
...     def postprocess(self, outputs):
...         return {"celsius": round(float(outputs["celsius"]), 1)}
>>> def infer(model, inputs):
...     return {"celsius": (inputs["fahrenheit"] - 32) / 1.8}
>>> model = make_model(inputs=["fahrenheit FP32 []"], outputs=["celsius FP32 []"])
>>> harness = Harness(Thermometer(), models=[model], infer=infer)
>>> harness.reply({"temperature": 451})
{'celsius': 232.8}

What failed is raised by :meth:`Harness.reply`; :meth:`Harness.score` tells everything there is
to know of a request instead, such as which plugin answered and which tensors it made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import Distribution
from typing import Any, TypeVar

import orjson

from trihook.config import ModelSettings, Settings
from trihook.deadline import Deadline
from trihook.defaults import Defaults
from trihook.fake_triton import FakeTriton, Infer
from trihook.outcome import Outcome
from trihook.plugins import CORE, Loaded, load_plugins
from trihook.replies import encode_json, holds_json
from trihook.runtime import Runtime
from trihook.service import build_service
from trihook.triton.dtypes import DTYPES
from trihook.types import Item, Jsonable, Model, ScoringRequest, TensorSpec

__all__ = [
    "FakeTriton",
    "Harness",
    "Infer",
    "InlineRuntime",
    "make_model",
    "make_request",
]

T = TypeVar("T")
R = TypeVar("R")

_SIZE = r"(?:\?|-1|\d+)"
_SPEC = re.compile(rf"(\S+) ([A-Z0-9]+) \[((?:{_SIZE}(?:, ?{_SIZE})*)?)\]")


def make_model(
    name: str = "model",
    *,
    inputs: Iterable[TensorSpec | str],
    outputs: Iterable[TensorSpec | str],
    version: str = "1",
    **declared: Any,
) -> Model:
    """Return a model; ``declared`` are further fields of :class:`trihook.Model`.

    A tensor may be written as trihook prints it, ``"pixels FP32 [3, ?, ?]"``, without the batch
    dimension. Raises ``ValueError`` for one that is not written so.
    """
    return Model(
        name=name,
        version=version,
        inputs=tuple(map(_parse_spec, inputs)),
        outputs=tuple(map(_parse_spec, outputs)),
        **{"versions": (version,), **declared},
    )


def make_request(*items: Item | Jsonable, **sent: Any) -> ScoringRequest:
    """Return a request for ``items``; ``sent`` are further fields of :class:`ScoringRequest`.

    What is no :class:`trihook.Item` becomes the data of one, as JSON brings it to the host, or
    bytes without a media type. Names of ``headers`` become lower-case there, and so here.
    Other than one item makes the request one of ``many``. The ``state`` of an item is copied, so
    that the same item can be sent again.
    """
    made = map(_make_item, items)
    numbered = tuple(replace(each, index=n, state={**each.state}) for n, each in enumerate(made))
    headers = {name.lower(): value for name, value in sent.pop("headers", {}).items()}
    known = {"many": len(numbered) != 1, "id": "test", "headers": headers}
    return ScoringRequest(numbered, **{**known, **sent})


class Harness:
    """The real pipeline around some plugins, with a function in Triton's place.

    Plugins are objects, modules or classes, checked as installed ones are: a misspelt hook
    raises :class:`trihook.PluginError`. Hooks run in the calling thread, so that a failing one
    can be stepped through; give a ``runtime`` for another one. ``service`` is what
    ``trihook.host.app.create_app`` takes; ``triton`` tells what was inferred.
    """

    def __init__(
        self,
        *plugins: object,
        models: Sequence[Model],
        infer: Infer,
        settings: Settings | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.triton = FakeTriton(models, infer)
        given = settings or Settings.model_validate({})
        self.service = build_service(
            given.model_copy(update={"models": _settings_of(models, given)}),
            runtime or InlineRuntime(),
            _load(plugins, given.default_model),
            self.triton,
        )

    def score(self, request: ScoringRequest) -> Outcome:
        """Take a request through the pipeline; see :meth:`trihook.pipeline.Pipeline.score`."""
        return self.service.pipeline.score(request)

    def reply(self, item: Item | Jsonable, **sent: Any) -> Any:
        """Score one item, and return what its sender gets: parsed JSON, else bytes.

        Raises the :class:`trihook.ScoringError` that it failed with.
        """
        [scored] = self.score(make_request(item, **sent)).scored
        if scored.error is not None:
            raise scored.error
        is_json = scored.reply is not None and holds_json(scored.reply)
        return orjson.loads(scored.body) if is_json else scored.body


class InlineRuntime:
    """Runs everything where it is called; deadlines have no effect on hooks."""

    def run_hooks(
        self,
        function: Callable[[T], R],
        work: Sequence[T],
        deadline: Deadline,  # noqa: ARG002 - nobody waits for anybody
    ) -> list[R]:
        """See :meth:`trihook.runtime.Runtime.run_hooks`."""
        return [function(piece) for piece in work]

    def run_network(self, function: Callable[[], R]) -> R:
        """See :meth:`trihook.runtime.Runtime.run_network`."""
        return function()

    def close(self) -> None:
        """There is nothing to end."""


@dataclass(frozen=True, slots=True)
class _GivenPlugin:
    """A plugin object in place of an installed entry point."""

    name: str
    plugin: object
    dist: Distribution | None = None

    def load(self) -> object:
        return self.plugin


def _settings_of(models: Sequence[Model], given: Settings) -> dict[str, ModelSettings]:
    """Return each model's settings, in which its own options yield to those that are given."""
    settings = dict(given.models)
    for model in models:
        options = {**model.options, **given.options_of(model.name)}
        own = settings.get(model.name, ModelSettings())
        settings[model.name] = own.model_copy(update={"options": options})
    return settings


def _load(plugins: Sequence[object], default_model: str) -> Loaded:
    points: dict[str, _GivenPlugin] = {}
    for plugin in plugins:
        kind = getattr(plugin, "__name__", type(plugin).__name__).rpartition(".")[2]
        name = kind if kind not in (CORE, *points) else f"{kind}-{len(points) + 1}"
        points[name] = _GivenPlugin(name, plugin)
    loaded = load_plugins(Defaults(default_model), entry_points=points.values())
    loaded.raise_if_broken()
    return loaded


def _make_item(value: Item | Jsonable) -> Item:
    if isinstance(value, Item):
        return value
    if isinstance(value, bytes):
        return Item(value, "")
    return Item(orjson.loads(encode_json(value)))


def _parse_spec(spec: TensorSpec | str) -> TensorSpec:
    if isinstance(spec, TensorSpec):
        return spec
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise ValueError(f"{spec!r} is no tensor, expected one like 'pixels FP32 [3, ?, ?]'")
    name, datatype, sizes = match.groups()
    if datatype not in DTYPES:
        raise ValueError(f"{spec!r} has no datatype of Triton: expected one of {', '.join(DTYPES)}")
    return TensorSpec(
        name, datatype, tuple(int(size.replace("?", "-1")) for size in sizes.split(",") if size)
    )
