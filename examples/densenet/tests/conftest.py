"""The models, built once for all tests as a user builds them, and the pictures to ask about."""

from importlib.metadata import files
from pathlib import Path

import onnxruntime
import pytest
from trihook_densenet.build import build_repository


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    build_repository(folder)
    return folder


@pytest.fixture(scope="session")
def session(repository):
    """Return a function that loads a model of the repository into ONNX Runtime."""

    def load(name):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(repository / name / "1" / "model.onnx", options)

    return load


@pytest.fixture(scope="session")
def photo():
    """Return a function that reads one of the photographs that scikit-image ships.

    The package is not imported: only its files need to be there.
    """

    def read(name):
        [file] = [file for file in files("scikit-image") if file.name == name]
        return Path(file.locate()).read_bytes()

    return read
