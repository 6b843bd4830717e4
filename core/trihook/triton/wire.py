"""Triton's wire format for inferences: a JSON header, then the tensors' bytes.

Source: the Open Inference Protocol with Triton's binary tensor data extension. Requests are
built by tritonclient; replies are read here, because every one is checked against what the
model declares and what was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import deserialize_bytes_tensor

from trihook.errors import MisfitError
from trihook.triton.dtypes import BF16, DTYPES, Array, cast
from trihook.types import Model, RequestedOutput


class WireError(ValueError):
    """A reply is not what the protocol, the model or the request says; private to the client."""


def encode_request(
    tensors: Mapping[str, Array],
    model: Model,
    outputs: Sequence[RequestedOutput],
    request_id: str,
) -> tuple[bytes, int | None]:
    """Return the body of an inference and the length of its JSON header.

    ``tensors`` are fitted: of the declared datatypes, with their batch dimension.
    """
    inputs = []
    for spec in model.inputs:
        if spec.name in tensors:
            array = tensors[spec.name]
            wired = InferInput(spec.name, list(array.shape), spec.datatype)
            wire_array = array.astype(BF16) if spec.datatype == "BF16" else array
            wired.set_data_from_numpy(wire_array, binary_data=True)
            inputs.append(wired)
    wanted = [
        InferRequestedOutput(output.name, binary_data=True, class_count=output.class_count)
        for output in outputs
    ]
    body, header_length = InferenceServerClient.generate_request_body(
        inputs, outputs=wanted or None, request_id=request_id
    )
    return body, header_length


def decode_reply(
    body: bytes,
    header_length: int | None,
    model: Model,
    outputs: Sequence[RequestedOutput],
    request_id: str,
    rows: int,
) -> tuple[dict[str, Array], str]:
    """Return the output tensors by name, and the version that answered.

    ``rows`` is the length of the batch dimension that must come back, 0 where there is none.
    The arrays are read-only, and views of ``body`` where they can be. Raises :class:`WireError`
    or another ``ValueError``, ``KeyError``, ``TypeError``, ``AttributeError`` or
    ``struct.error`` for anything that is not a reply to this request.
    """
    length = len(body) if header_length is None else header_length
    if not 0 <= length <= len(body):
        raise WireError("the reply's header is longer than the reply")
    header = orjson.loads(memoryview(body)[:length])
    if header.get("id", "") != request_id:
        raise WireError("the reply belongs to another request")
    buffers = memoryview(body)[length:]
    tensors: dict[str, Array] = {}
    for entry in header["outputs"]:
        size = (entry.get("parameters") or {}).get("binary_data_size")
        if size is not None and not 0 <= size <= len(buffers):
            raise WireError("the reply ends in the middle of a tensor")
        array = _decode_tensor(entry, None if size is None else buffers[:size])
        _check_declared(entry, array, model, outputs, rows)
        array.flags.writeable = False
        tensors[entry["name"]] = array
        buffers = buffers[size or 0 :]
    names = {output.name for output in outputs} or {spec.name for spec in model.outputs}
    if buffers or names != set(tensors) or len(tensors) != len(header["outputs"]):
        raise WireError("the reply does not hold the outputs that were asked for")
    return tensors, str(header.get("model_version", ""))


def _decode_tensor(entry: Mapping[str, Any], buffer: memoryview | None) -> Array:
    datatype = entry["datatype"]
    if buffer is None:
        flat = _decode_data(entry["data"], datatype)
    elif datatype == "BYTES":
        flat = deserialize_bytes_tensor(bytes(buffer)) if len(buffer) else np.empty(0, object)
    elif datatype == "BF16":
        flat = np.frombuffer(buffer, BF16).astype(np.float32)
    else:
        flat = np.frombuffer(buffer, DTYPES[datatype])
    array = flat.reshape(entry["shape"])
    if array.shape != tuple(entry["shape"]):
        raise WireError("the reply holds a shape that is none")
    return array


def _decode_data(values: Any, datatype: str) -> Array:
    """Return the values of a tensor that came as JSON, in the datatype that it claims."""
    try:
        return cast(np.asarray(values, dtype=object if datatype == "BYTES" else None), datatype)
    except MisfitError as exc:
        raise WireError(f"the reply's data is no {datatype}") from exc


def _check_declared(
    entry: Mapping[str, Any],
    array: Array,
    model: Model,
    outputs: Sequence[RequestedOutput],
    rows: int,
) -> None:
    spec = model.output(entry["name"])
    if spec is None:
        raise WireError("the reply holds an output that the model does not declare")
    datatype, shape = spec.datatype, spec.shape
    classes = next((output.class_count for output in outputs if output.name == spec.name), 0)
    if classes:
        # Triton's classification extension: texts, at most so many, for each row
        datatype, shape = "BYTES", (min(classes, array.shape[-1]) if array.ndim else 0,)
    if entry["datatype"] != datatype or not _fits(array.shape, shape, rows):
        raise WireError(f"output {spec} came as {entry['datatype']} {entry['shape']}")


def _fits(shape: Sequence[int], declared: Sequence[int], rows: int) -> bool:
    declared = (rows, *declared) if rows else declared
    return len(shape) == len(declared) and all(
        want in (-1, size) for size, want in zip(shape, declared, strict=True)
    )
