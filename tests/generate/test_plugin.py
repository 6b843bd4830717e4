"""A generated plugin is one that its author can begin with: it is typed, tidy and tested."""

import subprocess
import sys

import pytest
from click.testing import CliRunner
from trihook import ConfigError
from trihook.cli.main import cli
from trihook.generate.plugin import render_plugin


def generate(folder, *arguments):
    return CliRunner().invoke(
        cli, ["generate", "plugin", "plain-text", "--output", str(folder), *arguments]
    )


@pytest.mark.parametrize("name", ["plain-text", "trihook-plain-text"])
def test_the_distribution_the_package_and_the_plugin_are_called_alike(name):
    files = {path: text.decode() for path, text in render_plugin(name, "1.2").items()}
    assert sorted(files) == [
        "README.md",
        "pyproject.toml",
        "tests/test_trihook_plain_text.py",
        "trihook_plain_text/__init__.py",
        "trihook_plain_text/py.typed",
    ]
    project = files["pyproject.toml"]
    assert 'name = "trihook-plain-text"' in project
    assert 'plain-text = "trihook_plain_text"' in project
    assert 'dependencies = ["trihook >= 1.2"]' in project


@pytest.mark.parametrize("name", ["", "trihook-", "core", "A", "a_b", "a--b", "-a", "a.b", "1a"])
def test_a_name_that_no_plugin_can_have_is_refused(name):
    with pytest.raises(ConfigError, match="cannot name a plugin: expected lower-case letters"):
        render_plugin(name, "1.2")


@pytest.mark.parametrize(
    "command",
    [
        ["pytest", "-q", "-p", "no:cacheprovider"],
        ["mypy", "--strict", "--cache-dir=/dev/null", "trihook_plain_text"],
        ["ruff", "check", "--isolated", "--select=E,F,I,W,B,UP", "."],
        ["ruff", "format", "--isolated", "--check", "."],
    ],
    ids=" ".join,
)
def test_it_passes_what_its_author_will_run(tmp_path, command):
    assert generate(tmp_path).exit_code == 0
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_its_author_has_edited_is_kept(tmp_path):
    assert generate(tmp_path).output.count("\n") == 5
    assert generate(tmp_path).output == ""
    (tmp_path / "README.md").write_text("mine")
    refused = CliRunner().invoke(
        cli, ["generate", "plugin", "plain-text", "--output", str(tmp_path)]
    )
    assert isinstance(refused.exception, ConfigError)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert generate(tmp_path, "--force").exit_code == 0
    assert (tmp_path / "README.md").read_text() != "mine"
