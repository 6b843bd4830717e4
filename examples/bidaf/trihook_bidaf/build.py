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

MODEL = "bidaf_onnx"


def read_weights() -> Weights:
    """Read the trained weights of this package, as float32."""
    with as_file(files("trihook_bidaf") / "weights.npz") as path, np.load(path) as saved:
        return {name: saved[name].astype(np.float32) for name in saved.files}


def build(repository: Path) -> Path:
    """Write ``bidaf_onnx/1/model.onnx`` below a folder and return its path.

    The file appears whole or not at all, is the same every time, and needs no configuration
    file: Triton tells from its shapes that it has no batch dimension.
    """
    model = build_graph(read_weights())
    onnx.checker.check_model(model, full_check=True)
    folder = repository / MODEL / "1"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    # outside the version's folder, where Triton might find it half-written
    with tempfile.TemporaryDirectory(dir=repository, prefix=".bidaf-") as scratch:
        written = Path(scratch) / path.name
        written.write_bytes(model.SerializeToString(deterministic=True))
        os.replace(written, path)  # noqa: PTH105  (atomic on every system)
    return path


def main() -> None:
    """Build the model repository that the command line names."""
    parser = argparse.ArgumentParser(prog="trihook-bidaf-build", description=__doc__)
    parser.add_argument("repository", type=Path, help="the model repository's folder")
    path = build(parser.parse_args().repository)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
