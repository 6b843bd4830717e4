"""The layout of a Triton model repository: what is in it, and what is wrong with it.

::

    <repository>/<model>/config.pbtxt          needed by some models only
    <repository>/<model>/<version>/<file>      a version is a positive whole number

Files are looked at, never run or loaded; Triton may still refuse what passes here. The layout is
that of https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_repository.md
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trihook.errors import RepositoryError
from trihook.local.pbtxt import top_level_strings

MODEL_FILES = (
    "model.onnx",
    "model.py",
    "model.plan",
    "model.pt",
    "model.graphdef",
    "model.savedmodel",
)
CONFIG = "config.pbtxt"
_VERSION = re.compile(r"[1-9]\d*")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps Triton from loading a repository; ``sentence`` names what and why."""

    path: Path
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class RepositoryModel:
    """One model of a repository.

    ``versions`` ascend. ``file`` is the name of the model file or folder of the newest version,
    ``""`` where the model has none, as an ensemble.
    """

    name: str
    versions: tuple[int, ...]
    file: str
    has_config: bool


def require_valid(
    repository: Path, names: Collection[str] | None = None
) -> tuple[RepositoryModel, ...]:
    """Return the models of a repository that Triton can load; else raise, a line a problem.

    ``names`` limits the check to these models, which must then be there; the repository may
    hold others, or none. Raises :class:`~trihook.RepositoryError`.
    """
    problems = find_problems(repository, names)
    if problems:
        raise RepositoryError("\n".join(map(str, problems)))
    return list_models(repository)


def find_problems(repository: Path, names: Collection[str] | None = None) -> tuple[Problem, ...]:
    """Return what is wrong with a repository, or with the models ``names`` in it; () if nothing."""
    try:
        if not repository.is_dir():
            what = "is a file, not a folder" if repository.exists() else "does not exist"
            return (Problem(repository, f"the model repository {what}"),)
        return tuple(_find_problems(repository, names))
    except PermissionError as exc:
        return (Problem(Path(exc.filename), "there is no permission to read this"),)


def list_models(repository: Path) -> tuple[RepositoryModel, ...]:
    """Return the models of a repository by name, those without a version left out."""
    return tuple(
        RepositoryModel(
            name=folder.name,
            versions=versions,
            file=_model_file(folder / str(versions[-1]), _config(folder)),
            has_config=(folder / CONFIG).is_file(),
        )
        for folder in _model_folders(repository)
        if (versions := _versions(folder))
    )


def _find_problems(repository: Path, names: Collection[str] | None) -> Iterable[Problem]:
    if names is not None:
        folders = [repository / name for name in names]
    else:
        folders = _model_folders(repository)
        misplaced = tuple(_misplaced(repository, folders))
        if misplaced:
            return misplaced
    return (problem for folder in folders for problem in _model_problems(folder))


def _misplaced(repository: Path, folders: list[Path]) -> Iterator[Problem]:
    """Find out whether a folder above or below the repository was given in its place."""
    if _versions(repository):
        yield Problem(
            repository, f"this is a model, not a repository: did you mean {repository.parent}?"
        )
    elif not folders:
        yield Problem(repository, "the model repository holds no model folder")
    elif not any(_versions(folder) for folder in folders):
        inner = [f for f in folders if any(_versions(model) for model in _model_folders(f))]
        if inner:
            yield Problem(repository, f"no model here has a version: did you mean {inner[0]}?")


def _model_problems(folder: Path) -> Iterator[Problem]:
    if not folder.is_dir():
        yield Problem(folder, "the repository has no such model")
        return
    config = _config(folder)
    if shlex.quote(folder.name) != folder.name:
        yield Problem(folder, "a model's name must need no quotes in a shell")
    if config.get("name", folder.name) != folder.name:
        yield Problem(
            folder / CONFIG,
            f"the configuration names the model {config['name']!r}, its folder {folder.name!r}",
        )
    if not _versions(folder):
        yield Problem(folder, _no_version(folder))
    else:
        yield from _misleading_folder(folder, config)
    for version in _versions(folder):
        yield from _version_problems(folder / str(version), config)


def _no_version(folder: Path) -> str:
    found = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    return (
        "the model has no version: expected a folder named by a positive whole number, "
        f"such as {folder.name}/1, and found {found or 'no folder'}"
    )


def _misleading_folder(folder: Path, config: dict[str, str]) -> Iterator[Problem]:
    """Triton tells a model's backend from the first folder by name, be it a version or not."""
    first = min(path.name for path in folder.iterdir() if path.is_dir())
    if not _VERSION.fullmatch(first) and not {"backend", "platform"} & config.keys():
        yield Problem(
            folder / first,
            "this is no version, and Triton looks here for the model file, as it comes first by "
            f"name: remove it, or name the backend in {CONFIG}",
        )


def _version_problems(version: Path, config: dict[str, str]) -> Iterator[Problem]:
    if _model_file(version, config) or _needs_no_file(config):
        return
    expected = config.get("default_model_filename") or f"one of {', '.join(MODEL_FILES)}"
    found = ", ".join(sorted(path.name for path in version.iterdir()))
    yield Problem(version, f"expected {expected}, and found {found or 'an empty folder'}")


def _needs_no_file(config: dict[str, str]) -> bool:
    """Tell whether the model is an ensemble, or of a backend with files of its own."""
    known = {"", "onnxruntime", "python", "tensorrt", "pytorch", "tensorflow"}
    return config.get("platform") == "ensemble" or config.get("backend", "") not in known


def _model_file(version: Path, config: dict[str, str]) -> str:
    named = config.get("default_model_filename")
    candidates = (named,) if named else MODEL_FILES
    return next((name for name in candidates if (version / name).exists()), "")


def _config(folder: Path) -> dict[str, str]:
    try:
        return top_level_strings((folder / CONFIG).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def _model_folders(repository: Path) -> list[Path]:
    return sorted(path for path in repository.iterdir() if path.is_dir())


def _versions(folder: Path) -> tuple[int, ...]:
    names = (path.name for path in folder.iterdir() if path.is_dir())
    return tuple(sorted(int(name) for name in names if _VERSION.fullmatch(name)))
