"""What a service's folder begins with, and the start of its supervisor."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
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
    import socket

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
        with _opened(service.folder) as found:
            require_new(service, overwrite=overwrite)
            if _listens_at(service, port):
                _delete(service, found)
            with listen(port) as listener:
                _delete(service, found)
                record = _Record(listener.getsockname()[1])
                write_file(folder / _RECORD, json.dumps(asdict(record)).encode())
                _launch(service, folder, listener)


def _launch(service: LocalService, folder: Path, listener: socket.socket) -> None:
    held = lock(folder)
    try:
        service.home.services.mkdir(exist_ok=True)
        if not move_into_place(folder, service.folder):
            raise DeploymentError(f"service {service.name!r} is being deployed already")
        spawn_supervisor(service.folder, listener, held)
    finally:
        os.close(held)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """Yield a handle of a folder, ``None`` if there is none.

    While it is open, no other folder is given the number that tells it from those in its place.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _delete(service: LocalService, found: int | None) -> None:
    """Delete the service that was found, unless another one has been deployed in its place."""
    if found is None:
        return
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(found), service.folder.stat()):
            service.delete()


def _listens_at(service: LocalService, port: int) -> bool:
    try:
        return service.port == port
    except DeploymentError:  # it is damaged, and to be replaced all the same
        return False
