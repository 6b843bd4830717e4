"""Fitting what a plugin returned to what the model declares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trihook import Inference
from trihook.testing import make_model
from trihook.triton.inputs import build_inputs

from micro.measuring import Measure, Table, check

TABLE = Table(
    "Input construction",
    "`build_inputs` for one input of a model with a batch dimension: names, datatype, shape. "
    "Texts are encoded as UTF-8.",
)
VECTOR, PICTURE, TEXTS = "x FP32 [8]", "x FP32 [3, 224, 224]", "x BYTES [?, 16]"
CASES = {
    "8 floats, a list": (VECTOR, [0.0, 0.5, -1.25, 3.0, 4.5, -5.0, 6.75, 7.0]),
    "8 floats, an array": (VECTOR, np.arange(8, dtype=np.float32)),
    "a picture of 3 x 224 x 224, an array": (PICTURE, np.zeros((3, 224, 224), np.float32)),
    "60 x 16 characters, an array": (TEXTS, np.full((60, 16), "a", object)),
    "60 x 16 characters, lists": (TEXTS, [["a"] * 16] * 60),
}


@pytest.mark.parametrize(("row", "spec", "value"), [(row, *case) for row, case in CASES.items()])
def bench_build_inputs(measure: Measure, row: str, spec: str, value: Any) -> None:
    """Measure one item."""
    model = make_model(inputs=[spec], outputs=["y FP32 [8]"], max_batch_size=32)
    built = measure(TABLE, row, "`build_inputs`", build_inputs, Inference({"x": value}), model)
    check(built.rows == 1)
