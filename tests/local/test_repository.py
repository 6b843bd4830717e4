"""The layout of model repositories."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from trihook import RepositoryError
from trihook.local import RepositoryModel, find_problems, list_models, require_valid


def lay_out(root: Path, *paths: str) -> Path:
    """Create files below ``root``; a path that ends in a slash is a folder."""
    for path in paths:
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("")
    return root


def only_problem(repository: Path) -> str:
    (problem,) = find_problems(repository)
    return f"{problem.path.relative_to(repository.parent)}: {problem.sentence}"


@pytest.mark.parametrize(
    "file",
    ["model.onnx", "model.py", "model.plan", "model.pt", "model.graphdef", "model.savedmodel/"],
)
def test_a_model_file_that_triton_knows_needs_no_configuration(tmp_path: Path, file: str) -> None:
    assert find_problems(lay_out(tmp_path, f"m/1/{file}")) == ()


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ((), "repo: the model repository holds no model folder"),
        (("README.md",), "repo: the model repository holds no model folder"),
        (("m/",), "repo/m: the model has no version"),
        (("m/model.onnx",), "repo/m: the model has no version"),
        (("m/v1/model.onnx",), "repo/m: the model has no version"),
        (("m/0/model.onnx",), "repo/m: the model has no version"),
        (("m/01/model.onnx",), "repo/m: the model has no version"),
        (("m/-1/model.onnx",), "repo/m: the model has no version"),
        (("m/1/",), "repo/m/1: expected one of model.onnx"),
        (("m/1/weights.onnx",), "repo/m/1: expected one of model.onnx"),
        (("m/1/model.onnx", "m/2/"), "repo/m/2: expected one of model.onnx"),
        (("m/1/model.onnx", "m/01/"), "repo/m/01: this is no version"),
        (("m m/1/model.onnx",), "repo/m m: a model's name must need no quotes"),
        (("a/1/model.onnx", ".git/HEAD"), "repo/.git: the model has no version"),
        (("triton/m/1/model.onnx",), "repo: no model here has a version: did you mean"),
        (("1/model.onnx",), "repo: this is a model, not a repository: did you mean"),
    ],
)
def test_a_wrong_layout_is_said_to_be_wrong(
    tmp_path: Path, paths: tuple[str, ...], expected: str
) -> None:
    assert only_problem(lay_out(tmp_path / "repo", "./", *paths)).startswith(expected)


def test_what_was_found_in_place_of_the_expected_is_named(tmp_path: Path) -> None:
    repository = lay_out(tmp_path, "m/first/", "m/second/", "n/1/net.onnx")
    sentences = [problem.sentence for problem in find_problems(repository)]
    assert sentences[0].endswith("found first, second")
    assert sentences[1].endswith("found net.onnx")


def test_the_folder_below_that_is_the_repository_is_proposed(tmp_path: Path) -> None:
    repository = lay_out(tmp_path / "models", "triton/m/1/model.onnx")
    assert only_problem(repository).endswith(f"did you mean {repository / 'triton'}?")


@pytest.mark.parametrize(("name", "what"), [("absent", "does not exist"), ("file", "is a file")])
def test_a_repository_must_be_a_folder(tmp_path: Path, name: str, what: str) -> None:
    lay_out(tmp_path, "file")
    assert what in only_problem(tmp_path / name)


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, "m/1/model.onnx", "secret/")
    iterdir = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path.name == "secret":  # root, as whom tests may run, can read everything
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert only_problem(tmp_path).endswith("/secret: there is no permission to read this")


@pytest.mark.parametrize(
    ("config", "file", "valid"),
    [
        ('default_model_filename: "net.onnx"', "net.onnx", True),
        ('default_model_filename: "net.onnx"', "model.onnx", False),
        ('platform: "ensemble"', "", True),
        ('backend: "dali"', "", True),
        ('backend: "onnxruntime"', "", False),
        ('name: "m"', "model.onnx", True),
        ('name: "other"', "model.onnx", False),
    ],
)
def test_the_configuration_decides_which_file_is_needed(
    tmp_path: Path, config: str, file: str, valid: bool
) -> None:
    lay_out(tmp_path, f"m/1/{file}")
    (tmp_path / "m" / "config.pbtxt").write_text(config)
    assert (find_problems(tmp_path) == ()) is valid


def test_a_folder_before_the_versions_is_harmless_where_the_backend_is_named(
    tmp_path: Path,
) -> None:
    lay_out(tmp_path, "m/1/model.onnx", "m/.cache/")
    (tmp_path / "m" / "config.pbtxt").write_text('backend: "onnxruntime"')
    assert find_problems(tmp_path) == ()


def test_only_the_named_models_are_looked_at(tmp_path: Path) -> None:
    lay_out(tmp_path, "good/1/model.onnx", "bad/")
    assert find_problems(tmp_path, ["good"]) == ()
    assert [problem.path.name for problem in find_problems(tmp_path, ["bad", "absent"])] == [
        "bad",
        "absent",
    ]


def test_models_are_listed_with_versions_file_and_configuration(tmp_path: Path) -> None:
    lay_out(tmp_path, "b/2/model.onnx", "b/10/model.onnx", "a/1/model.py", "a/config.pbtxt", "c/")
    assert list_models(tmp_path) == (
        RepositoryModel("a", (1,), "model.py", has_config=True),
        RepositoryModel("b", (2, 10), "model.onnx", has_config=False),
    )


def test_every_problem_has_a_line_in_the_error(tmp_path: Path) -> None:
    lay_out(tmp_path, "a/1/model.onnx", "b/1/", "c/")
    with pytest.raises(RepositoryError) as caught:
        require_valid(tmp_path)
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        str(tmp_path / "b" / "1"),
        str(tmp_path / "c"),
    ]
