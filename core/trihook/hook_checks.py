"""What a plugin's hooks must be like, beyond what pluggy asks: it takes misspelt ones, and none."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator

import pluggy

from trihook import hookspecs
from trihook.errors import PluginError
from trihook.hooks import HOOKS


def check_hooks(manager: pluggy.PluginManager, plugin: object) -> tuple[str, ...]:
    """Return the hooks that a new plugin implements; raises :class:`PluginError` for wrong ones."""
    if manager.is_registered(plugin):
        raise PluginError(f"it is the same object as plugin {manager.get_name(plugin)!r}")
    hooks = dict(_implementations(manager, plugin))
    for function, hook in hooks.items():
        if hook not in HOOKS:
            meant = difflib.get_close_matches(hook, HOOKS, n=1)
            hint = f"; did you mean {meant[0]!r}?" if meant else f"; hooks are {', '.join(HOOKS)}"
            raise PluginError(f"{function!r} implements no hook of trihook{hint}")
        _check_kind(getattr(plugin, function), hook)
        _check_arguments(getattr(plugin, function), hook)
    if not hooks:
        raise PluginError("it implements no hook: mark its functions with trihook.hookimpl")
    return tuple(hook for hook in HOOKS if hook in hooks.values())


def _check_kind(function: Callable[..., object], hook: str) -> None:
    """Refuse a function whose call returns something to wait for or to go through."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(f"{hook!r} is asynchronous: hooks are called by threads, and waited for")
    options = getattr(function, f"{hookspecs.PROJECT}_impl", {})
    wraps = options.get("wrapper") or options.get("hookwrapper")
    if inspect.isgeneratorfunction(function) and not wraps:
        raise PluginError(f"{hook!r} yields: did you mean @hookimpl(wrapper=True)?")


def _check_arguments(function: Callable[..., object], hook: str) -> None:
    """Refuse an argument that the hook does not have, or that pluggy never gives."""
    known = inspect.signature(getattr(hookspecs, hook)).parameters
    for name, parameter in inspect.signature(function).parameters.items():
        has_default = parameter.default is not parameter.empty
        if parameter.kind is parameter.KEYWORD_ONLY and (name in known or not has_default):
            raise PluginError(f"{hook!r} gets its arguments by position, not {name!r} by keyword")
        if name in known and has_default:
            raise PluginError(f"{hook!r} gets no {name!r} where that has a default")
        if name not in known and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            meant = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {meant[0]!r}?" if meant else f"it has {', '.join(known)}"
            raise PluginError(f"{hook!r} has no argument {name!r}; {hint}")
    if inspect.ismethod(function):
        hidden = next(iter(inspect.signature(function.__func__).parameters))
        if hidden in known:
            raise PluginError(f"{hook!r} is a method whose first argument is {hidden!r}, not self")


def _implementations(manager: pluggy.PluginManager, plugin: object) -> Iterator[tuple[str, str]]:
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is not None:
            yield name, options.get("specname") or name
