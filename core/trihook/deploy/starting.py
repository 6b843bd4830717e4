"""What a service's folder begins with, and the start of its supervisor."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trihook.deploy.generation import Wanted, write_generation
from trihook.deploy.home import NAME, NAME_RULE
from trihook.deploy.launching import listen, spawn_supervisor
from trihook.deploy.records import read_record
from trihook.deploy.status import lock
from trihook.deploy.storage import move_into_place, staged, write_file
from trihook.errors import DeploymentError

if TYPE_CHECKING:
    from trihook.deploy.service import LocalService

_RECORD = "service.json"


@dataclass(frozen=True, slots=True)
class _Record:
    """What is written of a service, whatever it runs."""

    port: int


def read_port(folder: Path) -> int:
    """Return the port of the service in a folder; raises ``OSError`` also where it is damaged."""
    return read_record(folder / _RECORD, _Record).port


def require_new(service: LocalService, *, overwrite: bool) -> None:
    """Raise :class:`trihook.DeploymentError` unless the service's name is free, or to be freed."""
    if not NAME.fullmatch(service.name):
        raise DeploymentError(f"{service.name!r} cannot name a service: expected {NAME_RULE}")
    if overwrite or not service.folder.is_dir() or service.state in ("failed", "stopped"):
        return
    raise DeploymentError(
        f"service {service.name!r} is {service.state} already: update it, delete it, "
        "or deploy with --overwrite"
    )


def start_service(service: LocalService, wanted: Wanted, port: int, *, overwrite: bool) -> None:
    """Write the service's folder, put it in its place, and start its supervisor.

    A service that is there already is deleted, as late as may be. What to write may take a
    minute, in which another may have deployed one of this name.
    """
    with staged(service.home.staging) as folder:
        (folder / "generations" / "1").mkdir(parents=True)
        (folder / "environments").mkdir()
        (folder / "logs").mkdir()
        write_generation(folder / "generations" / "1", wanted)
        found = _inode(service.folder)
        require_new(service, overwrite=overwrite)
        if found and _listens_at(service, port):
            _delete(service, found)
        with listen(port) as listener:
            if found:
                _delete(service, found)
            record = _Record(listener.getsockname()[1])
            write_file(folder / _RECORD, json.dumps(asdict(record)).encode())
            held = lock(folder)
            try:
                service.home.services.mkdir(exist_ok=True)
                if not move_into_place(folder, service.folder):
                    raise DeploymentError(f"service {service.name!r} is being deployed already")
                spawn_supervisor(service.folder, listener, held)
            finally:
                os.close(held)


def _inode(folder: Path) -> int:
    """Return what tells a folder from another one in its place, 0 if there is none."""
    try:
        return folder.stat().st_ino
    except FileNotFoundError:
        return 0


def _delete(service: LocalService, found: int) -> None:
    """Delete a service, unless another one has been deployed in its place."""
    if _inode(service.folder) == found:
        service.delete()


def _listens_at(service: LocalService, port: int) -> bool:
    try:
        return service.port == port
    except DeploymentError:  # it is damaged, and to be replaced all the same
        return False
