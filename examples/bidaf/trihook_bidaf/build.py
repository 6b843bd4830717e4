"""Write the stand-in model into a model repository: ``python -m trihook_bidaf.build <folder>``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from importlib import import_module
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from trihook import RepositoryError

if TYPE_CHECKING:
    from trihook_bidaf.layers import Weights

MODEL = "bidaf_onnx"
_PRODUCER = "trihook-bidaf"


def read_weights() -> Weights:
    """Read the trained weights of this package, as float32."""
    with as_file(files("trihook_bidaf") / "weights.npz") as path, np.load(path) as saved:
        return {name: saved[name].astype(np.float32) for name in saved.files}


def build(repository: Path, *, force: bool = False) -> Path | None:
    """Write ``bidaf_onnx/1/model.onnx`` below a folder and return its path.

    Another model there, such as ``bidaf-9``, stays, and None is returned, unless ``force``. The
    file appears whole or not at all, is the same every time, and needs no configuration file:
    Triton tells from its shapes that it has no batch dimension. Raises ``RepositoryError``
    where onnx is not installed.
    """
    path = repository / MODEL / "1" / "model.onnx"
    if path.exists() and not _is_stand_in(path) and not force:
        return None
    model = _make_model()
    path.parent.mkdir(parents=True, exist_ok=True)
    # outside the version's folder, where Triton might find it half-written
    with tempfile.TemporaryDirectory(dir=repository, prefix=".bidaf-") as scratch:
        written = Path(scratch) / path.name
        written.write_bytes(model)
        os.replace(written, path)  # noqa: PTH105  (atomic on every system)
    return path


def _make_model() -> bytes:
    try:
        # not at the top: onnx comes with an extra, and serving does without it
        onnx, graph = import_module("onnx"), import_module("trihook_bidaf.graph")
    except ImportError as exc:
        raise RepositoryError("the model is built with onnx: install trihook-bidaf[build]") from exc
    model = graph.build_graph(read_weights())
    model.producer_name = _PRODUCER
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _is_stand_in(path: Path) -> bool:
    """Tell whether the file is of this builder's making: who made it stands at its beginning."""
    with path.open("rb") as file:
        return _PRODUCER.encode() in file.read(64)


def main() -> int:
    """Build the model repository that the command line names; return 0, or 1 if it cannot be."""
    parser = argparse.ArgumentParser(prog="trihook-bidaf-build", description=__doc__)
    parser.add_argument("repository", type=Path, help="the model repository's folder")
    parser.add_argument("--force", action="store_true", help="replace another model, too")
    options = parser.parse_args()
    try:
        written = build(options.repository, force=options.force)
    except RepositoryError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    if written:
        sys.stdout.write(f"{written}\n")
    else:
        kept = options.repository / MODEL
        sys.stderr.write(f"{kept} holds another model, which stays: --force replaces it\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
