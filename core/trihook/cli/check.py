"""``trihook check``: do plugins, Triton and models fit together?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trihook.cli.causes import describe_cause
from trihook.cli.options import read_settings, settings_options
from trihook.errors import ScoringError

if TYPE_CHECKING:
    from trihook.config import Settings
    from trihook.service import Service
    from trihook.types import Item, Model


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and whether it is as it should be."""

    good: bool
    what: str


@click.command()
@settings_options
def check(config: Path | None, **options: Any) -> None:
    """Check that plugins load, that Triton answers, and that they fit each other.

    For every model that the settings configure, or every loaded one if they configure none,
    each plugin is asked for an example, and the tensors made of it are held against the
    model's metadata. Prints a line for each finding; the status is 1 if one is bad.
    """
    findings = []
    for finding in _check(read_settings(config, **options)):
        click.echo(f"{'ok  ' if finding.good else 'FAIL'}  {finding.what}")
        findings.append(finding)
    if not all(finding.good for finding in findings):
        sys.exit(1)


def _check(settings: Settings) -> Iterator[Finding]:
    from trihook.runtime import ThreadRuntime  # noqa: PLC0415 - the commands start lean
    from trihook.service import build_service, load_installed_plugins  # noqa: PLC0415

    plugins = load_installed_plugins(settings)
    for plugin in plugins.plugins:
        what = f"plugin {plugin.name} ({plugin.distribution} {plugin.version})"
        said = plugin.problem or f"{plugin.state} {', '.join(plugin.hooks)}".rstrip()
        yield Finding(plugin.state != "broken", f"{what}: {said}")
    for absent in plugins.absent:
        yield Finding(False, absent)
    for absent in plugins.unblocked:
        click.echo(f"Warning: {absent}", err=True)
    lenient = settings.model_copy(update={"skip_broken_plugins": True})
    service = build_service(lenient, ThreadRuntime(), plugins)
    try:
        yield from _check_triton(service)
    finally:
        service.close()


def _check_triton(service: Service) -> Iterator[Finding]:
    url = service.settings.triton_url
    try:
        service.runtime.run_network(service.catalog.refresh)
    except ScoringError as exc:
        yield Finding(False, f"Triton at {url}: {exc}")
        return
    models = service.catalog.models
    count = f"{len(models)} {'model' if len(models) == 1 else 'models'}"
    yield Finding(bool(models), f"Triton at {url} has loaded {count}")
    configured = {*service.settings.models, service.settings.default_model} - {""}
    for name in sorted(configured or models):
        if name in models:
            yield from _check_model(service, models[name])
        else:
            yield Finding(False, f"model {name} is configured and not loaded")


def _check_model(service: Service, model: Model) -> Iterator[Finding]:
    """Check each plugin's example, or the core's where no plugin gives one."""
    from trihook.plugins import CORE  # noqa: PLC0415

    examples = [*service.plugins.hooks.examples(model)]
    given = [(plugin, item) for plugin, item in examples if plugin != CORE]
    for plugin, item in given or examples:
        yield _check_example(service, model, plugin, item)


def _check_example(
    service: Service, model: Model, plugin: str, item: Item | ScoringError
) -> Finding:
    try:
        return Finding(True, f"model {model} takes {_fit(service, model, plugin, item)}")
    except ScoringError as exc:
        return Finding(False, f"model {model}: {_say(exc)}")


def _fit(service: Service, model: Model, plugin: str, item: Item | ScoringError) -> str:
    """Say what becomes of a plugin's example; raises the :class:`ScoringError` that it may be."""
    from trihook.calls import HookCall  # noqa: PLC0415
    from trihook.items import preprocess  # noqa: PLC0415
    from trihook.outcome import Scored  # noqa: PLC0415
    from trihook.plugins import CORE  # noqa: PLC0415
    from trihook.types import ScoringRequest  # noqa: PLC0415

    if isinstance(item, ScoringError):
        raise item
    one = Scored(item)
    call = HookCall("preprocess")
    try:
        preprocess(service.plugins.hooks, ScoringRequest((item,)), one, call, model)
    except ScoringError as exc:
        raise exc.at("preprocess", call.blamed or plugin) from exc.__cause__
    inputs, maker = ", ".join(map(str, model.inputs)), one.preprocessed_by
    if plugin == CORE:
        return f"JSON tensors for {inputs}; no plugin gives an example for it"
    if maker == CORE:
        return f"plugin {plugin}'s example as JSON tensors for {inputs}"
    example = "" if maker == plugin else f" of plugin {plugin}'s example"
    return f"what plugin {maker} makes{example} for {inputs}"


def _say(error: ScoringError) -> str:
    """Say what is wrong, whose fault it is, and what stands behind it."""
    is_named = not error.plugin or repr(error.plugin) in error.message
    said = error.message if is_named else f"plugin {error.plugin!r}: {error.message}"
    because = describe_cause(error)
    return f"{said}, because {because}" if because else said
