"""Files from the command line, with the media types that their names stand for."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import Path

_KNOWN = {".json": "application/json", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file's path, bytes and media type."""

    path: Path
    data: bytes
    media_type: str


def read_input(path: Path) -> InputFile:
    """Read a file; a name that tells nothing makes it ``application/octet-stream``."""
    guessed = _KNOWN.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
    return InputFile(path, path.read_bytes(), guessed or "application/octet-stream")
