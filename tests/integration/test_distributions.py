"""The five distributions, built as wheels and installed from them into an empty environment."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from documented import example
from servers import environment

pytestmark = pytest.mark.timeout(900)  # pip builds environments

ROOT = Path(__file__).parents[2]
SOURCES = {
    "trihook": ROOT,
    "trihook-nltk": ROOT / "plugins/trihook-nltk",
    "trihook-pillow": ROOT / "plugins/trihook-pillow",
    "trihook-bidaf": ROOT / "examples/bidaf",
    "trihook-densenet": ROOT / "examples/densenet",
}
NOT_SOURCE = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
BUILD = """
import sys
from setuptools import build_meta
_, folder, *kinds = sys.argv  # which setuptools then puts its own into
for kind in kinds:
    getattr(build_meta, f"build_{kind}")(folder)
"""


def run(*command: str | Path, folder: Path | None = None, **extra: str) -> str:
    """Run a command that must succeed, and return its output."""
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
        cwd=folder,
        env={**environment(), **extra},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@dataclass(frozen=True)
class Builder:
    """Builds distributions with a setuptools of its own, from copies of their sources."""

    folder: Path
    backend: Path

    def source(self, distribution: str) -> Path:
        """Return the copy: a build in place would leave files behind."""
        return self.folder / "sources" / distribution

    def build(self, source: Path, *kinds: str) -> None:
        """Build a ``wheel`` or an ``sdist``."""
        command = (sys.executable, "-c", BUILD, self.folder / "built", *kinds)
        run(*command, folder=source, PYTHONPATH=str(self.backend))

    def wheel(self, distribution: str) -> Path:
        [wheel] = (self.folder / "built").glob(f"{distribution.replace('-', '_')}-*.whl")
        return wheel

    def metadata(self, distribution: str) -> str:
        """Return what the wheel says of itself."""
        archive = zipfile.ZipFile(self.wheel(distribution))
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(name).decode()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributions")
    backend = folder / "backend"
    install = ("-m", "pip", "install", "--quiet", "--no-compile")
    run(sys.executable, *install, "--target", backend, "setuptools>=77")
    builder = Builder(folder, backend)
    (folder / "built").mkdir()
    for distribution, source in SOURCES.items():
        shutil.copytree(source, builder.source(distribution), ignore=NOT_SOURCE)
    for distribution in SOURCES:
        kinds = ("sdist", "wheel") if distribution == "trihook" else ("wheel",)
        builder.build(builder.source(distribution), *kinds)
    return builder


@dataclass(frozen=True)
class Environment:
    """A virtual environment in a folder of its own, with an empty folder to run in."""

    folder: Path
    constraints: Path

    def python(self, *arguments: str | Path) -> str:
        return run(self.folder / "bin/python", *arguments, folder=self.folder)

    def trihook(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "bin/trihook", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=self.folder,
            env=environment(),
        )

    def install(self, *what: str | Path) -> None:
        """Install distributions: ours from the wheels, all others from the index."""
        # compiling everything that is installed takes longer than the tests do
        options = ("--quiet", "--no-compile", "--constraint", self.constraints)
        self.python("-m", "pip", "install", *options, *what)

    def plugins(self) -> dict[str, str]:
        """Return the state of each installed plugin."""
        ended = self.trihook("plugins", "--json")
        assert ended.returncode == 0, ended.stderr
        return {plugin["name"]: plugin["state"] for plugin in json.loads(ended.stdout)}


@pytest.fixture(scope="module")
def empty(built, tmp_path_factory):
    """An environment without any package, to be filled once."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name} @ {built.wheel(name).as_uri()}\n" for name in SOURCES))
    return Environment(folder, constraints)


@pytest.fixture(scope="module")
def alone(empty):
    """The environment with trihook alone, and the plugins that it then has."""
    empty.install("trihook")
    return empty.plugins()


@pytest.fixture(scope="module")
def installed(empty, alone):
    """The environment with everything, and the plugins that it had after each installation."""
    seen = [alone]
    for distribution in ("trihook-pillow", "trihook-bidaf", "trihook-densenet"):
        empty.install(distribution)
        seen.append(empty.plugins())
    return empty, seen


def test_trihook_alone_has_no_plugin(alone):
    assert alone == {}


def test_each_plugin_brings_what_it_needs(installed):
    _, seen = installed
    assert [set(plugins) for plugins in seen] == [
        set(),
        {"pillow"},
        {"pillow", "bidaf", "nltk"},
        {"pillow", "bidaf", "nltk", "densenet"},
    ]


def test_all_plugins_are_loaded(installed):
    empty, _ = installed
    assert set(empty.plugins().values()) == {"loaded"}


