"""What is to be deployed: a name, registered models and an entry script."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trihook.errors import ConfigError

# what Azure accepts for an endpoint and for a service on AKS alike
_DEPLOYMENT = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_VERSION = re.compile(r"[1-9]\d*")
_SCRIPT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.py")


@dataclass(frozen=True, slots=True)
class AssetVersion:
    """A model as it is registered, with its version there; Triton's versions are others."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> AssetVersion:
        """Read ``NAME:VERSION``; raises :class:`trihook.ConfigError`, naming what is wrong."""
        name, colon, version = text.partition(":")
        if not _MODEL.fullmatch(name):
            raise ConfigError(
                f"model {text!r}: expected a name of letters, digits, _, . and -, not {name!r}"
            )
        if not colon or not _VERSION.fullmatch(version):
            raise ConfigError(
                f"model {text!r}: expected NAME:VERSION with a positive whole number, "
                f"not {version!r}"
            )
        return cls(name, int(version))


@dataclass(frozen=True, slots=True)
class Deployment:
    """One service: its name, the models behind it, and the entry script's file name.

    ``model_folder`` is the folder that holds the folder ``triton``, as seen from the generated
    files. ``python`` is the Python of the conda environment, such as ``3.11``. Raises
    :class:`trihook.ConfigError` for a name that Azure would refuse.
    """

    name: str
    models: tuple[AssetVersion, ...]
    entry_script: str
    model_folder: str
    python: str

    def __post_init__(self) -> None:
        if not _DEPLOYMENT.fullmatch(self.name):
            raise ConfigError(
                f"name {self.name!r}: Azure wants 3 to 32 lower-case letters, digits and -, "
                "of which the first is a letter and the last no -"
            )
        if not self.models:
            raise ConfigError(f"deployment {self.name!r} has no model: name one as NAME:VERSION")
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"model {name!r} is named twice: a service has one version of it")
        if not _SCRIPT.fullmatch(self.entry_script):
            raise ConfigError(
                f"entry script {self.entry_script!r}: expected a file called NAME.py, with "
                "letters, digits, _, . and - in its name"
            )

    @property
    def asset(self) -> AssetVersion:
        """The one model that a v2 deployment takes; several go together, in the service's name."""
        return self.models[0] if len(self.models) == 1 else AssetVersion(self.name, 1)
