"""What a service's Triton and host find on disk."""

import os
import shutil

import pytest
from trihook import ConfigError, DeploymentError, RegistryError
from trihook.deploy.generation import Wanted, read_generation, write_generation
from trihook.deploy.home import Home
from trihook.deploy.registry import Registry


@pytest.fixture
def register(tmp_path):
    registry = Registry(Home(tmp_path / "home"))

    def add(name, *models):
        folder = tmp_path / f"source-{name}"
        for model in models:
            file = folder / "triton" / model / "1" / "model.onnx"
            file.parent.mkdir(parents=True)
            file.write_bytes(model.encode())
        (folder / "words.txt").write_text(name)
        return registry.register(folder, name, tags={})

    return add


@pytest.fixture
def write(tmp_path):
    def write_it(*models, before=None, **wanted):
        folder = tmp_path / "generations" / str(before.number + 1 if before else 1)
        folder.mkdir(parents=True)
        write_generation(folder, Wanted(models, **wanted), before)
        return read_generation(folder)

    return write_it


def test_tritons_repository_holds_the_models_of_all_that_is_registered(register, write):
    generation = write(register("one", "a", "b"), register("two", "c"))
    files = {p.name: (p / "1" / "model.onnx").read_bytes() for p in generation.repository.iterdir()}
    assert files == {"a": b"a", "b": b"b", "c": b"c"}


def test_the_files_are_shared_with_the_registry(register, write):
    model = register("one", "a")
    shared = write(model).repository / "a" / "1" / "model.onnx"
    assert shared.samefile(model.repository / "a" / "1" / "model.onnx")


def test_the_model_dir_is_the_folder_of_the_only_model(register, write):
    assert (write(register("one", "a")).model_dir / "words.txt").read_text() == "one"


def test_the_model_dir_is_above_several_models(register, write):
    generation = write(register("one", "a"), register("two", "b"))
    assert (generation.model_dir / "two" / "1" / "words.txt").read_text() == "two"


def test_two_models_of_one_name_are_refused(register, write):
    with pytest.raises(DeploymentError, match=r"one:1 and two:1 both hold a Triton model.*'a'"):
        write(register("one", "a"), register("two", "a"))


def test_a_damaged_model_is_refused(register, write):
    model = register("one", "a")
    (model.repository / "a" / "1" / "model.onnx").write_bytes(b"other")
    with pytest.raises(RegistryError, match="one:1 is damaged"):
        write(model)


@pytest.mark.parametrize(
    ("models", "settings", "chosen"),
    [
        (("main",), "", ""),
        (("other", "main"), "", "main"),
        (("other", "another"), "", ""),
        (("other", "main"), "default_model = 'other'", ""),
    ],
    ids=["the only one", "the one called as registered", "none is called so", "the settings say"],
)
def test_the_default_model(register, write, tmp_path, models, settings, chosen):
    config = tmp_path / "settings.toml"
    config.write_text(settings)
    assert write(register("main", *models), config=config).spec.default_model == chosen


def test_a_script_chooses_its_model_itself(register, write, tmp_path):
    (tmp_path / "score.py").write_text("")
    generation = write(register("main", "main", "other"), entry_script=tmp_path / "score.py")
    assert (generation.spec.entry_script, generation.spec.default_model) == ("score.py", "")


def test_a_script_alone_is_copied_without_what_lies_beside_it(register, write, tmp_path):
    (tmp_path / "score.py").write_text("")
    app = write(register("main", "main"), entry_script=tmp_path / "score.py").app
    assert [file.name for file in app.iterdir()] == ["score.py"]


def test_a_source_directory_is_copied_whole(register, write, tmp_path):
    (tmp_path / "code" / "inner").mkdir(parents=True)
    (tmp_path / "code" / "inner" / "score.py").write_text("")
    (tmp_path / "code" / "words.py").write_text("")
    generation = write(
        register("main", "main"),
        source_directory=tmp_path / "code",
        entry_script="inner/score.py",
    )
    assert generation.spec.entry_script == "inner/score.py"
    assert (generation.app / "words.py").exists()


def test_another_source_directory_has_the_script_where_it_was(register, write, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "score.py").write_text(name)
    model = register("main", "main")
    first = write(model, source_directory=tmp_path / "first", entry_script="inner/score.py")
    second = write(model, before=first, source_directory=tmp_path / "second")
    assert second.spec.entry_script == "inner/score.py"
    assert (second.app / "inner" / "score.py").read_text() == "second"
    (tmp_path / "second" / "inner" / "score.py").unlink()
    with pytest.raises(DeploymentError, match=r"entry script .*/second/inner/score.py does not"):
        write(model, before=second, source_directory=tmp_path / "second")


def test_a_source_directory_without_a_script_is_refused(register, write, tmp_path):
    model = register("main", "main")
    with pytest.raises(DeploymentError, match="is for an entry script, and none is named"):
        write(model, source_directory=tmp_path)
    shutil.rmtree(tmp_path / "generations")
    with pytest.raises(DeploymentError, match="is for an entry script, and none is named"):
        write(model, before=write(model), source_directory=tmp_path)


def test_wrong_settings_are_refused(register, write, tmp_path):
    config = tmp_path / "settings.toml"
    config.write_text("prot = 1")
    with pytest.raises(ConfigError, match=r"'prot' in .*settings.toml is no setting"):
        write(register("main", "main"), config=config)


