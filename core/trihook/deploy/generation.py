"""One generation of a service: all that its Triton and host read, in a folder of its own.

::

    spec.json                          what was asked for
    models/<name>/<version>/           the registered files; AZUREML_MODEL_DIR points here
    repository/<model>                 links to the Triton models in them
    source/                            what was deployed: entry script, trihook.toml
    app/                               a copy of it, the host's current folder, where it may write
    requirements.txt, wheels/          where an environment was asked for
    cancelled                          where it is to be given up before it is ready
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from trihook.config import FILE_NAME, Settings, load_settings
from trihook.deploy.conda import REQUIREMENTS, copy_requirements, write_requirements
from trihook.deploy.records import encode_record, read_record
from trihook.deploy.registry import Model
from trihook.deploy.storage import copy_tree, link_tree, write_file
from trihook.errors import ConfigError, DeploymentError

_SPEC = "spec.json"
_CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a generation runs.

    ``models`` are registered models as ``NAME:VERSION``, ``entry_script`` is a path below
    ``source``, ``""`` where plugins score by themselves, and ``environment`` the SHA-256 of its
    requirements. ``timeout`` is how many seconds Triton, and then the host, have to become ready.
    """

    models: tuple[str, ...]
    entry_script: str = ""
    default_model: str = ""
    environment: str = ""
    workers: int = 1
    timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asked for; None is what the generation before has, if there is one."""

    models: tuple[Model, ...]
    entry_script: Path | None = None
    source_directory: Path | None = None
    environment: Path | None = None
    config: Path | None = None
    workers: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation's folder, and what it runs."""

    folder: Path
    spec: Spec

    @property
    def number(self) -> int:
        """1 for what was deployed, one more with each update."""
        return int(self.folder.name)

    @property
    def repository(self) -> Path:
        """The model repository for Triton."""
        return self.folder / "repository"

    @property
    def source(self) -> Path:
        """The host's files as they were deployed."""
        return self.folder / "source"

    @property
    def app(self) -> Path:
        """The host's current folder."""
        return self.folder / "app"

    @property
    def requirements(self) -> Path:
        """The list for pip, where there is an environment to build."""
        return self.folder / REQUIREMENTS

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to be given up."""
        return (self.folder / _CANCELLED).exists()

    def cancel(self) -> None:
        """Have it given up, if it is not ready before that is seen; may raise ``OSError``."""
        (self.folder / _CANCELLED).touch()

    @property
    def model_dir(self) -> Path:
        """What AZUREML_MODEL_DIR is: the folder of the only model, else that of all."""
        models = self.folder / "models"
        if len(self.spec.models) > 1:
            return models
        return models / self.spec.models[0].replace(":", "/")


def read_generation(folder: Path) -> Generation:
    """Read the generation in a folder; raises ``OSError`` also where it is damaged."""
    return Generation(folder, read_record(folder / _SPEC, Spec))


def write_generation(folder: Path, wanted: Wanted, before: Generation | None = None) -> Spec:
    """Fill an empty folder with a generation.

    Raises :class:`trihook.DeploymentError`, :class:`trihook.RegistryError` for a damaged model,
    :class:`trihook.ConfigError` for wrong settings, and ``OSError``.
    """
    names = _write_models(folder, wanted.models)
    spec = before.spec if before else Spec(())
    spec = replace(spec, models=tuple(map(str, wanted.models)))
    source = folder / "source"
    spec = replace(spec, entry_script=_write_source(source, wanted, before))
    copy_tree(source, folder / "app")
    spec = replace(spec, environment=_write_environment(folder, wanted, before))
    spec = replace(
        spec,
        default_model="" if spec.entry_script else _choose_default(source, names, wanted, before),
        workers=wanted.workers or spec.workers,
        timeout=wanted.timeout or spec.timeout,
    )
    write_file(folder / _SPEC, encode_record(spec))
    return spec


def _write_models(folder: Path, models: Iterable[Model]) -> list[str]:
    """Link the files of registered models and return the names of the Triton models in them."""
    repository = folder / "repository"
    repository.mkdir()
    owners: dict[str, Model] = {}
    for model in models:
        model.verify()
        files = Path("models", model.name, str(model.version))
        (folder / files).parent.mkdir(parents=True, exist_ok=True)
        link_tree(model.path, folder / files)
        for inner in sorted(filter(Path.is_dir, model.repository.iterdir())):
            if inner.name in owners:
                raise DeploymentError(
                    f"models {owners[inner.name]} and {model} both hold a Triton model "
                    f"called {inner.name!r}"
                )
            owners[inner.name] = model
            (repository / inner.name).symlink_to(Path("..", files, "triton", inner.name))
    return list(owners)


def _write_source(target: Path, wanted: Wanted, before: Generation | None) -> str:
    """Write the host's files and return where among them the entry script is."""
    script, source = wanted.entry_script, wanted.source_directory
    if script is None and source is not None:
        script = _script_before(before)
    if script is None and before is not None:
        copy_tree(before.source, target)
        _write_config(target, wanted, None)
        return before.spec.entry_script
    if source is not None:
        copy_tree(source, target)
    else:
        target.mkdir()
    _write_config(target, wanted, before)
    if script is None:
        return ""
    found = script if source is None else source / script
    if not found.is_file():
        raise DeploymentError(f"the entry script {found} does not exist")
    if source is None:
        shutil.copy(found, target)
        return script.name
    return _place_in(source, found)


