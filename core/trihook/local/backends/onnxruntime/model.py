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
    from trihook.local.backends.onnxruntime import onnx_batch, onnx_session, onnx_signature
else:  # in the stub they are top-level modules
    import onnx_batch
    import onnx_session
    import onnx_signature


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
        calls = [self._read(index, request) for index, request in enumerate(requests)]
        groups = onnx_batch.group_by_shape(calls) if self._batched else [[call] for call in calls]
        responses: dict[int, Any] = {}
        for group in groups:
            indexes = (call.index for call in group)
            responses.update(zip(indexes, self._answer(group), strict=True))
        return [responses[index] for index in range(len(requests))]

    def _read(self, index: int, request: Any) -> onnx_batch.Call:
        feed = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        for name in self._scalars.keys() & feed.keys():
            feed[name] = feed[name].reshape(())
        rows = len(next(iter(feed.values()))) if self._batched else 1
        return onnx_batch.Call(index, feed, request.requested_output_names(), rows)

    def _answer(self, calls: Sequence[onnx_batch.Call]) -> list[Any]:
        try:
            replies = self._infer(calls)
        except Exception as exc:  # noqa: BLE001 - whatever it is, only these requests fail
            if len(calls) == 1:
                return [_refuse(str(exc))]
            return [response for call in calls for response in self._answer([call])]
        return [self._respond(reply) for reply in replies]

    def _infer(self, calls: Sequence[onnx_batch.Call]) -> list[dict[str, onnx_batch.Array]]:
        names = onnx_batch.requested(calls, self._outputs)
        outputs = self._session.run(names, onnx_batch.stack(calls))
        arrays = dict(zip(names, outputs, strict=True))
        return onnx_batch.split(arrays, calls) if self._batched else [arrays]

    def _respond(self, reply: Mapping[str, onnx_batch.Array]) -> Any:
        tensors = []
        for name, array in reply.items():
            shape = self._scalars.get(name)
            tensors.append(pb_utils.Tensor(name, array if shape is None else array.reshape(shape)))
        return pb_utils.InferenceResponse(output_tensors=tensors)


def _refuse(message: str) -> Any:
    return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(message))


def _model_path() -> str:
    """Return the ONNX file's path, which Triton tells the stub on its command line only."""
    return Path("/proc/self/cmdline").read_bytes().split(b"\0")[1].decode()
