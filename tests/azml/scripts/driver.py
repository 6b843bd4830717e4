"""Stands before the script that does the work, as generated drivers do."""

import sqlite3
import threading
import time
import types

made = {}


def init():
    made["connection"] = sqlite3.connect(":memory:")
    made["thread"] = threading.get_ident()


def run(data):
    raise AssertionError("the driver's run() was called")


def work(data, request_headers):
    if data == "sleep":
        time.sleep(0.8)
    return {
        "sqlite": made["connection"].execute("select 1").fetchone(),
        "same thread": made["thread"] == threading.get_ident(),
        "main thread": threading.current_thread() is threading.main_thread(),
        "header": request_headers["X-Given"],
    }


driver_module = types.ModuleType("driven")
driver_module.__file__ = __file__
driver_module.run = work