def _place_in(source: Path, script: Path) -> str:
    """Return where in its source directory a script is; what is linked there counts as there."""
    beside = script.parent.resolve() / script.name
    real = source.resolve()
    for inner, outer in ((script, source), (beside, real), (script.resolve(), real)):
        place = os.path.relpath(inner, outer)
        if Path(place).parts[0] != os.pardir:
            return place
    raise DeploymentError(f"the entry script {script} is not in the source directory {source}")


def _script_before(before: Generation | None) -> Path:
    """Return what stays the entry script where only its source directory is another."""
    if before is None or not before.spec.entry_script:
        raise DeploymentError("a source directory is for an entry script, and none is named")
    return Path(before.spec.entry_script)


def _write_config(target: Path, wanted: Wanted, before: Generation | None) -> None:
    """Write the settings file that is wanted; else what is there stays, or comes from before."""
    file = target / FILE_NAME
    brought = wanted.source_directory / FILE_NAME if wanted.source_directory else file
    if wanted.config is not None:
        load_settings({}, {}, wanted.config)
        shutil.copy(wanted.config, file)
    elif brought.exists():
        load_settings({}, {}, brought)
    elif before is not None and (before.source / FILE_NAME).exists() and not file.exists():
        shutil.copy(before.source / FILE_NAME, file)


def _write_environment(folder: Path, wanted: Wanted, before: Generation | None) -> str:
    if wanted.environment is not None:
        return write_requirements(wanted.environment, folder)
    if before is None or not before.spec.environment:
        return ""
    copy_requirements(before.folder, folder)
    return before.spec.environment


def _choose_default(
    source: Path, names: list[str], wanted: Wanted, before: Generation | None
) -> str:
    """Choose what /score scores with, where that is open: the model named as registered.

    A host is not ready before all models that its settings name; so they must be there. Its
    variables are those of whoever deploys it.
    """
    config = source / FILE_NAME
    settings = load_settings({}, {}, config) if config.exists() else Settings.model_validate({})
    variable = "" if before else os.environ.get("TRIHOOK_DEFAULT_MODEL", "")
    asked = variable or settings.default_model
    if missing := {*settings.models, asked} - {"", *names}:
        raise ConfigError(
            f"the settings name model {min(missing)!r}, which the service would not have; "
            f"it would have {', '.join(names)}"
        )
    registered = wanted.models[0].name
    return registered if not asked and len(names) > 1 and registered in names else ""
