"""Models as values, built from Triton's metadata and model configuration.

Source: the JSON of ``GET /v2/models/<name>`` (Open Inference Protocol, metadata) and of
``GET /v2/models/<name>/config`` (Triton's model configuration extension).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trihook.errors import TritonError
from trihook.triton.dtypes import DTYPES
from trihook.types import Model, Option, TensorSpec


def build_model(
    metadata: Mapping[str, Any], config: Mapping[str, Any], options: Mapping[str, Option]
) -> Model:
    """Build a model from the two replies; ``options`` override the config's ``parameters``.

    The version is the highest that the metadata lists. Raises :class:`TritonError` if a reply
    is not what the protocol says, or holds a datatype that no one knows.
    """
    try:
        return _build(metadata, config, options)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise TritonError("Triton described a model in a way that cannot be read") from exc


def _build(
    metadata: Mapping[str, Any], config: Mapping[str, Any], options: Mapping[str, Option]
) -> Model:
    batched = int(config.get("max_batch_size", 0)) > 0
    versions = tuple(sorted(metadata.get("versions") or ["1"], key=_version_order))
    parameters = {k: v["string_value"] for k, v in (config.get("parameters") or {}).items()}
    declared = {entry["name"]: entry for entry in config.get("input") or ()}
    return Model(
        name=metadata["name"],
        version=versions[-1],
        inputs=tuple(_tensor(e, batched, declared.get(e["name"], {})) for e in metadata["inputs"]),
        outputs=tuple(_tensor(e, batched, {}) for e in metadata["outputs"]),
        max_batch_size=int(config.get("max_batch_size", 0)),
        platform=str(metadata.get("platform", "")),
        versions=versions,
        dynamic_batching="dynamic_batching" in config,
        stateful="sequence_batching" in config,
        decoupled=bool((config.get("model_transaction_policy") or {}).get("decoupled")),
        instances=sum(map(_count_instances, config.get("instance_group") or ())) or 1,
        options={**parameters, **options},
    )


def _tensor(entry: Mapping[str, Any], batched: bool, declared: Mapping[str, Any]) -> TensorSpec:
    shape = tuple(int(size) for size in entry["shape"])
    if entry["datatype"] not in DTYPES:
        raise ValueError(f"unknown datatype {entry['datatype']!r}")
    return TensorSpec(
        name=entry["name"],
        datatype=entry["datatype"],
        shape=shape[1:] if batched else shape,
        optional=bool(declared.get("optional")),
        layout={"FORMAT_NCHW": "NCHW", "FORMAT_NHWC": "NHWC"}.get(declared.get("format", ""), ""),
    )


def _count_instances(group: Mapping[str, Any]) -> int:
    """Return how many instances a group has: so many on each GPU that it names, else in all."""
    return int(group.get("count", 1)) * max(1, len(group.get("gpus") or ()))


def _version_order(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (-1, version)
