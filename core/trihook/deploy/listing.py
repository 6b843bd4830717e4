"""Which services there are in a home, and which models they use."""

from __future__ import annotations

import contextlib

from trihook.deploy.generation import read_generation
from trihook.deploy.home import Home
from trihook.deploy.storage import explained
from trihook.errors import DeploymentError


def service_names(home: Home) -> tuple[str, ...]:
    """Return the names of all services, sorted; raises :class:`trihook.DeploymentError`."""
    with explained(DeploymentError, "services cannot be read"):
        if not home.services.is_dir():
            return ()
        return tuple(sorted(folder.name for folder in home.services.iterdir() if folder.is_dir()))


def used_models(home: Home) -> dict[str, tuple[str, ...]]:
    """Return the names of the services by the ``NAME:VERSION`` that they were deployed with.

    Raises :class:`trihook.DeploymentError` for a damaged one: which it uses is not known.
    """
    used: dict[str, tuple[str, ...]] = {}
    for name in service_names(home):
        for folder in (home.services / name / "generations").glob("[0-9]*"):
            with (
                explained(DeploymentError, f"service {name!r} cannot be read"),
                contextlib.suppress(FileNotFoundError),  # an update has just removed it
            ):
                for model in read_generation(folder).spec.models:
                    used[model] = tuple(sorted({*used.get(model, ()), name}))
    return used
