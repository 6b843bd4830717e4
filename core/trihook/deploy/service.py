"""Local services: a Triton and a scoring host that run detached from whoever deployed them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from trihook.deploy.generation import Generation, Wanted, read_generation
from trihook.deploy.home import NAME, Home, find_home
from trihook.deploy.listing import service_names
from trihook.deploy.logs import follow_logs, read_logs
from trihook.deploy.registry import Model, Registry
from trihook.deploy.starting import (
    next_number,
    read_port,
    require_new,
    start_service,
    write_update,
)
from trihook.deploy.status import Status, is_supervised, read_status
from trihook.deploy.storage import discard, explained, opened
from trihook.deploy.waiting import answers, print_line, stopped, wait_for_generation
from trihook.errors import DeploymentError

DEFAULT_PORT = 6789

PathLike: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True, slots=True)
class LocalService:
    """A deployed service, known by its name and the home that it is in.

    What is asked of one that is damaged, or was deleted, raises :class:`trihook.DeploymentError`.
    """

    name: str
    home: Home

    @classmethod
    def deploy(  # noqa: PLR0913 - each is one choice of the deployment, by keyword
        cls,
        name: str,
        models: Sequence[Model | str],
        *,
        entry_script: PathLike | None = None,
        source_directory: PathLike | None = None,
        environment: PathLike | None = None,
        config: PathLike | None = None,
        port: int = DEFAULT_PORT,
        workers: int = 1,
        timeout: float = 600.0,
        overwrite: bool = False,
        home: PathLike | None = None,
    ) -> LocalService:
        """Start a service and return; :meth:`wait_for_deployment` waits until it is ready.

        ``models`` are registered models, or their names as ``NAME`` or ``NAME:VERSION``. Without
        an ``entry_script``, a file or a path below ``source_directory``, the installed plugins
        score, with the settings in the file ``config``. ``environment`` is a conda file, whose
        pip list the host gets in an environment of its own. ``port`` 0 picks a free one.
        ``timeout`` is how many seconds Triton, and then the host, have to become ready.
        ``overwrite`` replaces a service of this name.

        Raises :class:`trihook.DeploymentError`, :class:`trihook.RegistryError` or
        :class:`trihook.ConfigError` for what is knowable now; nothing is left then.
        """
        place = find_home(home)
        service = cls(name, place)
        wanted = Wanted(
            _find_models(place, models),
            entry_script=_path(entry_script),
            source_directory=_path(source_directory),
            environment=_path(environment),
            config=_path(config),
            workers=workers,
            timeout=timeout,
        )
        with explained(DeploymentError, f"service {name!r} cannot be deployed"):
            require_new(service, overwrite=overwrite)
            start_service(service, wanted, port, overwrite=overwrite)
        return service

    @classmethod
    def find(cls, name: str, *, home: PathLike | None = None) -> LocalService:
        """Return the service of that name; raises :class:`trihook.DeploymentError`."""
        place = find_home(home)
        service = cls(name, place)
        with explained(DeploymentError, f"service {name!r} cannot be read"):
            is_there = NAME.fullmatch(name) and service.folder.is_dir()
        if not is_there:
            known = ", ".join(service_names(place)) or "none"
            raise DeploymentError(f"there is no service {name!r}; services are: {known}")
        return service

    @classmethod
    def find_all(cls, *, home: PathLike | None = None) -> tuple[LocalService, ...]:
        """Return all services, by name."""
        place = find_home(home)
        return tuple(cls(name, place) for name in service_names(place))

    @property
    def folder(self) -> Path:
        """The folder with everything that belongs to it."""
        return self.home.services / self.name

    @property
    def status(self) -> Status:
        """What its supervisor said last; see :attr:`state` for what holds."""
        with self._explained():
            return read_status(self.folder)

    @property
    def port(self) -> int:
        """The port that it listens at."""
        with self._explained():
            return read_port(self.folder)

    @property
    def scoring_uri(self) -> str:
        """Where to score."""
        return f"http://localhost:{self.port}/score"

    @property
    def generation(self) -> Generation:
        """What it runs or, where nothing ran yet, is to run."""
        folders = self.folder / "generations"
        with self._explained():
            numbers = (int(path.name) for path in folders.iterdir() if path.name.isdecimal())
            number = self.status.generation or min(numbers, default=1)
            return read_generation(folders / str(number))

    @property
    def state(self) -> str:
        """``starting``, ``running``, ``broken``, ``failed``, ``stopping`` or ``stopped``.

        This is found out now: a service is ``running`` only if host and Triton answer, and
        ``broken`` while one of them does not. ``stopped`` means that its supervisor has gone, as
        after a restart of the machine; then nothing of it runs, or is about to end.
        """
        if not self._is_supervised():
            return "failed" if self.status.phase == "failed" else "stopped"
        status = self.status
        if status.phase != "running":
            return "starting" if status.phase == "failed" else status.phase
        host = answers(f"http://127.0.0.1:{self.port}/")
        return "running" if host and answers(f"{status.triton_url}/v2/health/ready") else "broken"

    def wait_for_deployment(
        self, show_output: bool = False, say: Callable[[str], object] = print_line
    ) -> None:
        """Return once it is running; raise :class:`trihook.DeploymentError` if it fails.

        With ``show_output`` each step is said.
        """
        wait_for_generation(self.folder, 1, say if show_output else None)

    def update(
        self,
        models: Sequence[Model | str] | None = None,
        *,
        entry_script: PathLike | None = None,
        source_directory: PathLike | None = None,
        environment: PathLike | None = None,
        config: PathLike | None = None,
        show_output: bool = False,
        say: Callable[[str], object] = print_line,
    ) -> None:
        """Replace what the service runs, without losing a request; what is None stays.

        In another ``source_directory`` the entry script is where it was in the one before.
        A second Triton and host are started beside those that answer, and take over when they
        are ready. If they do not get there, or are interrupted by Ctrl-C, those that answer go
        on, and :class:`trihook.DeploymentError` says why.
        """
        with opened(self.folder) as found:
            if not self._is_supervised() or self.status.phase != "running":
                raise DeploymentError(f"service {self.name!r} is {self.state}: deploy it anew")
            number = next_number(self.status)  # first: what changes from now on is noticed
            before = self.generation
            wanted = Wanted(
                _find_models(self.home, before.spec.models if models is None else models),
                entry_script=_path(entry_script),
                source_directory=_path(source_directory),
                environment=_path(environment),
                config=_path(config),
            )
            write_update(self, found, number, wanted, before)
        try:
            wait_for_generation(self.folder, number, say if show_output else None)
        except KeyboardInterrupt:
            with suppress(DeploymentError):
                self.cancel_update()
            raise

    def cancel_update(self) -> None:
        """Give up the update that is under way: what answers goes on.

        Raises :class:`trihook.DeploymentError` where none is, or where it has just taken over.
        """
        number = next_number(self.status)
        folder = self.folder / "generations" / str(number)
        with explained(DeploymentError, f"the update of service {self.name!r} cannot be cancelled"):
            if not self._is_supervised() or not folder.is_dir():
                raise DeploymentError(f"service {self.name!r} is not being updated")
            read_generation(folder).cancel()
        try:
            wait_for_generation(self.folder, number, None)
        except DeploymentError:
            if self.status.failure.generation != number:
                raise
        else:
            raise DeploymentError(f"service {self.name!r} is updated already: too late to cancel")

    def get_logs(self) -> str:
        """Return all logs, each line with the part that wrote it."""
        return "\n".join(f"{part:<11} | {line}" for part, line in self.log_lines())

    def log_lines(self, *, follow: bool = False) -> Iterator[tuple[str, str]]:
        """Yield the lines of all logs with their parts; with ``follow`` until it is deleted."""
        return follow_logs(self.folder) if follow else read_logs(self.folder)

    def delete(self) -> None:
        """End everything that belongs to it and remove its folder."""
        with (
            explained(DeploymentError, f"service {self.name!r} cannot be deleted"),
            stopped(self.folder) as is_there,
        ):
            if is_there:
                discard(self.folder, self.home.staging)

    def _is_supervised(self) -> bool:
        with self._explained():
            return is_supervised(self.folder)

    def _explained(self) -> AbstractContextManager[None]:
        return explained(DeploymentError, f"service {self.name!r} cannot be read")


def _find_models(home: Home, models: Sequence[Model | str]) -> tuple[Model, ...]:
    if not models:
        raise DeploymentError("no model is named: a service needs one at least")
    registry = Registry(home)
    return tuple(registry.find(str(model)) for model in models)


def _path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)
