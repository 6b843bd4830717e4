"""What entry scripts import from Azure's packages, served without these packages."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

from flask import Request, Response

Function = TypeVar("Function", bound=Callable[..., Any])

FAILED_HEADER = "x-ms-run-function-failed"
_PACKAGES = ("azureml.contrib.services", "azureml_inference_server_http.api")
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class AMLRequest(Request):
    """The class that scripts name for what ``run()`` gets when it asks for raw requests."""


class AMLResponse(Response):
    """A response as entry scripts build it.

    ``message`` is the body, or with ``json_str`` what becomes JSON; None is an empty JSON
    object. Commas in a header's value separate several headers of that name.
    ``run_function_failed`` is told to the caller in a header.
    """

    def __init__(
        self,
        message: Any,
        status_code: int,
        response_headers: Mapping[str, str] = _NO_HEADERS,
        json_str: bool = False,
        run_function_failed: bool = False,
    ) -> None:
        if message is None or json_str:
            body = json.dumps({} if message is None else message)
            super().__init__(body, status_code, content_type="application/json")
        else:
            super().__init__(message, status_code)
        if any(name.lower() == "content-type" for name in response_headers):
            self.headers.remove("Content-Type")
        self.headers[FAILED_HEADER] = str(run_function_failed)
        for name, value in response_headers.items():
            for part in value.split(","):
                self.headers.add(name, part.strip())


class RawHttp:
    """The decorator ``rawhttp``, which remembers that a script has used it."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self, function: Function) -> Function:
        """Ask for requests as they are, and return the function."""
        self.requested = True
        return function


def provide_azure_names() -> RawHttp:
    """Make Azure's modules importable for one script, and return its ``rawhttp``.

    They stand before installed ones, whose decorator would tell nobody but themselves.
    """
    rawhttp = RawHttp()
    contents: dict[str, dict[str, Any]] = {
        "aml_request": {"AMLRequest": AMLRequest, "rawhttp": rawhttp},
        "aml_response": {"AMLResponse": AMLResponse},
    }
    for package in _PACKAGES:
        for name, values in contents.items():
            module = ModuleType(f"{package}.{name}")
            vars(module).update(values)
            sys.modules[module.__name__] = module
    return rawhttp
