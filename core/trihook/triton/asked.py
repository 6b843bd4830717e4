"""What an inference asks for besides its tensors: some outputs, parameters of the request."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from trihook.errors import MisfitError
from trihook.types import Model, Parameter, RequestedOutput

_OURS = frozenset({"binary_data_output"})  # parameters that the wire format needs
_MAX_CLASSES = 2**31 - 1
_MAX_INTEGER = 2**63 - 1


def read_outputs(outputs: Any, model: Model) -> tuple[RequestedOutput, ...]:
    """Return the outputs that are asked for; raises :class:`MisfitError` for what are none."""
    if type(outputs) is tuple and not outputs:
        return ()
    if not isinstance(outputs, Iterable) or isinstance(outputs, str):
        raise MisfitError(f"outputs must be several, got {type(outputs).__name__}")
    return tuple([_read_output(wanted, model) for wanted in outputs])


def _read_output(wanted: Any, model: Model) -> RequestedOutput:
    if not isinstance(wanted, RequestedOutput):
        raise MisfitError(f"an output must be a RequestedOutput, got {type(wanted).__name__}")
    if model.output(wanted.name) is None:
        raise MisfitError(
            f"model {model.name!r} declares no output {wanted.name!r}; "
            f"it declares {', '.join(spec.name for spec in model.outputs)}"
        )
    try:
        count = operator.index(wanted.class_count)
    except TypeError:
        count = -1
    if not 0 <= count <= _MAX_CLASSES:
        raise MisfitError(
            f"class_count of output {wanted.name!r} must be a whole number from 0 to {_MAX_CLASSES}"
        )
    return RequestedOutput(wanted.name, count)


def read_parameters(parameters: Any) -> dict[str, Parameter]:
    """Return the parameters as the protocol has them; raises :class:`MisfitError` for others."""
    if type(parameters) is dict and not parameters:
        return {}
    if not isinstance(parameters, Mapping):
        raise MisfitError(f"parameters must be a mapping, got {type(parameters).__name__}")
    return dict([_read_parameter(name, value) for name, value in parameters.items()])


def _read_parameter(name: Any, value: Any) -> tuple[str, Parameter]:
    """Return a parameter as the protocol can carry it: Triton's whole numbers have 64 bits."""
    if not isinstance(name, str) or name in _OURS or not _is_unicode(name):
        raise MisfitError(f"parameter {name!r} is not a plugin's to give")
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, bool | int | float | str):
        raise MisfitError(
            f"parameter {name!r} must be true or false, a number or text, "
            f"got {type(value).__name__}"
        )
    if isinstance(value, str):
        if not _is_unicode(value):
            raise MisfitError(f"parameter {name!r} holds a lone surrogate, which is no text")
    elif not (math.isfinite(value) if isinstance(value, float) else abs(value) <= _MAX_INTEGER):
        raise MisfitError(f"parameter {name!r} is {value}, expected a finite number of 64 bits")
    return name, value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