def test_wrong_settings_of_a_source_directory_are_refused_too(register, write, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text("")
    (tmp_path / "code" / "trihook.toml").write_text("prot = 1")
    with pytest.raises(ConfigError, match=r"'prot' in .*/code/trihook.toml is no setting"):
        write(register("main", "main"), source_directory=tmp_path / "code", entry_script="score.py")


@pytest.mark.parametrize("settings", ["default_model = 'absent'", "[models.absent]\nmax_batch = 2"])
def test_settings_for_a_model_that_would_not_be_there_are_refused(
    register, write, tmp_path, settings
):
    config = tmp_path / "settings.toml"
    config.write_text(settings)
    said = "name model 'absent', which the service would not have; it would have a, b"
    with pytest.raises(ConfigError, match=said):
        write(register("main", "a", "b"), config=config)


def test_the_default_model_of_the_deploying_shell_comes_before_that_of_the_file(
    register, write, tmp_path, monkeypatch
):
    config = tmp_path / "settings.toml"
    config.write_text("default_model = 'absent'")
    models = register("a", "a", "b")
    monkeypatch.setenv("TRIHOOK_DEFAULT_MODEL", "b")
    assert write(models, config=config).spec.default_model == ""
    monkeypatch.setenv("TRIHOOK_DEFAULT_MODEL", "other")
    (refused := tmp_path / "refused").mkdir()
    with pytest.raises(ConfigError, match="name model 'other'"):
        write_generation(refused, Wanted((models,)))


def test_an_update_that_takes_a_model_away_from_the_settings_is_refused(register, write, tmp_path):
    config = tmp_path / "settings.toml"
    config.write_text("[models.b]")
    one, two = register("one", "a"), register("two", "b")
    both = write(one, two, config=config)
    with pytest.raises(ConfigError, match="name model 'b'"):
        write(one, before=both)


def test_a_script_may_be_a_link_and_its_source_directory_too(register, write, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "shared.py").write_text("shared")
    (tmp_path / "real" / "score.py").symlink_to(tmp_path / "shared.py")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    model, before = register("main", "main"), None
    (tmp_path / "current.py").symlink_to(tmp_path / "real" / "own.py")
    (tmp_path / "real" / "own.py").write_text("shared")
    scripts = ["score.py", tmp_path / "real" / "score.py", tmp_path / "current.py"]
    for script, name in zip(scripts, ["score.py", "score.py", "own.py"], strict=True):
        before = write(
            model, before=before, source_directory=tmp_path / "link", entry_script=script
        )
        assert before.spec.entry_script == name
        assert (before.app / name).read_text() == "shared"


def test_a_script_outside_its_source_directory_is_refused(register, write, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "score.py").write_text("")
    with pytest.raises(DeploymentError, match=r"score.py is not in the source directory .*/code"):
        write(
            register("main", "main"),
            source_directory=tmp_path / "code",
            entry_script=tmp_path / "score.py",
        )


def test_an_update_keeps_what_it_does_not_name(register, write, tmp_path):
    (tmp_path / "score.py").write_text("first")
    first = write(
        register("main", "main"), entry_script=tmp_path / "score.py", workers=3, timeout=5.0
    )
    second = write(register("next", "main"), before=first)
    assert second.number == 2
    assert second.spec.models == ("next:1",)
    assert (second.spec.entry_script, second.spec.workers, second.spec.timeout) == (
        "score.py", 3, 5.0,
    )  # fmt: skip
    (tmp_path / "score.py").write_text("second")
    third = write(register("last", "main"), before=second, entry_script=tmp_path / "score.py")
    assert (second.app / "score.py").read_text() == "first"
    assert (third.app / "score.py").read_text() == "second"


def test_an_update_takes_what_was_deployed_and_nothing_that_the_host_wrote(
    register, write, tmp_path
):
    (tmp_path / "score.py").write_text("deployed")
    first = write(register("main", "main"), entry_script=tmp_path / "score.py")
    (first.app / "score.py").write_text("edited")
    (first.app / "cache").write_text("")
    os.mkfifo(first.app / "pipe")
    second = write(register("next", "main"), before=first)
    assert [file.name for file in second.app.iterdir()] == ["score.py"]
    assert (second.app / "score.py").read_text() == "deployed"


def test_settings_stay_until_others_are_given(register, write, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "score.py").write_text(name)
    (tmp_path / "settings.toml").write_text("port = 1")
    (tmp_path / "second" / "trihook.toml").write_text("port = 2")
    (tmp_path / "others.toml").write_text("port = 3")
    model, script = register("main", "main"), tmp_path / "first" / "score.py"
    generation = write(model, config=tmp_path / "settings.toml")
    for wanted, port in [
        ({}, 1),
        ({"entry_script": script}, 1),
        ({"source_directory": tmp_path / "first"}, 1),
        ({"source_directory": tmp_path / "second"}, 2),
        ({"entry_script": script}, 2),
        ({"source_directory": tmp_path / "second", "config": tmp_path / "others.toml"}, 3),
    ]:
        generation = write(model, before=generation, **wanted)
        assert (generation.app / "trihook.toml").read_text() == f"port = {port}"
