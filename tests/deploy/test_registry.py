"""Registered models: what is taken, versions, checksums, and what kills and races leave."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import environment
from trihook import ConfigError, RegistryError, RepositoryError
from trihook.deploy import Model, Registry, storage
from trihook.deploy import registry as module
from trihook.deploy.home import Home, find_home

REGISTER = [sys.executable, "-m", "trihook", "register"]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def registry(home):
    return Registry(home)


@pytest.fixture
def folder(tmp_path):
    return add_version(tmp_path / "models", "vector", "1")


def add_version(folder, model, version, content=b"weights"):
    file = folder / "triton" / model / version / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return folder


def register(registry, folder, name="vector", **more):
    return registry.register(folder, name, tags=more.pop("tags", {}), **more)


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_versions_count_from_one(registry, folder):
    assert [str(register(registry, folder)) for _ in range(3)] == [
        "vector:1", "vector:2", "vector:3",
    ]  # fmt: skip
    assert str(register(registry, folder, "other")) == "other:1"
    assert [str(model) for model in registry.models()] == [
        "other:1", "vector:1", "vector:2", "vector:3",
    ]  # fmt: skip


def test_what_was_said_of_a_model_is_kept(home, folder):
    tags = {"area": "Natural language", "type": "a=b"}
    model = Model.register(folder, "vector", tags, "Adds up", home=home.folder)
    assert Registry(home).find("vector:1") == model
    assert (model.tags, model.description) == (tags, "Adds up")
    assert (model.repository / "vector" / "1" / "model.onnx").read_bytes() == b"weights"


def test_a_later_change_of_the_source_does_not_reach_the_registered_files(registry, folder):
    model = register(registry, folder)
    (folder / "triton" / "vector" / "1" / "model.onnx").write_bytes(b"changed")
    model.verify()
    assert (model.repository / "vector" / "1" / "model.onnx").read_bytes() == b"weights"


def test_everything_beside_the_repository_is_registered_too(registry, folder):
    (folder / "words.txt").write_text("a")
    assert set(register(registry, folder).checksums) == {
        "words.txt", "triton/vector/1/model.onnx",
    }  # fmt: skip


def test_a_repository_called_triton_is_taken_as_such(registry, folder):
    model = register(registry, folder / "triton")
    assert set(model.checksums) == {"triton/vector/1/model.onnx"}
    assert model.repository.is_dir()


def test_links_are_followed(registry, folder, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "words.txt").write_text("a")
    (folder / "linked").symlink_to(tmp_path / "real")
    path = register(registry, folder).path / "linked"
    assert not path.is_symlink()
    assert (path / "words.txt").read_text() == "a"


def test_a_link_in_a_circle_is_refused(registry, folder):
    (folder / "round").symlink_to(folder)
    with pytest.raises(RegistryError, match=f"contains itself.*{folder}/round"):
        register(registry, folder)
    assert registry.models() == ()


def test_what_is_no_file_is_refused(registry, folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(RegistryError, match=f"neither a file nor a folder: {folder}/pipe"):
        register(registry, folder)


@pytest.mark.parametrize("version", ["v1", "0", "01", "-1", "1.0"])
def test_a_version_that_is_no_number_is_refused(registry, tmp_path, version):
    folder = add_version(tmp_path / "models", "vector", version)
    with pytest.raises(RepositoryError, match=f"{folder}/triton/vector: the model has no version"):
        register(registry, folder)
    assert not registry.models()


def test_a_version_that_is_no_number_is_refused_beside_one_that_is(registry, folder):
    add_version(folder, "vector", "v2")
    with pytest.raises(RepositoryError, match=f"{folder}/triton/vector/v2: a version must be"):
        register(registry, folder)


def test_an_empty_version_is_refused(registry, folder):
    (folder / "triton" / "vector" / "2").mkdir()
    with pytest.raises(RepositoryError, match=f"{folder}/triton/vector/2: .* an empty folder"):
        register(registry, folder)


def test_a_folder_without_triton_is_refused(registry, tmp_path):
    with pytest.raises(RepositoryError, match=f"{tmp_path}: expected a folder 'triton'"):
        register(registry, tmp_path)
    with pytest.raises(RepositoryError, match=f"{tmp_path}/none: .* does not exist"):
        register(registry, tmp_path / "none")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a:1", "a b", "x" * 101])
def test_a_name_that_is_no_plain_word_is_refused(registry, folder, name):
    with pytest.raises(RegistryError, match="cannot name a model"):
        register(registry, folder, name)


def test_no_version_means_the_newest(registry, folder):
    register(registry, folder)
    register(registry, folder)
    assert registry.find("vector").version == 2


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("vector:7", "no version '7'; it has 1"),
        ("vector:", "no version ''"),
        ("vector:01", "no version '01'"),
        ("other", "no model 'other' is registered; registered are: vector"),
        ("../models/vector", "no model '../models/vector' is registered"),
    ],
)
def test_what_is_not_registered_is_not_found(registry, folder, reference, said):
    register(registry, folder)
    with pytest.raises(RegistryError, match=said):
        registry.find(reference)


@pytest.mark.parametrize("where", ["file", "description", "tag"])
def test_text_that_no_record_can_hold_is_refused_and_leaves_nothing(registry, folder, where):
    more = {}
    if where == "file":
        (folder / "triton" / os.fsdecode(b"caf\xe9.txt")).touch()
    elif where == "description":
        more["description"] = "two\u2028lines of\x85 caf\udce9"
    else:
        more["tags"] = {"caf\udce9": "x"}
    with pytest.raises(RegistryError, match=r"utf-8: .*caf\\udce9"):
        register(registry, folder, **more)
    assert registry.models() == ()


def test_a_folder_that_holds_the_home_is_not_copied_into_itself(folder):
    home = Home(folder / "triton" / "home")
    with pytest.raises(RegistryError, match="holds the home that it is to be copied to: "):
        register(Registry(home), folder)
    assert Registry(home).models() == ()


def test_a_damaged_file_is_noticed(registry, folder):
    model = register(registry, folder)
    file = model.repository / "vector" / "1" / "model.onnx"
    file.write_bytes(b"other")
    with pytest.raises(RegistryError, match=f"vector:1 is damaged: {file} has SHA-256"):
        model.verify()
    file.unlink()
    with pytest.raises(RegistryError, match="vector:1 is damaged: no such file"):
        model.verify()


DAMAGED = ["", "{", "[]", "null", "{}", '{"description": 1}', b"\xff"]


def record_of(model):
    return model.path.parent / "model.json"


def damage(model, content):
    record_of(model).write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_is_named_where_its_model_is_asked_for(registry, folder, content):
    good, bad = register(registry, folder), register(registry, folder)
    damage(bad, content)
    said = f"model vector:2 cannot be read: the record is damaged, .*: {record_of(bad)}"
    with pytest.raises(RegistryError, match=said):
        registry.find("vector")
    assert registry.find("vector:1") == good
    listed, damaged = registry.models()
    assert (listed, str(damaged)) == (good, "vector:2")
    assert "the record is damaged" in damaged.problem
    with pytest.raises(RegistryError, match=said):
        damaged.verify()


@pytest.mark.parametrize("reference", ["vector:1", "vector"])
def test_what_is_deleted_is_not_read(registry, folder, reference):
    damage(register(registry, folder), "")
    good = register(registry, folder, "good")
    assert registry.delete(reference, {}) == ("vector:1",)
    assert registry.models() == (good,)


def test_a_damaged_record_keeps_nobody_from_other_models(registry, folder):
    damage(register(registry, folder), "")
    register(registry, folder, "good")
    with pytest.raises(RegistryError, match="registered are: good, vector"):
        registry.find("other")
    assert registry.delete("good", {}) == ("good:1",)


def test_what_a_later_trihook_says_of_a_model_is_left_out(registry, folder):
    model = register(registry, folder, description="Adds up")
    record = json.loads(record_of(model).read_text())
    damage(model, json.dumps({**record, "owner": {"name": "Ada"}}))
    assert registry.find("vector") == model


def test_a_deleted_version_is_gone_and_its_number_is_not_given_again(registry, folder, home):
    for _ in range(2):
        register(registry, folder)
    registry.delete("vector:2", {})
    assert [model.version for model in registry.models()] == [1]
    assert register(registry, folder).version == 3
    assert len(files_below(home.folder)) == 2 * 2 + 1


@pytest.mark.parametrize("reference", ["vector:1", "vector"])
def test_a_deletion_that_was_cut_short_can_be_done_again(
    registry, folder, home, monkeypatch, reference
):
    def fail(*_):
        raise OSError(errno.EIO, "input/output error")

    register(registry, folder)
    with monkeypatch.context() as patch:
        patch.setattr(module, "discard", fail)
        with pytest.raises(RegistryError, match="vector:1 cannot be deleted"):
            registry.delete("vector:1", {})
    assert registry.models() == ()
    with pytest.raises(RegistryError, match="no model 'vector' is registered"):
        registry.find("vector:1")
    assert registry.delete(reference, {}) == ("vector:1",)
    assert not (home.models / "vector" / "1").exists()


def test_a_full_disk_does_not_keep_anybody_from_deleting(registry, folder, home, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "no space left on device")

    register(registry, folder)
    monkeypatch.setattr(storage, "staged", full)
    assert registry.delete("vector:1", {}) == ("vector:1",)
    assert [file.name for file in files_below(home.models)] == ["1.deleted"]


def test_a_deleted_name_leaves_nothing(registry, folder, home):
    for _ in range(2):
        register(registry, folder)
    registry.delete("vector:1", {})
    registry.delete("vector", {})
    assert registry.models() == ()
    assert files_below(home.folder) == []
    assert register(registry, folder).version == 1


def test_what_a_service_uses_is_not_deleted(registry, folder):
    register(registry, folder)
    for reference in ("vector:1", "vector"):
        with pytest.raises(RegistryError, match="vector:1 is used by service answers"):
            registry.delete(reference, {"vector:1": ("answers",)})
    assert registry.find("vector:1").version == 1


def test_many_at_once_get_a_version_each(home, folder):
    def run(_):
        command = [*REGISTER, str(folder), "--name", "vector", "--home", str(home.folder)]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60, env=environment()
        ).stdout

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(run, range(8)))
    assert said == [f"registered vector:{version}\n" for version in range(1, 9)]
    for model in Registry(home).models():
        model.verify()


def test_killed_at_any_moment_it_is_whole_or_as_before(home, tmp_path):
    folder = tmp_path / "models"
    for number in range(60):
        add_version(folder, f"model_{number}", "1", os.urandom(100_000))
    code = (
        "import sys; from trihook.deploy import Model\n"
        "while True:\n"
        "    print(flush=True)\n"
        "    Model.register(sys.argv[1], 'vector', home=sys.argv[2])\n"
    )
    chance = random.Random(20261122)  # noqa: S311 - moments to kill at, no secrets
    registered = 0
    for _ in range(12):
        command = [sys.executable, "-c", code, str(folder), str(home.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as process:
            for _ in range(chance.choice([1, 2])):  # as many have begun, and all but one ended
                process.stdout.readline()
            time.sleep(chance.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
        models = Registry(home).models()
        assert len(models) >= registered
        registered = len(models)
        for model in models:
            assert len(model.checksums) == 60
        if models:
            models[-1].verify()
    assert registered > 0
    last = Registry(home).register(folder, "vector", tags={})
    assert last.version == registered + 1
    assert list(home.staging.iterdir()) == []


def test_home_is_the_one_given_or_set_or_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert find_home().folder == tmp_path / "data" / "trihook"
    monkeypatch.setenv("TRIHOOK_HOME", str(tmp_path / "set"))
    assert find_home().folder == tmp_path / "set"
    assert find_home(tmp_path / "given").folder == tmp_path / "given"
    monkeypatch.delenv("TRIHOOK_HOME")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_home().folder == tmp_path / ".local" / "share" / "trihook"


@pytest.mark.parametrize("chosen", ["", "~nobody-of-this-name/trihook"])
def test_where_nobody_knows_the_user_a_home_must_be_chosen(monkeypatch, chosen):
    def fail(*_):
        raise KeyError

    monkeypatch.setenv("TRIHOOK_HOME", chosen)
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", fail)
    with pytest.raises(ConfigError, match="choose one with --home"):
        find_home()


def test_a_file_is_no_home(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRIHOOK_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=f"home {tmp_path}/file is no folder"):
        find_home()


def test_a_record_is_readable_json(registry, folder, home):
    register(registry, folder, tags={"a": "b"})
    record = json.loads((home.models / "vector" / "1" / "model.json").read_text())
    assert record["tags"] == {"a": "b"}
