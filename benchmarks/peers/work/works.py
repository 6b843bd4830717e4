"""One kind of request, as every peer sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Tensors: TypeAlias = "dict[str, np.ndarray[Any, Any]]"
Outputs: TypeAlias = "Mapping[str, np.ndarray[Any, Any]]"


@dataclass(frozen=True)
class Work:
    """What is done before and after the inference.

    ``prepare`` takes the request, which is parsed JSON or, if ``raw``, the body's bytes, and
    returns the inputs and whatever ``answer`` needs besides the outputs. ``answer`` returns what
    is replied as JSON. Both know no batch dimension: where the model is ``batched``, the peer adds
    it and takes it away. ``datatypes`` are Triton's, by the inputs' names.
    """

    name: str
    model: str
    datatypes: Mapping[str, str]
    outputs: tuple[str, ...]
    batched: bool
    raw: bool
    prepare: Callable[[Any], tuple[Tensors, Any]]
    answer: Callable[[Outputs, Any], Any]
