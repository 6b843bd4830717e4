"""A client of a Triton that is a Python function: the server's side of the protocol, no network.

Source: the Open Inference Protocol with Triton's binary tensor data extension.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import unquote

import numpy as np
import orjson
from numpy.typing import ArrayLike
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from trihook.deadline import Deadline
from trihook.errors import MisfitError, ScoringError, TritonUnavailableError
from trihook.triton.answers import Answer
from trihook.triton.client import TritonClient
from trihook.triton.connections import Buffer
from trihook.triton.dtypes import BF16, DTYPES, Array, cast
from trihook.types import Model, Option, TensorSpec

Infer: TypeAlias = Callable[[Model, Mapping[str, Array]], Mapping[str, ArrayLike]]
"""Stands in for Triton: all arrays have the batch dimension, where the model has one."""

_MODEL_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(config|ready|infer))?")


class FakeTriton(TritonClient):
    """A client whose Triton is a function: answers its requests without a network.

    What ``infer`` raises is a refusal by Triton; a :class:`trihook.ScoringError` is raised as
    it is, and what it must not return is a ``TypeError`` or ``ValueError``. ``models`` may be
    changed, and ``reachable`` set to False. ``inferences`` are the inputs of all inferences, in
    order, and ``parameters`` what came with each.
    """

    def __init__(self, models: Iterable[Model], infer: Infer) -> None:
        super().__init__("fake.invalid:8000")
        self.models = {model.name: model for model in models}
        self.reachable = True
        self.inferences: list[dict[str, Array]] = []
        self.parameters: list[dict[str, Any]] = []
        self._infer = infer

    def request(
        self,
        method: str,
        path: str,
        body: Sequence[Buffer] = (),
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
    ) -> Answer:
        """Answer as Triton's HTTP service does."""
        del method, deadline
        if not self.reachable:
            raise TritonUnavailableError("Triton cannot be reached")
        if path == "/v2/health/ready":
            return Answer(200, b"")
        if path == "/v2/repository/index":
            return _json(
                [
                    {"name": model.name, "version": version, "state": "READY"}
                    for model in self.models.values()
                    for version in model.versions
                ]
            )
        match = _MODEL_PATH.fullmatch(path)
        name, version, action = match.groups() if match else ("", "", "")
        model = self.models.get(unquote(name))
        if model is None or version not in (None, *model.versions):
            return _json({"error": "unknown model"}, 404)
        if action == "infer":
            return self._answer_inference(
                model, version or model.version, b"".join(body), headers or {}
            )
        return _json(_config(model) if action == "config" else _metadata(model))

    def _answer_inference(
        self, model: Model, version: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        length = int(headers.get("Inference-Header-Content-Length", len(body)))
        asked = orjson.loads(body[:length])
        inputs = _decode_inputs(asked["inputs"], memoryview(body)[length:])
        self.inferences.append(inputs)
        given = asked.get("parameters", {}).items()
        self.parameters.append({k: v for k, v in given if k != "binary_data_output"})
        try:
            outputs: Any = self._infer(replace(model, version=version), inputs)
        except ScoringError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a model may raise, Triton refuses
            return _json({"error": str(exc)}, 500)
        if not isinstance(outputs, Mapping):
            came = type(outputs).__name__
            raise TypeError(f"infer returned {came}, expected a mapping of outputs to arrays")
        head = {"id": asked.get("id", ""), "model_name": model.name, "model_version": version}
        return _encode_answer(head, asked.get("outputs"), outputs, model)


def _json(value: object, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(value))


def _metadata(model: Model) -> dict[str, Any]:
    batch = [-1] if model.max_batch_size else []

    def describe(spec: TensorSpec) -> dict[str, Any]:
        return {"name": spec.name, "datatype": spec.datatype, "shape": [*batch, *spec.shape]}

    return {
        "name": model.name,
        "versions": model.versions,
        "platform": model.platform,
        "inputs": [describe(spec) for spec in model.inputs],
        "outputs": [describe(spec) for spec in model.outputs],
    }


def _config(model: Model) -> dict[str, Any]:
    formats = {"": "FORMAT_NONE", "NCHW": "FORMAT_NCHW", "NHWC": "FORMAT_NHWC"}
    return {
        "max_batch_size": model.max_batch_size,
        "input": [
            {"name": spec.name, "optional": spec.optional, "format": formats[spec.layout]}
            for spec in model.inputs
        ],
        "instance_group": [{"count": model.instances}],
        "model_transaction_policy": {"decoupled": model.decoupled},
        "parameters": {name: {"string_value": _text(v)} for name, v in model.options.items()},
        **({"dynamic_batching": {}} if model.dynamic_batching else {}),
        **({"sequence_batching": {}} if model.stateful else {}),
    }


def _text(option: Option) -> str:
    """Return an option as config.pbtxt has it."""
    return str(option).lower() if isinstance(option, bool) else str(option)


def _decode_inputs(entries: Iterable[Mapping[str, Any]], buffer: memoryview) -> dict[str, Array]:
    inputs = {}
    for entry in entries:
        size = entry["parameters"]["binary_data_size"]
        inputs[entry["name"]] = _from_bytes(buffer[:size], entry["datatype"], entry["shape"])
        buffer = buffer[size:]
    return inputs


def _from_bytes(buffer: memoryview, datatype: str, shape: Sequence[int]) -> Array:
    if datatype == "BYTES":
        texts: Array = deserialize_bytes_tensor(bytes(buffer))
        return texts.astype(object).reshape(shape)
    wire = BF16 if datatype == "BF16" else DTYPES[datatype]
    return np.frombuffer(buffer, wire).astype(DTYPES[datatype]).reshape(shape)


def _encode_answer(
    head: Mapping[str, Any],
    asked: Sequence[Mapping[str, Any]] | None,
    outputs: Mapping[str, ArrayLike],
    model: Model,
) -> Answer:
    """Encode the outputs that were asked for; a classification is taken as it stands, BYTES."""
    declared = {spec.name: spec.datatype for spec in model.outputs}
    wanted = {entry["name"]: entry.get("parameters", {}) for entry in asked or ()}
    entries, buffers = [], []
    for name, value in outputs.items():
        if wanted and name not in wanted:
            continue
        classified = wanted.get(name, {}).get("classification")
        datatype = "BYTES" if classified else declared.get(name, "FP32")
        array = _to_array(name, value, datatype)
        data = _to_bytes(array, datatype)
        buffers.append(data)
        entries.append(
            {
                "name": name,
                "datatype": datatype,
                "shape": array.shape,
                "parameters": {"binary_data_size": len(data)},
            }
        )
    header = orjson.dumps({**head, "outputs": entries})
    return Answer(200, b"".join([header, *buffers]), len(header))


def _to_array(name: str, value: ArrayLike, datatype: str) -> Array:
    try:
        return cast(np.asarray(value, dtype=object if datatype == "BYTES" else None), datatype)
    except (MisfitError, ValueError) as exc:
        raise ValueError(
            f"infer returned for output {name!r} what is no {datatype}: {exc}"
        ) from exc


def _to_bytes(array: Array, datatype: str) -> bytes:
    if datatype == "BYTES":
        return bytes(serialize_byte_tensor(array).item()) if array.size else b""
    return (array.astype(BF16) if datatype == "BF16" else array).tobytes()
