"""Write the stand-in model into a model repository: ``python -m trihook_bidaf.build <folder>``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import onnx

from trihook_bidaf.graph import build_graph
from trihook_bidaf.layers import Weights
from trihook_bidaf.nodes import PRODUCER

MODEL = "bidaf_onnx"


def read_weights() -> Weights:
    """Read the trained weights of this package, as float32."""
    with as_file(files("trihook_bidaf") / "weights.npz") as path, np.load(path) as saved:
        return {name: saved[name].astype(np.float32) for name in saved.files}


def build(repository: Path, *, force: bool = False) -> Path | None:
    """Write ``bidaf_onnx/1/model.onnx`` below a folder and return its path.

    Another model there, such as ``bidaf-9``, stays, and None is returned, unless ``force``. The
    file appears whole or not at all, is the same every time, and needs no configuration file:
    Triton tells from its shapes that it has no batch dimension.
    """
    path = _path(repository)
    if path.exists() and not _is_stand_in(path) and not force:
        return None
    model = build_graph(read_weights())
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # outside the version's folder, where Triton might find it half-written
    with tempfile.TemporaryDirectory(dir=repository, prefix=".bidaf-") as scratch:
        written = Path(scratch) / path.name
        written.write_bytes(model.SerializeToString(deterministic=True))
        os.replace(written, path)  # noqa: PTH105  (atomic on every system)
    return path


def _path(repository: Path) -> Path:
    return repository / MODEL / "1" / "model.onnx"


def _is_stand_in(path: Path) -> bool:
    """Tell whether the file is of this builder's making: who made it stands at its beginning."""
    with path.open("rb") as file:
        return PRODUCER.encode() in file.read(64)


def main() -> None:
    """Build the model repository that the command line names."""
    parser = argparse.ArgumentParser(prog="trihook-bidaf-build", description=__doc__)
    parser.add_argument("repository", type=Path, help="the model repository's folder")
    parser.add_argument("--force", action="store_true", help="replace another model, too")
    options = parser.parse_args()
    if path := build(options.repository, force=options.force):
        sys.stdout.write(f"{path}\n")
    else:
        path = _path(options.repository)
        sys.stderr.write(f"{path} is another model, which is left as it is; --force replaces it\n")


if __name__ == "__main__":
    main()
