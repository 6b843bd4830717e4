"""Find, load, check and block the installed plugins."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import traceback
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import pluggy

from trihook import hookspecs
from trihook.errors import ConfigError, PluginError
from trihook.hook_checks import check_hooks
from trihook.hooks import Hooks

GROUP = "trihook"
CORE = "core"


class EntryPoint(Protocol):
    """What is used of ``importlib.metadata.EntryPoint``."""

    @property
    def name(self) -> str:
        """The plugin's name."""

    @property
    def dist(self) -> importlib.metadata.Distribution | None:
        """The distribution that holds it."""

    def load(self) -> object:
        """Import the plugin and return it."""


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One installed plugin: ``state`` is ``loaded``, ``blocked`` or ``broken``.

    ``hooks`` are the hooks it implements, where it is loaded; ``problem`` says in a sentence
    what is wrong, where it is broken.
    """

    name: str
    distribution: str
    version: str
    state: str
    hooks: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of loading: hooks to ask, and what is known of every installed plugin.

    ``absent`` is a sentence for each name to load that no installed plugin has, ``unblocked`` the
    same for each name to leave out.
    """

    hooks: Hooks
    plugins: tuple[PluginInfo, ...]
    absent: tuple[str, ...] = ()
    unblocked: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[PluginInfo, ...]:
        """The plugins that are broken."""
        return tuple(plugin for plugin in self.plugins if plugin.state == "broken")

    def raise_if_broken(self) -> None:
        """Raise :class:`PluginError`, a line for each broken plugin, if there is any.

        Raises :class:`ConfigError` for names to load that no plugin has; a list of plugins to
        leave out may be for many hosts, of which not all have each.
        """
        if self.absent:
            raise ConfigError("\n".join(self.absent))
        if self.problems:
            raise PluginError("\n".join(map(describe_problem, self.problems)))


def describe_problem(plugin: PluginInfo) -> str:
    """Say in one line which plugin of which distribution is broken, and why."""
    return (
        f"plugin {plugin.name!r} of distribution {plugin.distribution!r} "
        f"({plugin.version}): {plugin.problem}"
    )


def load_plugins(
    core: object,
    *,
    blocked: Collection[str] = (),
    allowed: Collection[str] | None = None,
    entry_points: Iterable[EntryPoint] | None = None,
) -> Loaded:
    """Load every installed plugin, and ``core`` as the plugin asked last.

    ``blocked`` holds names of plugins or distributions to leave out; where ``allowed`` is given,
    only plugins named there by plugin or distribution are loaded. A plugin that cannot be loaded
    is described, not raised, and so is a name that no installed plugin has.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    found = tuple(entry_points if entry_points is not None else _installed())
    points = _without_copies(found)
    plugins = []
    for point in points:
        info = _describe(point)
        if not _is_wanted(info, blocked, allowed):
            plugins.append(replace(info, state="blocked"))
        elif problem := _name_problem(info, points, blocked, allowed):
            plugins.append(replace(info, state="broken", problem=problem))
        else:
            plugins.append(_load(manager, point, info))
    manager.register(core, CORE)
    return Loaded(
        Hooks(manager),
        tuple(plugins),
        absent=describe_absent(allowed or (), points),
        unblocked=describe_absent(blocked, points),
    )


def describe_absent(
    names: Iterable[str], entry_points: Iterable[EntryPoint] | None = None
) -> tuple[str, ...]:
    """Say of each name that no installed plugin or distribution has, which there are."""
    found = tuple(entry_points if entry_points is not None else _installed())
    known = {_normalise(name) for point in found for name in (point.name, _distribution(point))}
    installed = ", ".join(sorted({point.name for point in found})) or "none"
    return tuple(
        f"plugin {name!r} is not installed; installed are: {installed}"
        for name in names
        if _normalise(name) not in known
    )


def _installed() -> Iterable[EntryPoint]:
    return importlib.metadata.entry_points(group=GROUP)


def _without_copies(points: Sequence[EntryPoint]) -> list[EntryPoint]:
    """Order by distribution; an editable install may list an entry point twice."""
    unique = {(_normalise(_distribution(point)), point.name): point for point in reversed(points)}
    return [unique[key] for key in sorted(unique)]


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown"


def _describe(point: EntryPoint) -> PluginInfo:
    version = point.dist.version if point.dist is not None else ""
    return PluginInfo(point.name, _distribution(point), version, "loaded")


def _is_wanted(info: PluginInfo, blocked: Collection[str], allowed: Collection[str] | None) -> bool:
    names = {_normalise(info.name), _normalise(info.distribution)}
    if allowed is not None and not names & set(map(_normalise, allowed)):
        return False
    return not names & set(map(_normalise, blocked))


def _normalise(name: str) -> str:
    """Return the form in which PyPI compares names of distributions (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _name_problem(
    info: PluginInfo,
    points: Iterable[EntryPoint],
    blocked: Collection[str],
    allowed: Collection[str] | None,
) -> str:
    """Say who else claims the plugin's name: pluggy itself would drop one of them silently."""
    if info.name == CORE:
        return f"the name {CORE!r} belongs to trihook itself"
    rivals = [
        other.distribution
        for other in map(_describe, points)
        if other.name == info.name
        and other.distribution != info.distribution
        and _is_wanted(other, blocked, allowed)
    ]
    if rivals:
        return f"the name {info.name!r} is also claimed by distribution {', '.join(rivals)}"
    return ""


def _load(manager: pluggy.PluginManager, point: EntryPoint, info: PluginInfo) -> PluginInfo:
    try:
        plugin = point.load()
        if inspect.isclass(plugin):
            plugin = plugin()
        hooks = check_hooks(manager, plugin)
        manager.register(plugin, info.name)
    except PluginError as exc:
        return replace(info, state="broken", problem=str(exc))
    except pluggy.PluginValidationError as exc:
        return replace(info, state="broken", problem=_signature_problem(manager, exc))
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - whatever a foreign import may raise
        words = " ".join(str(exc).split())
        problem = f"importing it raised {type(exc).__name__}: {words}".rstrip(": ")
        return replace(info, state="broken", problem=problem + _locate(exc))
    return replace(info, hooks=hooks)


def _locate(exc: BaseException) -> str:
    """Say at which line it was raised, or which line imported what is not there."""
    frames = [
        frame
        for frame in traceback.extract_tb(exc.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    return f" (at {frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def _signature_problem(manager: pluggy.PluginManager, exc: pluggy.PluginValidationError) -> str:
    """Say what pluggy found wrong, without its repetition of the plugin's name."""
    if manager.is_registered(exc.plugin):  # up to pluggy 1.6 it is, with its sound hooks
        manager.unregister(exc.plugin)
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if len(lines) == 1 else "; ".join(lines[1:])
