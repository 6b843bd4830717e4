"""What is written of a service: its folder, with the start of its supervisor, and its updates."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trihook.deploy.generation import Generation, Wanted, write_generation
from trihook.deploy.home import NAME, NAME_RULE
from trihook.deploy.launching import listen, spawn_supervisor
from trihook.deploy.records import encode_record, read_record
from trihook.deploy.status import Status, is_supervised, lock
from trihook.deploy.storage import (
    explained,
    is_still,
    move_into_place,
    opened,
    staged,
    write_file,
)
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
        with opened(service.folder) as found:
            require_new(service, overwrite=overwrite)
            if _holds(service, port):
                _delete(service, found)
            with listen(port) as listener:
                _delete(service, found)
                record = _Record(listener.getsockname()[1])
                write_file(folder / _RECORD, encode_record(record))
                _launch(service, folder, listener)


def next_number(status: Status) -> int:
    """Return the number of the generation that would come next."""
    return max(status.generation, status.failure.generation) + 1


def write_update(
    service: LocalService, found: int | None, number: int, wanted: Wanted, before: Generation
) -> None:
    """Write a generation beside the one before, where the supervisor finds it.

    ``found`` is the service's folder, opened before ``number`` was told. Raises
    :class:`trihook.DeploymentError` where the service was changed or replaced since.
    """
    name = service.name
    with (
        explained(DeploymentError, f"service {name!r} cannot be updated"),
        staged(service.home.staging) as folder,
    ):
        write_generation(folder, wanted, before)
        if not is_still(found, service.folder):
            raise DeploymentError(f"service {name!r} was replaced meanwhile: do it again")
        if next_number(service.status) != number:
            raise DeploymentError(f"service {name!r} was updated meanwhile: do it again")
        if not move_into_place(folder, service.folder / "generations" / str(number)):
            raise DeploymentError(
                f"service {name!r} is being updated already: wait, or cancel that"
            )


def _launch(service: LocalService, folder: Path, listener: socket.socket) -> None:
    """Put the service's folder in its place and start its supervisor, or leave nothing there."""
    with contextlib.ExitStack() as ending:
        held = lock(folder)
        ending.callback(os.close, held)
        service.home.services.mkdir(exist_ok=True)
        if not move_into_place(folder, service.folder):
            raise DeploymentError(f"service {service.name!r} is being deployed already")
        try:
            spawn_supervisor(service.folder, listener, held)
        except BaseException:  # Ctrl-C among them
            with opened(service.folder) as found:
                ending.close()  # for the lock is waited for
                _delete(service, found)
            raise


def _delete(service: LocalService, found: int | None) -> None:
    """Delete the service that was found, unless another one has been deployed in its place."""
    if is_still(found, service.folder):
        service.delete()


def _holds(service: LocalService, port: int) -> bool:
    """Tell whether the service runs and listens at the port, so that nothing else can."""
    try:
        return service.port == port and is_supervised(service.folder)
    except DeploymentError:  # it is damaged, and to be replaced all the same
        return False
