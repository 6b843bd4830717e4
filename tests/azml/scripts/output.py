"""Declares what comes out alone; its init() writes a Swagger file."""

import json
import os
from pathlib import Path

from inference_schema.parameter_types.standard_py_parameter_type import (
    StandardPythonParameterType,
)
from inference_schema.schema_decorators import output_schema


def init():
    own = Path(os.environ["AML_APP_ROOT"], "swagger3.1.json")
    own.write_text(json.dumps({"written by": "init"}))


@output_schema(StandardPythonParameterType(1))
def run(number):
    return number
