"""Requests without a pause, to see that none is lost while something else is going on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trihook.client import ScoringClient


@contextmanager
def scoring(uri: str, value: Any) -> Iterator[dict[str, int]]:
    """Score a value again and again meanwhile, and count what was scored and what was lost."""
    count, ended = {"scored": 0, "lost": 0}, threading.Event()

    def score() -> None:
        client = ScoringClient(uri, retries=0)
        while not ended.is_set():
            try:
                client.score_json(value)
                count["scored"] += 1
            except Exception:  # noqa: BLE001, PERF203 - whatever it was, the request was lost
                count["lost"] += 1
        client.close()

    thread = threading.Thread(target=score)
    thread.start()
    try:
        yield count
    finally:
        ended.set()
        thread.join()
