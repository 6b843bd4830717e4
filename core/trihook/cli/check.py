"""``trihook check``: do plugins, Triton and models fit together?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trihook.cli.options import read_settings, settings_options

if TYPE_CHECKING:
    from trihook.config import Settings
    from trihook.service import Service
    from trihook.types import Model


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
    a plugin is asked for an example, and the tensors it makes of it are held against the
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
    from trihook.errors import ScoringError  # noqa: PLC0415

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
            yield _check_model(service, models[name])
        else:
            yield Finding(False, f"model {name} is configured and not loaded")


def _check_model(service: Service, model: Model) -> Finding:
    from trihook.calls import HookCall  # noqa: PLC0415
    from trihook.errors import MisfitError, ScoringError  # noqa: PLC0415
    from trihook.triton.inputs import build_inputs  # noqa: PLC0415
    from trihook.types import ScoringRequest  # noqa: PLC0415

    hooks, call = service.plugins.hooks, HookCall("preprocess")
    try:
        item = hooks.example(HookCall("example"), model)
        if item is None:
            return Finding(False, f"model {model}: no plugin gives an example for it")
        inference = hooks.preprocess(call, item, model, ScoringRequest((item,)))
        if inference is None:
            return Finding(False, f"model {model}: no plugin takes its own example")
        build_inputs(inference, model)
    except MisfitError as exc:
        return Finding(False, f"model {model}: plugin {call.answered}: {exc}")
    except ScoringError as exc:
        return Finding(False, f"model {model}: {exc}")
    inputs = ", ".join(map(str, model.inputs))
    if call.answered == "core":
        what = f"model {model} takes JSON tensors for {inputs}; no plugin gives an example for it"
        return Finding(True, what)
    return Finding(True, f"model {model} takes what plugin {call.answered} makes for {inputs}")
