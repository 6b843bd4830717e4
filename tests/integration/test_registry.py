"""The commands around the registry, as a user calls them."""

import json
import os
import resource
import subprocess
import sys

import pytest
from servers import environment, heed_permissions


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path):
    file = tmp_path / "models" / "triton" / "vector" / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    return tmp_path / "models"


@pytest.fixture
def trihook(home):
    def run(*arguments, **more):
        return subprocess.run(
            [sys.executable, "-m", "trihook", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**environment(), "TRIHOOK_HOME": str(home)},
            **more,
        )

    return run


def test_a_model_is_registered_listed_shown_and_deleted(trihook, folder, home):
    done = trihook("register", folder, "--name", "vector", "--tag", "area=maths", "--tag", "x=a=b")
    assert (done.returncode, done.stdout) == (0, "registered vector:1\n")
    head, line = trihook("registry", "list").stdout.splitlines()
    assert head.split() == ["NAME", "VERSION", "CREATED", "TAGS", "DESCRIPTION"]
    assert line.split()[:2] == ["vector", "1"]
    [model] = json.loads(trihook("registry", "list", "--json").stdout)
    assert model["tags"] == {"area": "maths", "x": "a=b"}
    assert "triton/vector/1/model.onnx" in trihook("registry", "show", "vector").stdout
    assert trihook("registry", "delete", "vector").stdout == "deleted vector:1\n"
    assert json.loads(trihook("registry", "list", "--json").stdout) == []
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_show_says_that_a_file_is_damaged(trihook, folder, home):
    trihook("register", folder, "--name", "vector")
    [file] = home.rglob("model.onnx")
    file.write_bytes(b"other")
    shown = trihook("registry", "show", "vector:1")
    assert shown.returncode == 1
    assert shown.stderr.startswith(f"Error: model vector:1 is damaged: {file} has SHA-256")


def test_a_damaged_record_is_listed_as_such_beside_the_others(trihook, folder, home):
    for name in ("bad", "good"):
        trihook("register", folder, "--name", name)
    record = home / "models" / "bad" / "1" / "model.json"
    record.write_text("")
    listed = trihook("registry", "list")
    assert listed.returncode == 0
    _, bad, good = listed.stdout.splitlines()
    assert bad.split() == ["bad", "1", "damaged"]
    assert good.startswith("good")
    said = "Error: model bad:1 cannot be read: the record is damaged, "
    for done in (listed, trihook("registry", "show", "bad"), trihook("deploy", "x", "--model=bad")):
        [line] = done.stderr.splitlines()
        assert line.startswith(said)
        assert line.endswith(f": {record}")
    assert trihook("registry", "delete", "good").stdout == "deleted good:1\n"
    assert trihook("registry", "delete", "bad").stdout == "deleted bad:1\n"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("rm -r triton", "{folder}: expected a folder 'triton' here"),
        ("mv triton/vector/1 triton/vector/first", "{folder}/triton/vector: the model has no ver"),
        ("rm triton/vector/1/model.onnx", "{folder}/triton/vector/1: expected one of model.onnx"),
    ],
)
def test_a_folder_that_triton_could_not_load_is_refused_in_one_line(trihook, folder, damage, said):
    subprocess.run(damage.split(), cwd=folder, check=True)
    done = trihook("register", folder, "--name", "vector")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: " + said.format(folder=folder))
    assert json.loads(trihook("registry", "list", "--json").stdout) == []


def test_a_tag_without_a_value_is_a_usage_error(trihook, folder):
    done = trihook("register", folder, "--name", "vector", "--tag", "area")
    assert done.returncode == 2
    assert "'area' is not KEY=VALUE" in done.stderr


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(trihook, folder, home):
    (folder / "triton" / "vector" / "1" / "model.onnx").write_bytes(os.urandom(3_000_000))

    def no_space():
        # stands for a full disk where a test may not mount one: no file may pass this size
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    done = trihook("register", folder, "--name", "vector", preexec_fn=no_space)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"Error: {folder} cannot be registered as 'vector': file too large")
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("closed", "command", "said"),
    [
        ("home", "registry list", "registered models cannot be read: "),
        ("home", "services", "services cannot be read: "),
        ("home/models", "registry list", "registered models cannot be read: "),
        ("home/models", "registry show x", "registered models cannot be read: "),
        ("home/models", "registry delete x", "registered models cannot be read: "),
        ("home/models", "deploy x --model x", "registered models cannot be read: "),
        ("home/services", "services", "services cannot be read: "),
        ("home/services", "show x", "service 'x' cannot be read: "),
        ("home/services", "deploy x --model vector", "service 'x' cannot be deployed: "),
        ("models", "register models/triton --name x", "triton cannot be registered as 'x': "),
        ("models", "triton models/triton", "there is no "),
        ("models", "serve --entry-script models/score.py", ""),
    ],
)
def test_a_folder_that_may_not_be_read_is_one_line(
    trihook, folder, home, tmp_path, closed, command, said
):
    trihook("register", folder, "--name", "vector")
    (home / "services").mkdir()
    (tmp_path / closed).chmod(0o000)
    done = trihook(*command.split(), cwd=tmp_path, preexec_fn=heed_permissions)
    (tmp_path / closed).chmod(0o700)
    assert done.returncode in (1, 2)
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert f"{said}permission" in line


def test_a_home_in_a_folder_that_may_not_be_read_is_one_line(trihook, home, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o000)
    done = trihook("services", "--home", "closed/home", cwd=tmp_path, preexec_fn=heed_permissions)
    assert done.returncode == 2
    said = f"Error: home {tmp_path}/closed/home cannot be read: permission denied"
    assert done.stderr.splitlines()[-1].startswith(said)


def test_wrong_settings_for_a_deployment_are_a_usage_error(trihook, folder, tmp_path):
    trihook("register", folder, "--name", "vector")
    (tmp_path / "wrong.toml").write_text("prot = 1")
    done = trihook("deploy", "x", "--model", "vector", "--config", tmp_path / "wrong.toml")
    assert done.returncode == 2
    assert "'prot' in" in done.stderr