def test_everything_fits_together_with_numpy_2(installed):
    empty, _ = installed
    assert "No broken requirements" in empty.python("-m", "pip", "check")
    major = empty.python("-c", "import numpy; print(numpy.__version__.partition('.')[0])")
    assert major.strip() == "2"


def test_the_help_lists_the_commands(installed):
    empty, _ = installed
    ended = empty.trihook("--help")
    assert ended.returncode == 0
    assert re.search(r"^  serve +Serve the scoring host\.$", ended.stdout, re.MULTILINE)


def test_the_help_imports_nothing_heavy(installed):
    empty, _ = installed
    code = """
import sys
from trihook.cli.main import main
try:
    main(["--help"])
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
    ended = subprocess.run(
        [empty.folder / "bin/python", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=empty.folder,
        env=environment(),
    )
    imported = set(ended.stderr.split())
    assert "trihook" in imported
    assert not imported & {
        "numpy",
        "flask",
        "pydantic",
        "gevent",
        "tritonclient",
        "PIL",
        "gunicorn",
    }


def test_the_embedded_triton_says_in_one_line_what_it_lacks(installed, tmp_path):
    (tmp_path / "model" / "1").mkdir(parents=True)
    (tmp_path / "model" / "1" / "model.py").touch()
    empty, _ = installed
    ended = empty.trihook("triton", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr == (
        "Error: the embedded Triton needs nvidia-pytriton, which is not installed: "
        "pip install 'trihook[triton]'\n"
    )


@pytest.mark.parametrize("distribution", SOURCES)
def test_a_wheel_holds_every_file_of_its_package_and_the_licence(built, distribution):
    package = distribution.replace("-", "_")
    above = built.source(distribution) / ("core" if distribution == "trihook" else "")
    source = {path for path in (above / package).rglob("*") if path.is_file()}
    archive = zipfile.ZipFile(built.wheel(distribution))
    files = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert files == {path.relative_to(above).as_posix() for path in source}
    assert f"{package}/py.typed" in files
    [licence] = [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]
    assert "Apache License" in archive.read(licence).decode()


def test_the_data_that_models_and_the_embedded_triton_need_is_in_the_wheels(built):
    bidaf = set(zipfile.ZipFile(built.wheel("trihook-bidaf")).namelist())
    assert {"trihook_bidaf/weights.npz", "trihook_bidaf/lexicon.txt"} <= bidaf
    core = zipfile.ZipFile(built.wheel("trihook")).namelist()
    assert "trihook/local/backends/onnxruntime/model.py" in core


@pytest.mark.parametrize("distribution", ["trihook-bidaf", "trihook-densenet"])
def test_an_example_needs_onnx_to_build_its_models_alone(built, distribution):
    needed = re.findall(r"^Requires-Dist: onnx>=.*$", built.metadata(distribution), re.MULTILINE)
    assert [line.partition("; ")[2] for line in needed] == ['extra == "build"']


@pytest.mark.parametrize("distribution", SOURCES)
def test_a_wheel_describes_itself_by_its_readme(built, distribution):
    metadata = built.metadata(distribution)
    assert metadata.endswith((built.source(distribution) / "README.md").read_text())
    assert "\nLicense: Apache-2.0\n" in metadata
    assert "\nDescription-Content-Type: text/markdown\n" in metadata


def test_every_distribution_has_the_same_licence():
    assert len({(source / "LICENSE").read_bytes() for source in SOURCES.values()}) == 1


def test_the_source_distribution_holds_tests_and_documentation(built):
    [archive] = (built.folder / "built").glob("trihook-*.tar.gz")
    with tarfile.open(archive) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert {"LICENSE", "CHANGELOG.md", "docs/plugins.md", "setup.cfg"} <= names
    assert {"tests/conftest.py", "tests/servers.py", "tests/integration/conftest.py"} <= names
    assert not [name for name in names if "__pycache__" in name]


def test_the_plugin_of_the_documentation_installs(built, installed, tmp_path):
    (tmp_path / "trihook_plaintext.py").write_text(example("module"))
    (tmp_path / "pyproject.toml").write_text(example("project"))
    built.build(tmp_path, "wheel")
    empty, seen = installed
    empty.install(built.wheel("trihook-plaintext"))
    try:
        assert empty.plugins() == {**seen[-1], "plaintext": "loaded"}
    finally:
        empty.python("-m", "pip", "uninstall", "--quiet", "--yes", "trihook-plaintext")


def test_a_generated_plugin_installs(built, installed, tmp_path):
    empty, seen = installed
    empty.python("-m", "trihook", "generate", "plugin", "plain-text", "--output", tmp_path)
    built.build(tmp_path, "wheel")
    empty.install(built.wheel("trihook-plain-text"))
    try:
        assert empty.plugins() == {**seen[-1], "plain-text": "loaded"}
    finally:
        empty.python("-m", "pip", "uninstall", "--quiet", "--yes", "trihook-plain-text")
