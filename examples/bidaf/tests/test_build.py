"""The builder writes one valid file, whole and always the same."""

import subprocess
import sys

import onnx
import pytest
from trihook_bidaf import build


def test_two_builds_are_equal_byte_for_byte(path, tmp_path):
    assert build.build(tmp_path).read_bytes() == path.read_bytes()


def test_only_the_model_is_left_in_the_repository(tmp_path):
    build.build(tmp_path)
    build.build(tmp_path)
    files = [found.relative_to(tmp_path).as_posix() for found in tmp_path.rglob("*")]
    assert sorted(files) == ["bidaf_onnx", "bidaf_onnx/1", "bidaf_onnx/1/model.onnx"]


def test_a_build_that_fails_leaves_the_model_as_it_was(tmp_path, monkeypatch):
    path = build.build(tmp_path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(build.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        build.build(tmp_path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["bidaf_onnx"]


def test_the_file_is_a_valid_model(path):
    onnx.checker.check_model(path, full_check=True)


def test_the_command_prints_where_the_model_is(tmp_path):
    command = [sys.executable, "-m", "trihook_bidaf.build", str(tmp_path / "models")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == f"{tmp_path}/models/bidaf_onnx/1/model.onnx\n"
