"""The generated files: what they hold, that they are the same each time, and never overwritten."""

import json
import re
from pathlib import Path

import pytest
from trihook import ConfigError
from trihook.generate.azureml import (
    AssetVersion,
    Deployment,
    Requirement,
    render_files,
    write_files,
)

WHEEL = {"acme-2.5-py3-none-any.whl": b"zipped"}
REQUIREMENTS = (
    Requirement("acme", "2.5", folder=Path("/src/acme")),
    Requirement("trihook-pillow", "0.1.0"),
)
LINES = ["./wheels/acme-2.5-py3-none-any.whl", "trihook-pillow==0.1.0"]
NAMES = {
    "Dockerfile",
    "conda.yml",
    "deployment.yml",
    "deploymentconfig-aks.json",
    "deploymentconfig.json",
    "endpoint.yml",
    "environment.yml",
    "inferenceconfig.json",
    "kubernetes-deployment.yml",
    "kubernetes-endpoint.yml",
    "model.yml",
    "requirements.txt",
    "score_bidaf.py",
    "start.sh",
}


def deployment(*models):
    assets = tuple(map(AssetVersion.parse, models or ("bidaf_onnx:3",)))
    return Deployment("triton-bidaf", assets, "score_bidaf.py", "../models", "3.11")


@pytest.fixture
def files():
    return render_files(deployment(), b"# score\n", REQUIREMENTS, WHEEL)


def test_every_file_is_there(files):
    assert set(files) == NAMES | {"wheels/acme-2.5-py3-none-any.whl"}
    assert files["score_bidaf.py"] == b"# score\n"


def test_equal_values_give_equal_bytes(files):
    again = render_files(deployment(), b"# score\n", REQUIREMENTS, WHEEL)
    assert list(again.items()) == list(files.items())


def test_no_template_leaves_blank_or_unrendered_lines(files):
    texts = {name: content.decode() for name, content in files.items() if name in NAMES}
    for name, text in texts.items():
        assert text.endswith("\n"), name
        assert not re.search(r"\{\{|\{%|\n\n\n|[ \t]\n", text), name


def test_conda_and_docker_install_the_same(files):
    assert files["requirements.txt"].decode().splitlines() == LINES
    conda = files["conda.yml"].decode()
    assert re.findall(r'^      - "(.*)"$', conda, re.MULTILINE) == LINES
    assert "  - python=3.11\n" in conda


def test_version_1_reads_the_fields_that_it_knows(files):
    config = json.loads(files["inferenceconfig.json"])
    assert set(config) == {"entryScript", "sourceDirectory", "environment"}
    assert config["entryScript"] == "score_bidaf.py"
    environment = config["environment"]
    assert set(environment) == {"name", "version", "environmentVariables", "docker", "python"}
    assert set(environment["docker"]) == {
        "baseImage", "baseDockerfile", "arguments", "sharedVolumes", "shmSize", "enabled",
    }  # fmt: skip
    python = environment["python"]
    assert set(python) == {
        "condaDependencies", "interpreterPath", "userManagedDependencies",
        "condaDependenciesFile", "baseCondaEnvironment",
    }  # fmt: skip
    *_, pip = python["condaDependencies"]["dependencies"]
    assert pip == {"pip": [*LINES, "azureml-inference-server-http==1.5.1"]}


def test_version_1_deploys_to_port_6789_or_to_kubernetes_with_a_gpu(files):
    local = json.loads(files["deploymentconfig.json"])
    assert local == {"computeType": "local", "port": 6789}
    aks = json.loads(files["deploymentconfig-aks.json"])
    assert set(aks) == {
        "computeType", "autoScaler", "dataCollection", "authEnabled",
        "containerResourceRequirements", "gpuCores", "scoringTimeoutMs",
        "maxConcurrentRequestsPerContainer", "maxQueueWaitMs", "numReplicas",
        "livenessProbeRequirements",
    }  # fmt: skip
    assert (aks["computeType"], aks["gpuCores"]) == ("aks", 1)
    assert aks["dataCollection"] == {"storageEnabled": False}
    assert set(aks["containerResourceRequirements"]) == {"cpu", "memoryInGB"}


def test_several_models_are_one_asset_that_names_them():
    files = render_files(deployment("bidaf_onnx:3", "densenet_onnx:1"), b"", REQUIREMENTS, WHEEL)
    model = files["model.yml"].decode()
    assert '\nname: "triton-bidaf"\nversion: "1"\n' in model
    assert '\n  "bidaf_onnx": "3"\n  "densenet_onnx": "1"\n' in model
    assert "\nmodel: azureml:triton-bidaf:1\n" in files["deployment.yml"].decode()


def test_an_image_without_wheels_copies_none():
    requirements = [Requirement("trihook", "0.1.0")]
    files = render_files(deployment(), b"", requirements, {})
    assert "wheels" not in files["Dockerfile"].decode()
    assert files["requirements.txt"] == b"trihook==0.1.0\n"


def test_writing_says_what_has_changed(files, tmp_path):
    folder = tmp_path / "new" / "azureml"
    assert write_files(files, folder) == [folder / name for name in files]
    assert write_files(files, folder) == []
    (folder / "start.sh").unlink()
    assert write_files(files, folder) == [folder / "start.sh"]


def test_an_edited_file_is_kept_and_nothing_else_is_written(files, tmp_path):
    write_files(files, tmp_path)
    (tmp_path / "conda.yml").write_text("edited\n")
    (tmp_path / "start.sh").unlink()
    with pytest.raises(ConfigError, match=r"holds other versions of conda\.yml: choose another"):
        write_files(files, tmp_path)
    assert (tmp_path / "conda.yml").read_text() == "edited\n"
    assert not (tmp_path / "start.sh").exists()
    assert write_files(files, tmp_path, force=True) == [
        tmp_path / "conda.yml",
        tmp_path / "start.sh",
    ]
    assert (tmp_path / "conda.yml").read_bytes() == files["conda.yml"]


def test_a_folder_that_cannot_be_written_is_named(files, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=rf"{tmp_path}/file cannot be written: file exists"):
        write_files(files, tmp_path / "file")
    (tmp_path / "conda.yml").mkdir()
    with pytest.raises(ConfigError, match=r"conda\.yml cannot be written: is a directory"):
        write_files(files, tmp_path)
