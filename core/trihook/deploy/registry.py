"""Registered models: versions 1, 2, … of a name, each a folder that never changes.

::

    models/<name>/<version>/model.json    description, tags, checksums
    models/<name>/<version>/files/        a copy of what was registered
    models/<name>/<version>.deleted       keeps the number from being given again

The store is files and one ``rename`` for each change, not a database: most of what is to be kept
is files in any case, and a row and a folder that change in one step need the folder's rename
to be the step. A version is there if its folder is; two writers who choose the same number find
out by that rename, and the later one takes the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from trihook.deploy.home import NAME, NAME_RULE, Home, find_home
from trihook.deploy.layout import TRITON, find_content
from trihook.deploy.records import encode_record, read_record
from trihook.deploy.storage import (
    copy_tree,
    digest_of,
    discard,
    explained,
    move_into_place,
    staged,
    write_file,
)
from trihook.errors import RegistryError

_RECORD = "model.json"
_FILES = "files"
_DELETED = ".deleted"
_UNREADABLE = "registered models cannot be read"


@dataclass(frozen=True, slots=True)
class _Record:
    """What is written of a version, beside its files."""

    description: str
    tags: Mapping[str, str]
    created: str
    checksums: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Model:
    """One registered version of a model.

    ``path`` is the folder with its files, which are not to be changed; the folder ``triton`` in
    it is the model repository. ``checksums`` are the files' SHA-256 by relative path, and
    ``created`` is the time in UTC, as ISO 8601. ``problem`` says in a sentence what is wrong, where
    all else that was said of it cannot be read.
    """

    name: str
    version: int
    path: Path
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def repository(self) -> Path:
        """The model repository that Triton reads."""
        return self.path / TRITON

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @classmethod
    def register(
        cls,
        model_path: str | os.PathLike[str],
        model_name: str,
        tags: Mapping[str, str] | None = None,
        description: str = "",
        *,
        home: str | os.PathLike[str] | None = None,
    ) -> Model:
        """Register a folder; see :meth:`Registry.register`."""
        return Registry(find_home(home)).register(
            Path(model_path), model_name, tags=tags or {}, description=description
        )

    def verify(self) -> None:
        """Raise :class:`trihook.RegistryError` if a file is not as it was registered."""
        if self.problem:
            raise RegistryError(self.problem)
        for name, digest in self.checksums.items():
            with explained(RegistryError, f"model {self} is damaged"):
                found = digest_of(self.path / name)
            if found != digest:
                raise RegistryError(
                    f"model {self} is damaged: {self.path / name} has SHA-256 {found}, "
                    f"and was registered with {digest}"
                )


class Registry:
    """The registered models of one home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def register(
        self, path: Path, name: str, *, tags: Mapping[str, str], description: str = ""
    ) -> Model:
        """Copy a folder that holds a folder ``triton``, as the next version of ``name``.

        A folder that is itself called ``triton`` and is a model repository is taken as such.
        Raises :class:`trihook.RepositoryError`, a line for each problem of the layout, or
        :class:`trihook.RegistryError`.
        """
        if not NAME.fullmatch(name):
            raise RegistryError(f"{name!r} cannot name a model: expected {NAME_RULE}")
        failure = f"{path} cannot be registered as {name!r}"
        with explained(RegistryError, failure):
            content, prefix = find_content(path)
        with explained(RegistryError, failure), staged(self._home.staging) as folder:
            (folder / _FILES).mkdir()
            copy = folder / _FILES / prefix
            if not prefix:
                copy.rmdir()
            sums = copy_tree(content, copy)
            record = _Record(
                description=description,
                tags=dict(tags),
                created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                checksums={str(Path(prefix, file)): digest for file, digest in sums.items()},
            )
            write_file(folder / _RECORD, encode_record(record))
            return self._publish(folder, name)

    def find(self, reference: str) -> Model:
        """Return the model that ``NAME:VERSION`` names, or the newest version of ``NAME``.

        Raises :class:`trihook.RegistryError`, saying what there is.
        """
        return self._read(*self._resolve(reference, self._versions))

    def models(self) -> tuple[Model, ...]:
        """Return all versions of all models, by name and version; one may have a ``problem``."""
        return tuple(
            self._describe(name, version)
            for name in self._names()
            for version in self._versions(name)
        )

    def delete(self, reference: str, used_by: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Delete one version, or a name with all its versions; return each ``NAME:VERSION``.

        What is deleted is not read, so that it may be damaged. The number of a deleted version
        is not given again until its name is deleted. ``used_by`` are the services by the
        ``NAME:VERSION`` that they use: such a version is not deleted. Raises
        :class:`trihook.RegistryError`.
        """
        name, version = self._resolve(reference, self._versions_on_disk)
        whole = ":" not in reference
        doomed = tuple(
            f"{name}:{n}" for n in (self._versions_on_disk(name) if whole else (version,))
        )
        for model in doomed:
            if users := used_by.get(model):
                raise RegistryError(f"model {model} is used by service {', '.join(users)}")
        with explained(RegistryError, f"model {reference} cannot be deleted"):
            folder = self._home.models / name
            if not whole:
                (folder / f"{version}{_DELETED}").touch()
                folder = folder / str(version)
            discard(folder, self._home.staging)
        return doomed

    def _resolve(self, reference: str, find: Callable[[str], tuple[int, ...]]) -> tuple[str, int]:
        """Return the name and the version that a reference means, of those that ``find`` finds."""
        name, _, version = reference.partition(":")
        versions = find(name) if NAME.fullmatch(name) else ()
        if not versions:
            known = ", ".join(filter(find, self._names())) or "none"
            raise RegistryError(f"no model {name!r} is registered; registered are: {known}")
        if ":" not in reference:
            return name, versions[-1]
        if version not in map(str, versions):
            raise RegistryError(
                f"model {name!r} has no version {version!r}; it has {_listed(versions)}"
            )
        return name, int(version)

    def _publish(self, folder: Path, name: str) -> Model:
        while True:
            names = self._home.models / name
            names.mkdir(parents=True, exist_ok=True)
            version = max(self._numbers(name), default=0) + 1
            try:
                if move_into_place(folder, names / str(version)):
                    return self._read(name, version)
            except FileNotFoundError:  # the name was deleted meanwhile, with all its versions
                if not folder.exists():
                    raise

    def _names(self) -> list[str]:
        with explained(RegistryError, _UNREADABLE):
            if not self._home.models.is_dir():
                return []
            return sorted(folder.name for folder in self._home.models.iterdir())

    def _versions(self, name: str) -> tuple[int, ...]:
        folder = self._home.models / name
        return tuple(n for n in self._numbers(name) if not (folder / f"{n}{_DELETED}").exists())

    def _versions_on_disk(self, name: str) -> tuple[int, ...]:
        """Return all versions whose files are there, with those whose deletion was cut short."""
        folder = self._home.models / name
        return tuple(n for n in self._numbers(name) if (folder / str(n)).exists())

    def _numbers(self, name: str) -> list[int]:
        """Return the numbers that were given, in order, those of deleted versions among them."""
        folder = self._home.models / name
        with explained(RegistryError, _UNREADABLE):
            if not folder.is_dir():
                return []
            names = {path.name.removesuffix(_DELETED) for path in folder.iterdir()}
        return sorted(int(name) for name in names if name.isdecimal())

    def _read(self, name: str, version: int) -> Model:
        folder = self._home.models / name / str(version)
        with explained(RegistryError, f"model {name}:{version} cannot be read"):
            record = read_record(folder / _RECORD, _Record)
        return Model(name=name, version=version, path=folder / _FILES, **asdict(record))

    def _describe(self, name: str, version: int) -> Model:
        try:
            return self._read(name, version)
        except RegistryError as exc:
            path = self._home.models / name / str(version) / _FILES
            return Model(name=name, version=version, path=path, problem=str(exc))


def _listed(versions: tuple[int, ...]) -> str:
    return ", ".join(map(str, versions))
