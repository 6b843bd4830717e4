"""What pip has to install for a deployment, read from what is installed here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from trihook.errors import PluginError

CORE = "trihook"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One distribution at the version that is installed.

    ``origin`` is what pip recorded of where it came from (PEP 610): ``""`` for an index,
    else a URL that pip can install from anywhere. ``folder`` is set instead where it came from
    this machine: the folder of its source, or its wheel.
    """

    name: str
    version: str
    origin: str = ""
    folder: Path | None = None

    @property
    def line(self) -> str:
        """The line of a requirements file for what need not be packed."""
        return f"{self.name} @ {self.origin}" if self.origin else f"{self.name}=={self.version}"


def read_requirements(plugins: Iterable[str]) -> tuple[Requirement, ...]:
    """Return the core, the distributions of these plugins, and what of theirs no index has.

    Everything else that they need is left to pip. The order is the core first, then by name.
    Raises :class:`trihook.PluginError` for a distribution that is not installed.
    """
    found = {CORE: _read(_installed(CORE))}
    for plugin in plugins:
        read = _read(_installed(plugin))
        found.setdefault(_normalise(read.name), read)
    pending = list(found)
    while pending:
        for need in _needs(_installed(pending.pop())):
            if need not in found and (local := _read_local(need)):
                found[need] = local
                pending.append(need)
    return tuple(found[name] for name in sorted(found, key=lambda name: (name != CORE, name)))


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as exc:
        raise PluginError(f"distribution {name!r} is not installed here") from exc


def _read(dist: Distribution) -> Requirement:
    recorded = dist.read_text("direct_url.json")
    if recorded is None:
        return Requirement(dist.name, dist.version)
    origin: dict[str, Any] = json.loads(recorded)
    parts = urlsplit(origin["url"])
    if parts.scheme == "file":
        return Requirement(dist.name, dist.version, folder=Path(unquote(parts.path)))
    return Requirement(dist.name, dist.version, _pinned_url(origin))


def _pinned_url(origin: dict[str, Any]) -> str:
    """Return a URL that always gives the same code: PEP 610 keeps the commit apart."""
    url: str = origin["url"]
    if "vcs_info" in origin:
        url = f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}"
    return f"{url}#subdirectory={origin['subdirectory']}" if "subdirectory" in origin else url


def _needs(dist: Distribution) -> Iterable[str]:
    """Yield what a distribution requires by itself, without its extras."""
    for line in dist.requires or ():
        name, marker = _NAME.match(line), line.partition(";")[2]
        if name and "extra" not in marker:
            yield _normalise(name[0])


def _read_local(name: str) -> Requirement | None:
    """Return a distribution that pip would not find in an index, if it is one."""
    try:
        read = _read(distribution(name))
    except PackageNotFoundError:
        return None
    return read if read.folder or read.origin else None


def _normalise(name: str) -> str:
    """Return the form in which PyPI compares names of distributions (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
