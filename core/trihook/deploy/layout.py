"""What a folder must hold to be registered: a folder ``triton``, which is a model repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from trihook.errors import RepositoryError
from trihook.local import find_problems
from trihook.local.repository import MODEL_FILES

TRITON = "triton"
_VERSION = re.compile(r"[1-9]\d*")


def find_content(path: Path) -> tuple[Path, str]:
    """Return the folder to copy, and the name to copy it under, ``""`` for its own contents.

    Raises :class:`trihook.RepositoryError`, a line for each problem, with its path.
    """
    path = path.absolute()
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise RepositoryError(f"{path}: the folder to register {what}")
    is_triton = path.name == TRITON and not (path / TRITON).is_dir()
    repository = path if is_triton else path / TRITON
    if not repository.is_dir():
        raise RepositoryError(
            f"{path}: expected a folder {TRITON!r} here, holding <model>/<version>/<file>"
        )
    problems = [*map(str, find_problems(repository)), *_misnamed_versions(repository)]
    if problems:
        raise RepositoryError("\n".join(problems))
    return path, TRITON if is_triton else ""


def _misnamed_versions(repository: Path) -> Iterator[str]:
    """Find versions that Triton would silently pass over, beside some that it would not."""
    for model in sorted(filter(Path.is_dir, repository.iterdir())):
        folders = sorted(filter(Path.is_dir, model.iterdir()))
        if any(_VERSION.fullmatch(folder.name) for folder in folders):
            for folder in folders:
                holds_model = any((folder / file).exists() for file in MODEL_FILES)
                if holds_model and not _VERSION.fullmatch(folder.name):
                    yield f"{folder}: a version must be a positive whole number, such as 1"
