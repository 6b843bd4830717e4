"""A vector of numbers in, another one out: next to no work around the inference."""

from __future__ import annotations

import numpy as np

from work.works import Outputs, Tensors, Work


def _prepare(numbers: list[float]) -> tuple[Tensors, None]:
    return {"x": np.array(numbers, np.float32)}, None


def _answer(outputs: Outputs, _state: None) -> list[float]:
    numbers: list[float] = outputs["y"].tolist()
    return numbers


VECTOR = Work(
    name="vector",
    model="vector",
    datatypes={"x": "FP32"},
    outputs=("y",),
    batched=True,
    raw=False,
    prepare=_prepare,
    answer=_answer,
)
