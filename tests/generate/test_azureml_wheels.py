"""Distributions of a folder are packed as wheels, the same source as the same bytes."""

import io
import zipfile

import pytest
from trihook import ConfigError, PluginError
from trihook.generate.azureml import Requirement, pack_wheels

PROJECT = '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        f'{PROJECT}[project]\nname = "acme"\nversion = "2.5"\n'
        '[tool.setuptools]\npy-modules = ["acme"]\n'
    )
    (folder / "acme.py").write_text("NEW = True\n")
    return folder


def test_the_same_source_is_the_same_bytes_and_no_build_folder(source):
    (source / "build" / "lib").mkdir(parents=True)
    (source / "build" / "lib" / "stale.py").touch()
    requirement = Requirement("acme", "2.5", folder=source)
    once, again = pack_wheels([requirement]), pack_wheels([requirement])
    assert once == again
    [(name, content)] = once.items()
    assert name == "acme-2.5-py3-none-any.whl"
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.read("acme.py") == b"NEW = True\n"
    assert "stale.py" not in archive.namelist()


def test_a_wheel_is_taken_as_it_is(tmp_path):
    wheel = tmp_path / "acme-2.5-py3-none-any.whl"
    wheel.write_bytes(b"zipped")
    assert pack_wheels([Requirement("acme", "2.5", folder=wheel)]) == {wheel.name: b"zipped"}


def test_what_an_index_has_is_not_packed():
    assert pack_wheels([Requirement("acme", "2.5")]) == {}


def test_a_folder_that_does_not_build_is_named(source):
    (source / "pyproject.toml").write_text("[build-system\n")
    with pytest.raises(PluginError, match=rf"'acme' cannot be packed from {source}: building"):
        pack_wheels([Requirement("acme", "2.5", folder=source)])


def test_a_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(PluginError, match=r"'acme' was installed from .*nowhere, which is gone"):
        pack_wheels([Requirement("acme", "2.5", folder=tmp_path / "nowhere")])


def test_an_archive_of_source_is_refused(tmp_path):
    archive = tmp_path / "acme-2.5.tar.gz"
    archive.touch()
    with pytest.raises(PluginError, match="expected a folder or a wheel"):
        pack_wheels([Requirement("acme", "2.5", folder=archive)])


def test_without_the_package_build_the_extra_is_named(source, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'trihook\[azure\]'"):
        pack_wheels([Requirement("acme", "2.5", folder=source)])
