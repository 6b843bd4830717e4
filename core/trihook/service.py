"""The parts put together: from settings to a pipeline that scores, and whether it is ready."""

from __future__ import annotations

from dataclasses import dataclass

from trihook.config import ModelSettings, Settings
from trihook.defaults import Defaults
from trihook.errors import ScoringError
from trihook.pipeline import Pipeline
from trihook.plugins import Loaded, load_plugins
from trihook.runtime import Runtime
from trihook.triton.batching import Batcher
from trihook.triton.catalog import Catalog
from trihook.triton.client import TritonClient
from trihook.triton.lanes import Limits
from trihook.types import Model


@dataclass(frozen=True, slots=True)
class Service:
    """One pipeline with everything that it was built from."""

    settings: Settings
    plugins: Loaded
    client: TritonClient
    catalog: Catalog
    batcher: Batcher
    pipeline: Pipeline
    runtime: Runtime

    def unready(self) -> tuple[str, ...]:
        """Ask Triton, and return what is not ready, a sentence each; empty when all is."""
        return self.runtime.run_network(self._unready)

    def close(self) -> None:
        """Close the connections to Triton and end the runtime's threads."""
        self.runtime.run_network(self.client.close)
        self.runtime.close()

    def _unready(self) -> tuple[str, ...]:
        if not self.client.is_ready():
            return ("Triton is not ready",)
        configured = {*self.settings.models, self.settings.default_model} - {""}
        try:
            self.catalog.ensure()
            missing = [n for n in sorted(configured) if not self.client.is_model_ready(n)]
        except ScoringError as exc:
            return (exc.message,)
        if not self.catalog.models:
            return ("no model is loaded",)
        return tuple(f"model {name!r} is not ready" for name in missing)


def load_installed_plugins(settings: Settings) -> Loaded:
    """Load the plugins that the settings allow, with the core's own as the last one asked."""
    return load_plugins(
        Defaults(settings.default_model),
        blocked=settings.block_plugins,
        allowed=settings.load_plugins,
    )


def build_service(
    settings: Settings,
    runtime: Runtime,
    plugins: Loaded | None = None,
    client: TritonClient | None = None,
    *,
    busy_poll: float = 0.0,
) -> Service:
    """Build the pipeline of one worker; neither Triton nor the network is touched yet.

    ``plugins`` and ``client`` are made from the settings where they are not given; ``busy_poll``
    is not, for how much of it is good depends on the process and its machine.
    Raises :class:`trihook.PluginError` if a plugin is broken and the settings do not skip it, and
    :class:`trihook.ConfigError` likewise for a plugin to load that is not installed.
    """
    plugins = plugins or load_installed_plugins(settings)
    if not settings.skip_broken_plugins:
        plugins.raise_if_broken()
    client = client or TritonClient(
        settings.triton_url,
        connections=settings.triton_connections,
        timeout=_probe(settings),
        share_memory=settings.share_memory,
    )
    catalog = Catalog(client, settings.options_of, settings.refresh_interval)
    batcher = Batcher(
        client,
        lambda model: choose_limits(model, settings),
        max_queue=settings.max_queue,
        share=settings.share_batches,
        on_version=catalog.note_version,
        busy_poll=busy_poll,
    )
    pipeline = Pipeline(plugins.hooks, catalog, batcher, runtime)
    return Service(settings, plugins, client, catalog, batcher, pipeline, runtime)


def choose_limits(model: Model, settings: Settings) -> Limits:
    """Return how a model is fed, by its settings and else by what it says of itself.

    The workers together keep all of the model's instances busy, and one inference each ready for
    the next instance where these take long or it is full: what would wait in Triton waits here,
    where it can go together. Where nothing goes together, or hardly anything, it waits in Triton;
    but of the connections there one model leaves a quarter to the others.
    """
    own = settings.models.get(model.name) or ModelSettings()
    rows = min(own.max_batch or model.max_batch_size, model.max_batch_size)
    most = -(-settings.triton_connections * 3 // 4)
    share = -(-model.instances // settings.workers) if rows else most
    ahead = 1 if rows and own.concurrency is None else 0
    return Limits(rows, own.concurrency or share, own.max_delay, ahead)


def _probe(settings: Settings) -> float:
    """Return how long a question about a model or Triton's health may take, in seconds."""
    return min(settings.timeout or 5.0, 5.0)
