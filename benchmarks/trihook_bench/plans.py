"""Write down what the load generator sends to a system, and what it must get back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from trihook_bench.peers import Target
from trihook_bench.works import Case, Work

Fields: TypeAlias = "dict[str, str | int | float]"

NONCES = 1024
_LENGTH = "Inference-Header-Content-Length"
_TOLERANCE = 1e-3
_KINDS = {"float32": "FP32", "object": "BYTES"}


def write_plan(
    folder: Path, work: Work, cases: list[Case], target: Target, nonces: int = NONCES
) -> Path:
    """Write the plan of one work for one system into ``folder``; return the Lua file.

    The folder holds each case's body, cut in two where a nonce goes. Each thread of the load
    generator makes ``nonces`` requests in advance, and sends them again and again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    blocks = []
    for index, case in enumerate(cases):
        stem = folder / str(index)
        build = _tensor_case if target.body == "tensor" else _plain_case
        fields, headers = build(stem, work, case, target)
        blocks.append(f"{{headers = {_table(headers)}, {', '.join(_pairs(fields))}}},")
    file = folder / "plan.lua"
    opening = (
        f"return {{path = {_quote(target.path)}, nonces = {nonces if work.nonce else 0}, cases = {{"
    )
    file.write_text("\n".join([opening, *blocks, "}}\n"]))
    return file


def _plain_case(
    stem: Path, work: Work, case: Case, target: Target
) -> tuple[Fields, Mapping[str, str]]:
    """Describe a request as callers send it: the reply holds the answer, or twice the nonce."""
    body = target.wrapped(case.body)
    before, after = body.split(b"0.0", 1) if work.nonce else (body, b"")
    fields: Fields = _write(stem, before=before, after=after)
    if target.check == "none":
        fields["check"] = "none"
    elif work.nonce:
        fields |= {"check": "number", "nonce": "text", "shortest": len(body) // 2}
        if case.ending:
            fields |= _write(stem, ending=case.ending.encode())
    else:
        fields |= {"check": "text", "text": json.dumps(case.answer)}
    return fields, {"Content-Type": work.media_type, **dict(target.headers)}


def _tensor_case(
    stem: Path, work: Work, case: Case, _target: Target
) -> tuple[Fields, Mapping[str, str]]:
    """Describe a request as Triton takes it: the reply ends with the outputs' bytes."""
    body, length = _encode(case)
    before, after = (body[:length], body[length + 4 :]) if work.nonce else (body, b"")
    fields: Fields = _write(stem, before=before, after=after)
    outputs = np.concatenate([value.ravel() for value in case.outputs.values()])
    if outputs.dtype != np.float32:
        fields |= {"check": "bytes", **_write(stem, bytes=outputs.tobytes())}
    else:
        best = 0 if work.nonce else int(outputs.argmax())
        fields |= {"check": "float", "from_end": 4 * (len(outputs) - best)}
        fields |= {"value": float(outputs[best]), "tolerance": 0 if work.nonce else _TOLERANCE}
        fields |= {"nonce": "float32"} if work.nonce else {}
    return fields, {"Content-Type": "application/octet-stream", _LENGTH: str(length)}


def _encode(case: Case) -> tuple[bytes, int]:
    """Return an inference request with binary tensors, and how long its JSON header is."""
    inputs = []
    for name, value in case.tensors.items():
        tensor = InferInput(name, list(value.shape), _KINDS[str(value.dtype)])
        inputs.append(tensor.set_data_from_numpy(value, binary_data=True))
    outputs = [InferRequestedOutput(name, binary_data=True) for name in case.outputs]
    body, length = InferenceServerClient.generate_request_body(inputs, outputs)
    return bytes(body), int(length)


def _write(stem: Path, **parts: bytes) -> Fields:
    fields: Fields = {}
    for name, content in parts.items():
        path = stem.with_suffix(f".{name}")
        path.write_bytes(content)
        fields[name] = str(path)
    return fields


def _pairs(fields: Mapping[str, str | int | float]) -> Iterator[str]:
    for name, value in fields.items():
        yield f"{name} = {_quote(value) if isinstance(value, str) else value}"


def _table(texts: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"[{_quote(k)}] = {_quote(v)}" for k, v in texts.items()) + "}"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
