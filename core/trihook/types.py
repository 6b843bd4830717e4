"""The values that travel through the hooks: requests, items, models, tensors and replies.

They know neither HTTP nor Triton's wire format, and are immutable but for two ``state``
dictionaries, which belong to the plugins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""What JSON is parsed to."""

Jsonable: TypeAlias = (
    "bool | int | float | str | bytes | np.ndarray[Any, Any] | np.generic "
    "| Sequence[Jsonable] | Mapping[Any, Jsonable] | None"
)
"""What has a form in JSON: more than comes of it, and whatever lists and dictionaries hold."""

Option: TypeAlias = "bool | int | float | str | list[Option] | dict[str, Option]"
Scalar: TypeAlias = "bool | int | float | str | bytes"
Parameter: TypeAlias = "bool | int | float | str"
Tensors: TypeAlias = "Mapping[str, ArrayLike | JsonValue]"
Outputs: TypeAlias = "Mapping[str, np.ndarray[Any, Any]]"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output, as the model declares it.

    ``datatype`` is Triton's name for it, such as ``FP32`` or ``BYTES``. ``shape`` leaves the
    batch dimension out where the model has one; -1 stands for any length. ``layout`` is
    ``NCHW``, ``NHWC`` or, where the model's configuration does not say, ``""``. An ``optional``
    input may be left out.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    layout: str = ""

    def __str__(self) -> str:
        sizes = ", ".join("?" if size < 0 else str(size) for size in self.shape)
        return f"{self.name} {self.datatype} [{sizes}]"


@dataclass(frozen=True, slots=True)
class Model:
    """A Triton model at a version, known only through its metadata and configuration.

    ``max_batch_size`` 0 means that the model has no batch dimension. ``dynamic_batching`` says
    whether Triton itself batches the requests it receives, ``stateful`` whether a sequence
    batcher ties requests together, ``decoupled`` whether a request may have other than one
    reply, ``instances`` how many inferences Triton runs side by side. ``options`` are the
    ``parameters`` of ``config.pbtxt``, overridden by trihook's own settings.
    """

    name: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch_size: int = 0
    platform: str = ""
    versions: tuple[str, ...] = ()
    dynamic_batching: bool = False
    stateful: bool = False
    decoupled: bool = False
    instances: int = 1
    options: Mapping[str, Option] = field(default_factory=dict)

    def input(self, name: str) -> TensorSpec | None:
        """Return the input of that name, or None if the model declares none."""
        return next((spec for spec in self.inputs if spec.name == name), None)

    def output(self, name: str) -> TensorSpec | None:
        """Return the output of that name, or None if the model declares none."""
        return next((spec for spec in self.outputs if spec.name == name), None)

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The answer of ``select_model``: which model, at which version, and why.

    An empty ``version`` leaves the choice to Triton's version policy. ``reason`` completes the
    sentence "this model, because …".
    """

    name: str
    version: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One thing to score inside a request.

    ``data`` is the parsed value of a JSON item, else the bytes of a raw body or of one file of
    a multipart form, whose ``media_type`` (lower case, without parameters) and file ``name``
    are the sender's word. ``state`` carries what ``postprocess`` needs from ``preprocess``.
    """

    data: JsonValue | bytes
    media_type: str = "application/json"
    name: str = ""
    index: int = 0
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ScoringRequest:
    """One call: what to score, with which model, and everything else the caller sent.

    ``model`` and ``version`` are what the caller named, ``""`` where it left the choice.
    ``headers`` have lower-case names; ``query`` and ``fields`` (the text fields of a multipart
    form) hold the first value of each name. ``many`` tells ``{"instances": [...]}`` and forms,
    answered by a list, from one item, answered by its reply alone. ``size`` is the length of the
    body in bytes. ``state`` is for what the plugins share about the request as a whole.
    """

    items: tuple[Item, ...]
    model: str = ""
    version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    many: bool = False
    size: int = 0
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """One output to ask Triton for.

    With ``class_count`` n above 0 Triton answers with its n highest values instead, as BYTES
    ``score:index`` or, where the model has a label file, ``score:index:label``.
    """

    name: str
    class_count: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """What ``preprocess`` returns when it has more to say than the input tensors.

    No ``outputs`` means all of them, in full. ``padding`` gives, by input, the value with which
    the core may fill up an array at the ends of its dimensions of any length (-1), so that items
    of unlike lengths share an inference; the outputs then are as long as the longest item makes
    them. Without it, only items of one shape do. ``parameters`` go to Triton with the request,
    such as ``priority``, the ``sequence_id``, ``sequence_start`` and ``sequence_end`` that a
    sequence batcher asks for, or a model's own; only items with the same ones share an inference.
    """

    inputs: Tensors
    outputs: tuple[RequestedOutput, ...] = ()
    padding: Mapping[str, Scalar] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What ``postprocess`` returns when the bare JSON value does not say it all.

    ``value`` is JSON-able, or the body itself, bytes or text, if ``media_type`` is not
    ``application/json``. Status, media type and headers reach the caller where the item is the
    request's only one; among several only JSON has a place, and the others are not used.
    """

    value: Any
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
