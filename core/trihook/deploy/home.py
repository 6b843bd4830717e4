"""The folder that holds registered models and local services."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from trihook.config import load_settings
from trihook.deploy.storage import explained
from trihook.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NAME_RULE = "1 to 100 letters, digits, '.', '_' and '-', beginning with a letter or digit"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder, and what is where in it; all of it is on one file system."""

    folder: Path

    @property
    def models(self) -> Path:
        """Registered models: a folder for each name, in it one for each version."""
        return self.folder / "models"

    @property
    def services(self) -> Path:
        """Local services: a folder for each."""
        return self.folder / "services"

    @property
    def staging(self) -> Path:
        """What is being written, to be moved elsewhere when it is complete, or deleted."""
        return self.folder / "staging"


def find_home(folder: str | os.PathLike[str] | None = None) -> Home:
    """Return the home in ``folder``, else where the settings say, else the user's own.

    The last is ``$XDG_DATA_HOME/trihook``, or ``~/.local/share/trihook``, by
    https://specifications.freedesktop.org/basedir-spec/latest/. Raises
    :class:`trihook.ConfigError` for a setting that is wrong, for a file in its place, and where
    nothing says which folder is the user's own.
    """
    chosen = os.fspath(folder) if folder else load_settings({}, os.environ).home
    try:
        path = (Path(chosen) if chosen else _own_home()).expanduser().absolute()
    except RuntimeError as exc:  # there is no HOME, and the user is in no list of users
        raise ConfigError("no folder is the user's own: choose one with --home") from exc
    with explained(ConfigError, f"home {path} cannot be read"):
        if path.exists() and not path.is_dir():
            raise ConfigError(f"home {path} is no folder")
    return Home(path)


def _own_home() -> Path:
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "trihook"
