"""What the measurements were made on."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "trihook", "flask", "gunicorn", "gevent", "numpy", "pillow", "orjson", "tritonclient",
    "nvidia-pytriton", "onnxruntime",
)  # fmt: skip


def describe_machine() -> dict[str, Any]:
    """Return the processor, memory, kernel, Python, versions, and the load before we begin."""
    return {
        "processor": _first(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(_first(r"MemTotal:\s*(\d+)", Path("/proc/meminfo"))) / 1e6, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in PACKAGES},
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _first(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text())
    return found[1].strip() if found else "0"
