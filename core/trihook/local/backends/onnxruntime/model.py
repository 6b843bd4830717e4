"""Triton's ``onnxruntime`` backend in Python, for the embedded Triton, whose wheel has none.

Triton runs this file in its Python stub, one process a model instance, for each model whose
version folder holds ``model.onnx``. It imports ONNX Runtime, what Triton provides, and the
modules beside it, which the launcher copies into the backend's folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import triton_python_backend_utils as pb_utils

if TYPE_CHECKING:
    from trihook.local.backends.onnxruntime import (
        onnx_batch,
        onnx_session,
        onnx_signature,
        onnx_strings,
    )
else:  # in the stub they are top-level modules
    import onnx_batch
    import onnx_session
    import onnx_signature
    import onnx_strings

pb_utils.deserialize_bytes_tensor = onnx_strings.deserialize  # Triton looks it up for each tensor


class TritonPythonModel:
    """One instance of one ONNX model."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Fill in what the model's configuration leaves out, from the ONNX file."""
        session = onnx_session.open_for_reading(_model_path())
        fields = config.as_dict()
        # not by Triton's setters: they refuse "reshape", which vectors of a batch need
        fields.update(onnx_signature.complete(fields, onnx_session.read_signature(session)))
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model, and refuse a configuration that does not fit it."""
        config = json.loads(args["model_config"])
        self._session = onnx_session.open_for_inference(_model_path(), config)
        signature = onnx_session.read_signature(self._session)
        onnx_signature.validate(config, signature)
        self._batched = config["max_batch_size"] > 0
        self._outputs = [tensor["name"] for tensor in config["output"]]
        self._scalars = onnx_signature.scalar_shapes(config, signature)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer the requests that Triton has for this instance, by one inference if possible."""
        calls = [self._read(place, request) for place, request in enumerate(requests)]
        groups = onnx_batch.group_by_shape(calls) if self._batched else [[call] for call in calls]
        responses: list[Any] = [None] * len(requests)
        for group in groups:
            for call, response in zip(group, self._answer(group), strict=True):
                responses[call.place] = response
        return responses

    def _read(self, place: int, request: Any) -> onnx_batch.Call:
        feed = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        rows = len(next(iter(feed.values()))) if self._batched else 1
        return onnx_batch.Call(place, feed, request.requested_output_names(), rows)

    def _answer(self, calls: Sequence[onnx_batch.Call]) -> list[Any]:
        try:
            return [_respond(reply) for reply in self._infer(calls)]
        except Exception as exc:  # noqa: BLE001 - whatever it is, only these requests fail
            if len(calls) == 1:
                return [_refuse(str(exc))]
            return [response for call in calls for response in self._answer([call])]

    def _infer(self, calls: Sequence[onnx_batch.Call]) -> list[dict[str, onnx_batch.Array]]:
        names = onnx_batch.requested(calls, self._outputs)
        feed = self._reshape(onnx_batch.stack(calls), to_scalars=True)
        arrays = dict(zip(names, self._session.run(names, feed), strict=True))
        if self._batched:
            return onnx_batch.split(arrays, calls)
        return [self._reshape(arrays, to_scalars=False)]

    def _reshape(
        self, arrays: dict[str, onnx_batch.Array], *, to_scalars: bool
    ) -> dict[str, onnx_batch.Array]:
        """Turn the model's scalars into what Triton writes them as, or back."""
        for name in self._scalars.keys() & arrays.keys() if self._scalars else ():
            arrays[name] = arrays[name].reshape(() if to_scalars else self._scalars[name])
        return arrays


def _respond(arrays: Mapping[str, onnx_batch.Array]) -> Any:
    tensors = [pb_utils.Tensor(name, array) for name, array in arrays.items()]
    return pb_utils.InferenceResponse(tensors)


def _refuse(message: str) -> Any:
    return pb_utils.InferenceResponse([], pb_utils.TritonError(message))


def _model_path() -> str:
    """Return the ONNX file's path, which Triton tells the stub on its command line only."""
    return Path("/proc/self/cmdline").read_bytes().split(b"\0")[1].decode()
