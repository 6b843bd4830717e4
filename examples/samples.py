"""What the demo scores: photographs that a package ships, and questions on texts of our own."""

from __future__ import annotations

import json
from importlib.metadata import files
from pathlib import Path

TEXTS = json.loads(Path(__file__).with_name("questions.json").read_text("utf-8"))
PICTURES = ("chelsea.png", "coffee.png")


def find_picture(name: str) -> Path:
    """Return the path of a photograph that the package scikit-image ships.

    Only its files are needed; it is not imported.
    """
    return next(Path(str(f.locate())) for f in files("scikit-image") or () if f.name == name)
