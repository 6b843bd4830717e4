"""Triton's wire format for inferences: a JSON header, then the tensors' bytes.

Source: the Open Inference Protocol with Triton's binary tensor data extension. tritonclient
would copy every tensor three times, and does not check replies against what the model declares
and what was asked.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson

from trihook.errors import MisfitError
from trihook.triton.connections import Buffer
from trihook.triton.dtypes import BF16, DTYPES, Array, cast
from trihook.triton.shared_memory import Region
from trihook.triton.stacking import Pieces
from trihook.types import Model, Parameter, RequestedOutput

_COPIED_BELOW = 16384  # bytes
_LENGTH = struct.Struct("<I").pack
_read_length = struct.Struct("<I").unpack_from


class WireError(ValueError):
    """A reply is not what the protocol, the model or the request says; private to the client."""


def encode_request(
    tensors: Pieces,
    model: Model,
    outputs: Sequence[RequestedOutput],
    request_id: str,
    region: Region | None = None,
    parameters: Mapping[str, Parameter] = MappingProxyType({}),
) -> tuple[list[Buffer], int]:
    """Return the body of an inference in buffers, and the length of the first, its JSON header.

    ``tensors`` are fitted: of the declared datatypes, with their batch dimension. The buffers
    are the arrays themselves wherever their memory is what goes over the wire. With a ``region``
    of at least :func:`shareable_size` numbers are written there instead, if there are any: Triton
    takes no place for none, at the end of a region least of all.
    """
    entries = []
    buffers: list[Buffer] = [b""]
    shared = 0
    for spec in model.inputs:
        if spec.name in tensors:
            pieces = tensors[spec.name]
            data = [_encode_array(piece, spec.datatype) for piece in _gather(pieces)]
            size = sum(map(len, data))
            place: dict[str, Any] = {"binary_data_size": size}
            if region is not None and size and spec.datatype != "BYTES":
                place = region.write(data, shared)
                shared += size
            else:
                buffers += data
            entries.append(
                {
                    "name": spec.name,
                    "shape": _shape(pieces),
                    "datatype": spec.datatype,
                    "parameters": place,
                }
            )
    header: dict[str, Any] = {"inputs": entries}
    if request_id:
        header["id"] = request_id
    if outputs:
        header["outputs"] = [_describe_output(output) for output in outputs]
        if parameters:
            header["parameters"] = dict(parameters)
    else:
        header["parameters"] = {"binary_data_output": True, **parameters}
    buffers[0] = orjson.dumps(header)
    return buffers, len(buffers[0])


def shareable_size(tensors: Pieces) -> int:
    """Return how many bytes of shared memory hold all numbers among the tensors."""
    return sum([p.nbytes for pieces in tensors.values() for p in pieces if p.dtype.kind != "O"])


def _gather(pieces: Sequence[Array]) -> Sequence[Array]:
    """Return small pieces as one: that is quicker than to send each as it lies in memory."""
    if len(pieces) == 1 or len(pieces) * pieces[0].nbytes > _COPIED_BELOW:
        return pieces
    return [np.concatenate(pieces)]


def _encode_array(array: Array, datatype: str) -> Buffer:
    if datatype == "BYTES":
        return _encode_bytes(array)
    wired = array.astype(BF16) if datatype == "BF16" else array
    return wired.reshape(-1).view(np.uint8).data


class _Framed(dict[bytes, bytes]):
    """Texts as the protocol has them: each with its length before it, 4 bytes.

    It keeps the shortest alone: of texts that are taken apart most are one character, or the
    padding.
    """

    def __missing__(self, text: bytes) -> bytes:
        return _LENGTH(len(text)) + text


_FRAMED = _Framed()
_FRAMED.update({text: _FRAMED[text] for text in (b"", *map(bytes, zip(range(256))))})


def _encode_bytes(array: Array) -> bytes:
    return b"".join(map(_FRAMED.__getitem__, array.ravel().tolist()))


def _shape(pieces: Sequence[Array]) -> tuple[int, ...]:
    shape = pieces[0].shape
    return shape if len(pieces) == 1 else (sum(map(len, pieces)), *shape[1:])


def _describe_output(output: RequestedOutput) -> dict[str, Any]:
    parameters: dict[str, Any] = {"binary_data": True}
    if output.class_count:
        parameters["classification"] = output.class_count
    return {"name": output.name, "parameters": parameters}


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
        flat = np.array(_split(bytes(buffer)), object)
    elif datatype == "BF16":
        flat = np.frombuffer(buffer, BF16).astype(np.float32)
    else:
        flat = np.frombuffer(buffer, DTYPES[datatype])
    array = flat.reshape(entry["shape"])
    if array.shape != tuple(entry["shape"]):
        raise WireError("the reply holds a shape that is none")
    return array


def _split(data: bytes) -> list[bytes]:
    """Take the elements of a BYTES tensor apart, each of which has its length before it.

    tritonclient needs two and a half times as long, in a worker that answers nobody meanwhile.
    """
    elements = []
    end = 0
    while end < len(data):
        start = end + 4
        end = start + _read_length(data, end)[0]
        elements.append(data[start:end])
    if end > len(data):
        raise WireError("the reply ends in the middle of a text")
    return elements


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
