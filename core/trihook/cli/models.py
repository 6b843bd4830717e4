"""``trihook models``: what Triton has loaded."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from trihook.cli.options import config_option, json_option, read_settings, triton_option
from trihook.cli.tables import format_table


@click.command()
@config_option
@triton_option
@json_option
def models(config: Path | None, as_json: bool, **options: Any) -> None:
    """List the models that Triton has loaded: inputs, outputs, datatypes, shapes, batch size.

    Shapes leave the batch dimension out; ? stands for any length. A batch size of 0 means
    that the model has no batch dimension.
    """
    from trihook.replies import encode_json  # noqa: PLC0415 - numpy takes its time
    from trihook.triton.catalog import Catalog  # noqa: PLC0415
    from trihook.triton.client import TritonClient  # noqa: PLC0415

    settings = read_settings(config, **options)
    catalog = Catalog(TritonClient(settings.triton_url), settings.options_of)
    catalog.refresh()
    found = catalog.models.values()
    if as_json:
        click.echo(encode_json([asdict(model) for model in found]))
        return
    header = ("MODEL", "VERSION", "BATCH", "INPUTS", "OUTPUTS")
    rows: list[tuple[str, ...]] = []
    for model in found:
        tensors = max(len(model.inputs), len(model.outputs))
        for line in range(tensors):
            first = (model.name, model.version, str(model.max_batch_size))
            rows.append(
                (
                    *(first if line == 0 else ("", "", "")),
                    str(model.inputs[line]) if line < len(model.inputs) else "",
                    str(model.outputs[line]) if line < len(model.outputs) else "",
                )
            )
    click.echo(format_table(header, rows))
