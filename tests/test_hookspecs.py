"""The hooks are a contract: their names, arguments and first-answer rule do not move unseen."""

import inspect

import pluggy
import pytest
from trihook import hookimpl, hookspecs
from trihook.hooks import HOOKS

ARGUMENTS = {
    "select_model": ["request", "models"],
    "preprocess": ["item", "model", "request"],
    "postprocess": ["outputs", "item", "model", "request"],
    "example": ["model"],
}


def _specified() -> list[str]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return list(vars(manager.hook))


def test_the_hooks_are_these_in_the_order_in_which_they_run():
    written = [name for name in vars(hookspecs) if name in _specified()]
    assert tuple(written) == HOOKS == tuple(ARGUMENTS)
    assert sorted(_specified()) == sorted(HOOKS)


@pytest.mark.parametrize("hook", ARGUMENTS)
def test_the_arguments_of_a_hook_are_pinned(hook):
    assert list(inspect.signature(getattr(hookspecs, hook)).parameters) == ARGUMENTS[hook]


@pytest.mark.parametrize("hook", ARGUMENTS)
def test_the_first_answer_of_a_hook_is_taken(hook):
    assert getattr(hookspecs, hook).trihook_spec["firstresult"] is True


@pytest.mark.parametrize("hook", ARGUMENTS)
def test_a_hook_says_what_it_is_for(hook):
    assert len(inspect.getdoc(getattr(hookspecs, hook)).splitlines()) > 1


def test_the_marker_is_the_one_that_plugins_import():
    assert hookimpl is hookspecs.hookimpl
    assert hookimpl.project_name == "trihook"
