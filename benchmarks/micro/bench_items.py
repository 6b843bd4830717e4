"""The whole way of a request through the framework, with nothing behind it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import orjson
import pytest
from trihook import Item, hookimpl
from trihook.config import Settings
from trihook.defaults import Defaults
from trihook.host.app import create_app
from trihook.host.greenlets import GeventRuntime
from trihook.plugins import load_plugins
from trihook.service import build_service, load_installed_plugins
from trihook.triton.client import TritonClient
from trihook.types import Outputs
from werkzeug.test import EnvironBuilder

from micro.bare import answer, create_bare_app
from micro.clients import InstantClient, WiredClient
from micro.measuring import Measure, Table, check

TABLE = Table(
    "The framework's own cost per item",
    "A WSGI call of the host's application in its gevent runtime, with the plugins of this "
    "repository installed; the client answers at once, with the numbers doubled. The target is at "
    "most 80 µs an item. “Wire format” adds the encoding of Triton's request and reply and a "
    "stand-in for the server's side of both. “Hooks in threads” has a plugin that "
    "is not marked as quick. The bare view does the same arithmetic and no batching, no checks, no "
    "plugins; the bare function leaves Flask out as well.",
)
App = Callable[[dict[str, Any], Any], Iterable[bytes]]
VECTOR = [0.0, 0.5, -1.25, 3.0, 4.5, -5.0, 6.75, 7.0]
INSTANCES = [[float(n), *VECTOR[1:]] for n in range(64)]
BODIES = {
    "a vector": (VECTOR, 1),
    "64 instances, per item": ({"instances": INSTANCES}, 64),
}
cases = pytest.mark.parametrize(("row", "value", "per"), [(r, *c) for r, c in BODIES.items()])


class Slow:
    """A plugin that does not say that it is quick, so that its hooks run in native threads."""

    @hookimpl
    def preprocess(self, item: Item) -> dict[str, Any]:
        """Take any list."""
        return {"x": item.data}

    @hookimpl
    def postprocess(self, outputs: Outputs) -> dict[str, Any]:
        """Reply with all outputs."""
        return {"outputs": dict(outputs)}


class Point:
    """The entry point of a plugin that is not installed."""

    name, dist = "slow", None

    def load(self) -> object:
        """Return the plugin."""
        return Slow()


@contextmanager
def host(client: TritonClient, *points: Point) -> Iterator[App]:
    """Build what a worker serves, and end its threads."""
    settings = Settings.model_validate({})
    plugins = load_plugins(Defaults(), entry_points=points) if points else None
    service = build_service(
        settings, GeventRuntime(), plugins or load_installed_plugins(settings), client
    )
    try:
        yield create_app(service).wsgi_app
    finally:
        service.close()


def call(app: App, environ: dict[str, Any], body: bytes) -> bytes:
    """Make one WSGI call."""
    return b"".join(app({**environ, "wsgi.input": io.BytesIO(body)}, lambda *_: None))


def measure_app(measure: Measure, row: str, column: str, app: App, value: Any, per: int) -> None:
    """Measure one application, and check its answer."""
    body = orjson.dumps(value)
    builder = EnvironBuilder("/score/vector", method="POST", data=body)
    builder.content_type = "application/json"
    environ = builder.get_environ()
    got = measure(TABLE, row, column, call, app, environ, body, per=per)
    check(orjson.loads(got) == orjson.loads(answer(body)))


@cases
@pytest.mark.parametrize(
    ("column", "client", "points"),
    [
        ("trihook", InstantClient, ()),
        ("trihook, wire format", WiredClient, ()),
        ("trihook, hooks in threads", InstantClient, (Point(),)),
    ],
)
def bench_host(
    measure: Measure,
    row: str,
    value: Any,
    per: int,
    column: str,
    client: Callable[[], TritonClient],
    points: tuple[Point, ...],
) -> None:
    """Measure the framework's application."""
    with host(client(), *points) as app:
        measure_app(measure, row, column, app, value, per)


@cases
def bench_bare_view(measure: Measure, row: str, value: Any, per: int) -> None:
    """Measure a Flask view."""
    measure_app(measure, row, "bare Flask view", create_bare_app().wsgi_app, value, per)


@cases
def bench_bare_function(measure: Measure, row: str, value: Any, per: int) -> None:
    """Measure the arithmetic alone."""
    measure(TABLE, row, "bare function", partial(answer, orjson.dumps(value)), per=per)
