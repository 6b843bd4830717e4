"""Takes text, and does what a JSON command asks for."""

import json
import sys
import time

import flask
import numpy as np
from azureml.contrib.services.aml_response import AMLResponse


def init():
    pass


def run(data):
    try:
        command = json.loads(data)
    except ValueError:
        return {"text": data}
    if isinstance(command, dict) and command.get("do") in BEHAVIOURS:
        return BEHAVIOURS[command["do"]]()
    return {"text": data}


def fail():
    raise ValueError("a secret")


def fail_with_timeout():
    raise TimeoutError("the script's own")


def sleep_and_shrug():
    try:
        time.sleep(5)
    except Exception:  # noqa: BLE001 - a script may do so
        return "shrugged"


def circle():
    items = []
    items.append(items)
    return items


def nest():
    items = []
    for _ in range(5_000):
        items = [items]
    return items


BEHAVIOURS = {
    "none": lambda: None,
    "string": lambda: 'say "å"',
    "empty string": lambda: "",
    "tuple": lambda: (1, (2, 3)),
    "nan": lambda: [float("nan"), float("-inf")],
    "keys": lambda: {1: "a", None: "b", False: "c"},
    "tuple keys": lambda: {(1, 2): 3},
    "set": lambda: {1},
    "bytes": lambda: b"abc",
    "array": lambda: np.zeros(2),
    "circle": circle,
    "nest": nest,
    "fail": fail,
    "own timeout": fail_with_timeout,
    "exit": lambda: sys.exit(7),
    "abort": lambda: flask.abort(418),
    "sleep": lambda: time.sleep(5),
    "shrug": sleep_and_shrug,
    "response": lambda: flask.Response("<p>", 201, {"X-Mine": "1"}, mimetype="text/html"),
    "response 503": lambda: flask.Response("later", 503),
    "streamed": lambda: flask.Response(iter([b"a", b"b"]), 200),
    "aml text": lambda: AMLResponse("text", 202),
    "aml bytes": lambda: AMLResponse(b"\xff\x00", 200, {"Content-Type": "image/png"}),
    "aml json": lambda: AMLResponse({"a": [1]}, 200, json_str=True),
    "aml none": lambda: AMLResponse(None, 200),
    "aml headers": lambda: AMLResponse("x", 404, {"X-Many": "a, b", "X-One": "c"}),
    "aml 500": lambda: AMLResponse("broken", 500),
    "aml failed": lambda: AMLResponse("x", 200, run_function_failed=True),
    "aml set": lambda: AMLResponse({1}, 200, json_str=True),
    "aml two types": lambda: AMLResponse({}, 200, {"Content-Type": "text/x"}, json_str=True),
}
