"""The logs of a service, read as they grow."""

from __future__ import annotations

from pathlib import Path


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
