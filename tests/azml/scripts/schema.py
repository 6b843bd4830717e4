"""Takes values that are declared by schemas."""

import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import (
    StandardPythonParameterType,
)
from inference_schema.schema_decorators import input_schema, output_schema


def init():
    pass


@input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]]), enforce_shape=True))
@input_schema("label", StandardPythonParameterType("a"))
@output_schema(StandardPythonParameterType({"sum": 1.0}))
def run(data, label, scale=2.0):
    if label == "fail":
        raise ValueError("a secret")
    if label == "misfit":
        np.array([[1, 2], [3, 4]]).reshape(3)
    return {"sum": float(data.sum()) * scale, "label": label, "type": type(data).__name__}
