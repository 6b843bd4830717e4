"""The logs of a service, read as they grow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from trihook.deploy.storage import is_still, opened

LOGS = ("service", "environment", "triton", "host")

_POLL_SECONDS = 0.1


def read_lines(log: Path, place: int) -> tuple[str, int]:
    """Return the whole lines of a log after a place in it, and the place after them."""
    try:
        with log.open("rb") as file:
            file.seek(place)
            content = file.read()
    except FileNotFoundError:
        return "", place
    whole = content[: content.rfind(b"\n") + 1]
    return whole.decode("utf-8", "replace"), place + len(whole)


def read_logs(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of all logs in a service's folder, each with the part that wrote it."""
    return _read_on(folder, dict.fromkeys(LOGS, 0))


def follow_logs(folder: Path) -> Iterator[tuple[str, str]]:
    """Do the same, and go on with what is written until the folder is removed or replaced."""
    places = dict.fromkeys(LOGS, 0)
    with opened(folder) as found:
        while is_still(found, folder):
            yield from _read_on(folder, places)
            time.sleep(_POLL_SECONDS)


def _read_on(folder: Path, places: dict[str, int]) -> Iterator[tuple[str, str]]:
    for part in LOGS:
        text, places[part] = read_lines(folder / "logs" / f"{part}.log", places[part])
        yield from ((part, line) for line in text.splitlines())
