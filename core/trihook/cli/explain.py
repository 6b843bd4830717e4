"""``trihook explain``: who answered what, and why, for one file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trihook.cli.causes import describe_cause
from trihook.cli.files import InputFile, read_input
from trihook.cli.options import (
    header_option,
    json_option,
    read_settings,
    settings_options,
)

if TYPE_CHECKING:
    from trihook.config import Settings
    from trihook.outcome import Outcome, Scored


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@settings_options
@click.option("--model", default="", help="The model that is to score the file.")
@header_option
@json_option
def explain(
    file: Path,
    config: Path | None,
    model: str,
    headers: dict[str, str],
    as_json: bool,
    **options: Any,
) -> None:
    """Score FILE here, against Triton but without a host, and show each step.

    Says which plugin answered each hook and why, the datatypes and shapes of the tensors,
    and how long each stage took. The status is 1 if an item could not be scored.
    """
    from trihook.replies import encode_json  # noqa: PLC0415 - numpy takes its time

    read = read_input(file)
    outcome = _score(read, model, headers, read_settings(config, **options))
    if as_json:
        click.echo(encode_json(_as_object(read, outcome)))
    else:
        for line in _as_lines(read, outcome):
            click.echo(line)
    if any(one.error for one in outcome.scored):
        sys.exit(1)


def _score(file: InputFile, model: str, headers: dict[str, str], settings: Settings) -> Outcome:
    from trihook.deadline import Deadline  # noqa: PLC0415 - the commands start lean
    from trihook.host.payload import parse_payload  # noqa: PLC0415
    from trihook.plugins import describe_problem  # noqa: PLC0415
    from trihook.runtime import ThreadRuntime  # noqa: PLC0415
    from trihook.service import build_service  # noqa: PLC0415
    from trihook.types import ScoringRequest  # noqa: PLC0415

    payload = parse_payload(file.data, file.media_type, settings.max_items)
    request = ScoringRequest(
        payload.items,
        model=model,
        headers={name.lower(): value for name, value in headers.items()},
        id="explain",
        many=payload.many,
        size=len(file.data),
    )
    lenient = settings.model_copy(update={"skip_broken_plugins": True})
    service = build_service(lenient, ThreadRuntime(settings.hook_threads))
    for absent in (*service.plugins.absent, *service.plugins.unblocked):
        click.echo(f"Warning: {absent}", err=True)
    for problem in service.plugins.problems:
        click.echo(f"Error: {describe_problem(problem)}", err=True)
    try:
        return service.pipeline.score(request, Deadline.after(settings.timeout))
    finally:
        service.close()


def _as_object(file: InputFile, outcome: Outcome) -> dict[str, Any]:
    return {
        "file": str(file.path),
        "media_type": file.media_type,
        "model": str(outcome.model),
        "selected_by": outcome.selected_by,
        "reason": outcome.ref.reason,
        "seconds": outcome.seconds,
        "items": [
            {
                "preprocessed_by": one.preprocessed_by,
                "inputs": _tensors(_inputs(one)),
                "outputs": _tensors(one.outputs),
                "postprocessed_by": one.postprocessed_by,
                "reply": one.reply.value if one.reply else None,
                "error": one.error.message if one.error else None,
            }
            for one in outcome.scored
        ],
    }


def _as_lines(file: InputFile, outcome: Outcome) -> Iterator[str]:
    because = f", because {outcome.ref.reason}" if outcome.ref.reason else ""
    yield f"file          {file.path} ({file.media_type}, {len(file.data)} bytes)"
    yield f"select_model  {outcome.selected_by}: {outcome.model}{because}"
    for index, one in enumerate(outcome.scored):
        if len(outcome.scored) > 1:
            yield f"item {index}"
        yield from _item_lines(one)
    times = (f"{stage} {1000 * spent:.1f} ms" for stage, spent in outcome.seconds.items())
    yield f"time          {', '.join(times)}"


def _item_lines(one: Scored) -> Iterator[str]:
    from trihook.replies import holds_json  # noqa: PLC0415

    if one.inputs is not None:
        yield f"preprocess    {one.preprocessed_by}: {_listed(_inputs(one))}"
    if one.outputs:
        yield f"infer         {_listed(one.outputs)}"
    if one.error is not None:
        yield f"{one.error.stage:<12}  error: {one.error}"
        if because := describe_cause(one.error):
            yield f"because       {because}"
    elif one.reply is not None:
        said = one.body.decode() if holds_json(one.reply) else f"{len(one.body)} bytes"
        yield f"postprocess   {one.postprocessed_by}: {said}"


def _inputs(one: Scored) -> dict[str, Any]:
    """Return an item's input tensors as its plugin made them, not as a batch."""
    if one.inputs is None:
        return {}
    return {
        name: array[0] if one.inputs.squeeze else array
        for name, array in one.inputs.tensors.items()
    }


def _tensors(tensors: Any) -> dict[str, dict[str, Any]]:
    return {
        name: {"dtype": str(array.dtype), "shape": list(array.shape)}
        for name, array in tensors.items()
    }


def _listed(tensors: Any) -> str:
    return ", ".join(f"{n} {array.dtype} {list(array.shape)}" for n, array in tensors.items())
