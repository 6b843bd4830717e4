"""What an ONNX model's inputs and outputs make of a Triton model configuration.

The rules are those of Triton's own ONNX Runtime backend (``AutoCompleteConfig``,
``ValidateInputs`` and ``ValidateOutputs`` in
https://github.com/triton-inference-server/onnxruntime_backend/blob/main/src/onnxruntime.cc).
This module runs in Triton's Python stub too, and imports the standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

DEFAULT_MAX_BATCH_SIZE = 4
"""Triton's ``default-max-batch-size``, where a configuration names none."""

TRITON_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}

Config = dict[str, Any]
"""A model configuration as Triton gives it to the stub: the protobuf message as JSON."""


class NodeArg(Protocol):
    """An input or output as ``onnxruntime.InferenceSession`` describes it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


@dataclass(frozen=True)
class Tensor:
    """An input or output of the model, its batch dimension included; -1 is any length."""

    name: str
    datatype: str
    dims: tuple[int, ...]

    @property
    def batches(self) -> bool:
        """Whether the first dimension may be a batch's."""
        return bool(self.dims) and self.dims[0] == -1


@dataclass(frozen=True)
class Signature:
    """A model's tensors. ``initializers`` are weights that a request may replace."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    initializers: tuple[Tensor, ...] = ()

    @property
    def batches(self) -> bool:
        """Whether every input and output can have a batch dimension."""
        return all(tensor.batches for tensor in (*self.inputs, *self.outputs))


def read_tensors(args: Iterable[NodeArg]) -> tuple[Tensor, ...]:
    """Translate ONNX Runtime's description; raise ValueError for a type that Triton lacks."""
    return tuple(_read_tensor(arg) for arg in args)


def _read_tensor(arg: NodeArg) -> Tensor:
    datatype = TRITON_TYPES.get(arg.type)
    if datatype is None:
        raise ValueError(f"tensor '{arg.name}' is of type {arg.type}, which is not supported")
    dims = (size if isinstance(size, int) and size >= 0 else -1 for size in arg.shape)
    return Tensor(arg.name, datatype, tuple(dims))


def complete(config: Config, signature: Signature) -> Config:
    """Return the fields that a configuration lacks, as the native backend would fill them in.

    Nothing is added where both inputs and outputs are given. Raises ValueError where
    ``max_batch_size`` is given for a model that has no batch dimension.
    """
    has_inputs = bool(config["input"] or config["batch_input"])
    if has_inputs and config["output"]:
        return {}
    max_batch_size = config["max_batch_size"]
    if max_batch_size > 0 and not signature.batches:
        raise ValueError(
            f"max_batch_size is {max_batch_size}, but the model does not support batching: the "
            "first dimension of each input and output would have to be dynamic"
        )
    if signature.batches:
        max_batch_size = max_batch_size or DEFAULT_MAX_BATCH_SIZE
    fields: Config = {"max_batch_size": max_batch_size}
    if max_batch_size > 1 and not {"sequence_batching", "dynamic_batching"} & config.keys():
        fields["dynamic_batching"] = {}
    if not has_inputs:
        fields["input"] = [_declare(tensor, max_batch_size > 0) for tensor in signature.inputs]
    if not config["output"]:
        fields["output"] = [_declare(tensor, max_batch_size > 0) for tensor in signature.outputs]
    return fields


def _declare(tensor: Tensor, batched: bool) -> Config:
    dims = list(tensor.dims[1:] if batched else tensor.dims)
    field: Config = {"name": tensor.name, "data_type": tensor.datatype, "dims": dims or [1]}
    if batched and not dims:
        field["reshape"] = {"shape": []}  # Triton knows no tensor without dimensions
    return field


def validate(config: Config, signature: Signature) -> None:
    """Raise ValueError naming the first tensor in which configuration and model disagree."""
    for field in ("batch_input", "batch_output"):
        if config[field]:
            raise ValueError(f"{field} is not supported by the embedded Triton")
    batched = config["max_batch_size"] > 0
    optional = [tensor["name"] for tensor in config["input"] if tensor.get("optional")]
    if batched and optional:
        raise ValueError(f"input '{optional[0]}' cannot be optional in a model that batches")
    inputs = {tensor.name: tensor for tensor in (*signature.inputs, *signature.initializers)}
    for declared in config["input"]:
        _compare("input", declared, inputs, batched, exact=False)
    outputs = {tensor.name: tensor for tensor in signature.outputs}
    for declared in config["output"]:
        _compare("output", declared, outputs, batched, exact=True)
    required = {tensor["name"] for tensor in config["input"]} - {*optional}
    required |= _control_inputs(config)
    missing = [tensor.name for tensor in signature.inputs if tensor.name not in required]
    if missing:
        raise ValueError(f"the configuration lacks the model's required input '{missing[0]}'")


def scalar_shapes(config: Config, signature: Signature) -> dict[str, tuple[int, ...]]:
    """Return the shapes that requests and replies give to the model's tensors without dimensions.

    Triton has none such outside of a batch: it writes a scalar as ``[1]``.
    """
    if config["max_batch_size"] > 0:
        return {}
    scalars = {t.name for t in (*signature.inputs, *signature.outputs) if not t.dims}
    declared = (*config["input"], *config["output"])
    return {t["name"]: tuple(map(int, t["dims"])) for t in declared if t["name"] in scalars}


def _control_inputs(config: Config) -> set[str]:
    sequence = config.get("sequence_batching", {})
    if sequence.get("state"):
        raise ValueError("sequence_batching.state is not supported by the embedded Triton")
    return {control["name"] for control in sequence.get("control_input", ())}


def _compare(
    kind: str, declared: Config, tensors: Mapping[str, Tensor], batched: bool, *, exact: bool
) -> None:
    tensor = tensors.get(declared["name"])
    if tensor is None:
        raise ValueError(
            f"the configuration declares {kind} '{declared['name']}', and the model's are "
            + ", ".join(f"'{name}'" for name in sorted(tensors))
        )
    if declared["data_type"] != tensor.datatype:
        raise ValueError(
            f"{kind} '{tensor.name}' is {tensor.datatype} in the model and "
            f"{declared['data_type']} in the configuration"
        )
    dims = [int(size) for size in declared.get("reshape", declared).get("shape", declared["dims"])]
    if not _dims_agree(tensor, dims, batched, exact):
        whole = [-1, *dims] if batched else dims
        raise ValueError(
            f"{kind} '{tensor.name}' has shape {list(tensor.dims)} in the model and {whole} in "
            f"the configuration (max_batch_size {'above' if batched else 'is'} 0)"
        )


def _dims_agree(tensor: Tensor, dims: list[int], batched: bool, exact: bool) -> bool:
    if batched:
        dims = [-1, *dims]
    elif not tensor.dims:
        return all(size == 1 for size in dims)  # a scalar, which Triton writes as [1]
    if len(tensor.dims) != len(dims) or (batched and not tensor.batches):
        return False
    return all(
        model == size or (model == -1 and not exact)
        for model, size in zip(tensor.dims, dims, strict=True)
    )
