"""What tritonserver's log says about why it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_RECORD = re.compile(r'[IWEF]\d{4} \S+ +\d+ [^ \]]+\] "?(?P<message>.*?)"?$')
_MODEL = re.compile(
    r"(?:failed to load|failed to load model|Poll failed for model directory) "
    r"'(?P<model>[^']*)'(?: version \d+)?: (?P<reason>.*)"
)
_TAIL_BYTES = 200_000


def read_tail(path: Path, start: int = 0) -> str:
    """Return the last 200 kB of a log, at most what was written after the offset ``start``."""
    with path.open("rb") as log:
        log.seek(max(start, path.stat().st_size - _TAIL_BYTES))
        return log.read().decode("utf-8", errors="replace")


def explain_failure(text: str) -> str:
    """Say in one line why Triton ended: the models that failed, else its last error or line."""
    lines = [line for line in text.splitlines() if line.strip() and line[0] not in "+|"]
    models = dict(_model_failures(lines))
    if models:
        return "; ".join(f"model {name!r}: {reason}" for name, reason in models.items())
    errors = [line for line in lines if line.startswith(("E", "F", "error:"))]
    return _message((errors or lines or ["its log is empty"])[-1])


def _model_failures(lines: list[str]) -> Iterator[tuple[str, str]]:
    syntax = ""
    for line in lines:
        if line.startswith("[libprotobuf ERROR"):
            syntax = line.partition("] ")[2]
        elif failure := _MODEL.search(_message(line)):
            unread = failure["reason"].startswith("failed to read text proto")
            yield (
                failure["model"],
                f"{failure['reason']}: {syntax}" if unread else failure["reason"],
            )


def _message(line: str) -> str:
    """Return a record's message as the backend gave it, without a Python traceback."""
    record = _RECORD.match(line)
    message = record["message"].replace(r"\"", '"') if record else line
    return message.partition(r"\n")[0].strip()
