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


def test_a_model_put_there_by_hand_stays_unless_forced(path, tmp_path):
    mine = tmp_path / "bidaf_onnx/1/model.onnx"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"bidaf-9")
    assert build.build(tmp_path) is None
    assert mine.read_bytes() == b"bidaf-9"
    assert build.build(tmp_path, force=True) == mine
    assert mine.read_bytes() == path.read_bytes()


def test_an_older_stand_in_is_replaced(path, tmp_path):
    built = build.build(tmp_path)
    built.write_bytes(path.read_bytes()[:-1])
    assert build.build(tmp_path) == built
    assert built.read_bytes() == path.read_bytes()


def test_the_file_is_a_valid_model(path):
    onnx.checker.check_model(path, full_check=True)


def test_the_command_prints_where_the_model_is_or_why_it_is_not_written(tmp_path):
    def run(*options):
        command = [sys.executable, "-m", "trihook_bidaf.build", str(tmp_path / "models"), *options]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout, done.stderr

    path = tmp_path / "models/bidaf_onnx/1/model.onnx"
    assert run() == (f"{path}\n", "")
    path.write_bytes(b"bidaf-9")
    folder = tmp_path / "models/bidaf_onnx"
    said = f"{folder} holds another model, which stays: --force replaces it\n"
    assert run() == ("", said)
    assert run("--force") == (f"{path}\n", "")


def test_without_onnx_the_command_names_the_extra_that_brings_it(tmp_path):
    code = (
        "import sys; sys.modules['onnx'] = None; from trihook_bidaf.build import main; exit(main())"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "the model is built with onnx: install trihook-bidaf[build]\n"
    assert list(tmp_path.iterdir()) == []
