"""The generated files: their texts, from templates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from trihook.generate.azureml.deployment import Deployment
from trihook.generate.azureml.requirements import Requirement
from trihook.generate.azureml.v1 import render_v1

WHEELS = "wheels"
_TEMPLATES = (
    "Dockerfile",
    "conda.yml",
    "deployment.yml",
    "endpoint.yml",
    "environment.yml",
    "kubernetes-deployment.yml",
    "kubernetes-endpoint.yml",
    "model.yml",
    "requirements.txt",
    "start.sh",
)


def render_files(
    deployment: Deployment,
    entry_script: bytes,
    requirements: Iterable[Requirement],
    wheels: Mapping[str, bytes],
) -> dict[str, bytes]:
    """Return every file of a deployment by its path in the folder; equal values, equal bytes.

    ``wheels`` are those of :func:`pack_wheels` for the same requirements.
    """
    packed = [f"./{WHEELS}/{name}" for name in sorted(wheels)]
    pip = [*packed, *(each.line for each in requirements if each.folder is None)]
    files = {path: text.encode() for path, text in _render_templates(deployment, pip).items()}
    files |= {path: text.encode() for path, text in render_v1(deployment, pip).items()}
    files |= {f"{WHEELS}/{name}": wheel for name, wheel in wheels.items()}
    files[deployment.entry_script] = entry_script
    return dict(sorted(files.items()))


def _render_templates(deployment: Deployment, pip: Sequence[str]) -> dict[str, str]:
    environment = Environment(
        loader=PackageLoader("trihook.generate.azureml"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - neither YAML nor a Dockerfile is HTML
        trim_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="<#",  # bash counts with {#
        comment_end_string="#>",
    )
    # a JSON string is a YAML string, whatever it holds
    environment.filters["quoted"] = lambda value: json.dumps(value, ensure_ascii=False)
    values = {
        "deployment": deployment,
        "pip": pip,
        "has_wheels": any(line.startswith(f"./{WHEELS}/") for line in pip),
    }
    return {name: environment.get_template(name).render(values) for name in _TEMPLATES}
