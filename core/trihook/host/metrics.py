"""What becomes of scoring requests, counted over all workers, in the form that Prometheus reads.

prometheus_client keeps the workers' counts in files of one folder, so that any worker can tell
those of all. It looks for the folder when it is imported, so it is not before the workers run.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from trihook.errors import ConfigError, ScoringError
from trihook.outcome import Progress

if TYPE_CHECKING:
    from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound="MetricWrapperBase")

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # a name of prometheus_client's
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Measured:
    """One request while it is answered: how many items it has, and what becomes of it.

    ``model`` is the name of a loaded model, or empty: a label must not be what callers make up.
    """

    __slots__ = ("began", "errors", "items", "model", "progress", "status")

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.progress = Progress()
        self.model = ""
        self.items = 0
        self.errors: Sequence[ScoringError] = ()
        self.status = 500  # unless it is said otherwise, an error that nobody expected


class Metrics:
    """The counts of one worker, or of all that share a folder; see :func:`shared_metrics`.

    Times are in seconds. For the greenlets of one hub.
    """

    def __init__(self) -> None:
        from prometheus_client import (  # noqa: PLC0415 - an extra, and see the module
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
        )

        own = self._own = CollectorRegistry()
        self._under_way = Gauge(
            "trihook_requests_in_progress",
            "Scoring requests that are being answered.",
            registry=own,
            multiprocess_mode="livesum",
        )
        self._requests = _finder(
            Counter(
                "trihook_requests",
                "Scoring requests that have been answered.",
                ("model", "status"),
                registry=own,
            )
        )
        self._duration = _finder(
            Histogram(
                "trihook_request_duration_seconds",
                "Time from a request's head to its answer, with the reading of its body.",
                ("model",),
                registry=own,
                buckets=_SECONDS,
            )
        )
        self._stages = _finder(
            Histogram(
                "trihook_stage_duration_seconds",
                "Time that a request has spent in a stage, with all of its items.",
                ("model", "stage"),
                registry=own,
                buckets=_SECONDS,
            )
        )
        self._items = _finder(
            Counter("trihook_items", "Items that have been read.", ("model",), registry=own)
        )
        self._errors = _finder(
            Counter(
                "trihook_errors",
                "Items that failed, and requests that failed as a whole.",
                ("model", "stage", "code", "plugin"),
                registry=own,
            )
        )

    @contextmanager
    def measure(self) -> Iterator[Measured]:
        """Count a request, as it stands at the end."""
        self._under_way.inc()
        request = Measured()
        try:
            yield request
        finally:
            self._under_way.dec()
            self._count(request)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return all counts, in the format that the ``Accept`` header asks for, and its type."""
        from prometheus_client import CollectorRegistry  # noqa: PLC0415
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry = self._own
        if _FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    def _count(self, request: Measured) -> None:
        model = request.model
        for stage, seconds in request.progress.seconds.items():
            self._stages(model, stage).observe(seconds)
        for error in request.errors:
            self._errors(model, error.stage, error.code, error.plugin).inc()
        self._items(model).inc(request.items)
        self._requests(model, request.status).inc()
        self._duration(model).observe(time.perf_counter() - request.began)


def _finder(metric: M) -> Callable[..., M]:
    """Return what finds a series by its labels; by itself that takes as long as to count in it."""
    return lru_cache(maxsize=1024)(metric.labels)


def check_metrics() -> None:
    """Raise :class:`trihook.ConfigError` where there can be none."""
    if find_spec("prometheus_client") is None:
        raise ConfigError("metrics need prometheus-client: pip install 'trihook[metrics]'")


@contextmanager
def shared_metrics() -> Iterator[None]:
    """Keep the counts of the workers that are forked meanwhile in one folder."""
    folder, process = tempfile.mkdtemp(prefix="trihook-metrics-"), os.getpid()
    os.environ[_FOLDER] = folder
    try:
        yield
    finally:
        if os.getpid() == process:  # and no worker, which comes by here as well
            shutil.rmtree(folder, ignore_errors=True)


def forget_process(process: int) -> None:
    """Let what a worker had under way end with it; what it has counted stays."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

    mark_process_dead(process)  # type: ignore[no-untyped-call]  # it has no types
