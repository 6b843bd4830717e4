"""Plugins are loaded one by one: what is wrong with one is said, and stops no other."""

import importlib
import importlib.metadata
from types import SimpleNamespace

import pluggy
import pytest
from trihook import ConfigError, Item, PluginError, hookimpl
from trihook.calls import HookCall
from trihook.defaults import Defaults
from trihook.plugins import CORE, load_plugins
from trihook.testing import make_model, make_request


class Point:
    """An entry point, in place of an installed one."""

    def __init__(self, name, load, distribution="acme-tools", version="1.2"):
        self.name = name
        self._load = load
        self.dist = SimpleNamespace(name=distribution, version=version) if distribution else None

    def load(self):
        return self._load()


class Good:
    @hookimpl
    def postprocess(self):
        return "good"


def _load(*points, **options):
    return load_plugins(Defaults(), entry_points=points, **options)


def _states(loaded):
    return {(plugin.distribution, plugin.name): plugin.state for plugin in loaded.plugins}


def _ask(loaded):
    call = HookCall("postprocess")
    model = make_model(inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
    reply = loaded.hooks.postprocess(call, {}, Item(1), model, make_request(1))
    return call.answered, reply.value


def test_a_plugin_is_loaded_and_described():
    loaded = _load(Point("good", Good))
    [plugin] = loaded.plugins
    assert (plugin.name, plugin.distribution, plugin.version) == ("good", "acme-tools", "1.2")
    assert (plugin.state, plugin.hooks, plugin.problem) == ("loaded", ("postprocess",), "")
    assert _ask(loaded) == ("good", "good")
    loaded.raise_if_broken()


def test_a_class_is_called():
    assert _ask(_load(Point("good", lambda: Good))) == ("good", "good")


def test_a_module_is_a_plugin():
    module = SimpleNamespace(postprocess=hookimpl(lambda item: "module"))
    assert _ask(_load(Point("module", lambda: module))) == ("module", "module")


def test_hooks_are_listed_in_the_order_in_which_they_run():
    class All:
        @hookimpl
        def example(self): ...

        @hookimpl
        def postprocess(self): ...

        @hookimpl(specname="preprocess")
        def to_tensors(self): ...

        @hookimpl(specname="preprocess", trylast=True)
        def to_other_tensors(self): ...

        @hookimpl
        def select_model(self): ...

    [plugin] = _load(Point("all", All)).plugins
    assert plugin.hooks == ("select_model", "preprocess", "postprocess", "example")


def test_the_core_answers_what_no_plugin_does():
    assert _ask(_load()) == (CORE, {"outputs": {}})


# every way to be broken


class Misspelt:
    @hookimpl
    def postproces(self): ...


class FarOff:
    @hookimpl
    def transmogrify(self): ...


class MisspeltSpecname:
    @hookimpl(specname="pre_process")
    def to_tensors(self): ...


class Unmarked:
    def postprocess(self): ...


class MarkedForAnother:
    @pluggy.HookimplMarker("trihok")
    def postprocess(self): ...


class UnknownArgument:
    @hookimpl
    def preprocess(self, item): ...

    @hookimpl
    def postprocess(self, output): ...


class ByKeyword:
    @hookimpl
    def preprocess(self, *, item): ...


class WithDefault:
    @hookimpl
    def preprocess(self, item, model=None): ...


class NoGenerator:
    @hookimpl(wrapper=True)
    def postprocess(self): ...


class Unconstructible:
    def __init__(self):
        raise RuntimeError("no licence")

    @hookimpl
    def postprocess(self): ...


class NeedsArgument:
    def __init__(self, size): ...

    @hookimpl
    def postprocess(self): ...


class Asynchronous:
    @hookimpl
    async def preprocess(self): ...


class Stream:
    @hookimpl
    async def preprocess(self):
        yield {}


class Generator:
    @hookimpl
    def preprocess(self):
        return (yield)


class WithoutSelf:
    @hookimpl
    def preprocess(item, model): ...  # noqa: N805 - the mistake that is meant


def _fail(exc):
    def load():
        raise exc

    return load


BROKEN = {
    "misspelt": (lambda: Misspelt, ["'postproces'", "did you mean 'postprocess'?"]),
    "far off": (lambda: FarOff, ["'transmogrify'", "hooks are select_model, preprocess"]),
    "specname": (lambda: MisspeltSpecname, ["'to_tensors'", "did you mean 'preprocess'?"]),
    "no hook": (lambda: Unmarked, ["implements no hook", "trihook.hookimpl"]),
    "another project": (lambda: MarkedForAnother, ["implements no hook"]),
    "nothing": (lambda: None, ["implements no hook"]),
    "argument": (
        lambda: UnknownArgument,
        ["'postprocess'", "no argument 'output'", "did you mean 'outputs'?"],
    ),
    "keyword": (lambda: ByKeyword, ["'preprocess'", "by position, not 'item' by keyword"]),
    "default": (lambda: WithDefault, ["'preprocess' gets no 'model'", "has a default"]),
    "asynchronous": (lambda: Asynchronous, ["'preprocess' is asynchronous"]),
    "stream": (lambda: Stream, ["'preprocess' is asynchronous"]),
    "generator": (lambda: Generator, ["'preprocess' yields", "@hookimpl(wrapper=True)?"]),
    "no self": (lambda: WithoutSelf, ["'preprocess' is a method", "'item', not self"]),
    "no generator": (lambda: NoGenerator, ["postprocess", "generator"]),
    "constructor": (lambda: Unconstructible, ["RuntimeError", "no licence"]),
    "needs argument": (lambda: NeedsArgument, ["TypeError", "size"]),
    "import": (_fail(ModuleNotFoundError("No module named 'nltk'")), ["No module named 'nltk'"]),
    "syntax": (_fail(SyntaxError("invalid syntax")), ["SyntaxError", "invalid syntax"]),
    "exit": (_fail(SystemExit(2)), ["SystemExit", "2"]),
    "silent": (_fail(AssertionError()), ["AssertionError"]),
}


@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_plugin_is_named_with_its_distribution_and_stops_no_other(way):
    load, words = BROKEN[way]
    loaded = _load(Point("one", Good), Point("bad", load, "bad-dist"), Point("two", Good, "z"))
    [bad] = loaded.problems
    assert (bad.name, bad.distribution, bad.state, bad.hooks) == ("bad", "bad-dist", "broken", ())
    for word in words:
        assert word in bad.problem
    assert list(_states(loaded).values()).count("loaded") == 2
    assert _ask(loaded)[1] == "good"
    with pytest.raises(PluginError) as caught:
        loaded.raise_if_broken()
    assert str(caught.value) == f"plugin 'bad' of distribution 'bad-dist' (1.2): {bad.problem}"


@pytest.mark.parametrize("way", BROKEN)
def test_a_problem_is_one_line(way):
    load, _ = BROKEN[way]
    [bad] = _load(Point("bad", load)).problems
    assert bad.problem == bad.problem.strip()
    assert "\n" not in bad.problem


def test_a_problem_of_several_lines_is_told_in_one():
    [bad] = _load(Point("bad", _fail(ImportError("first\nsecond")))).problems
    assert "first" in bad.problem
    assert "\n" not in bad.problem


def test_the_line_that_cannot_be_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import json\n\nimport not_there_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    [bad] = _load(Point("bad", lambda: importlib.import_module("half_installed"))).problems
    where = tmp_path / "half_installed.py"
    assert bad.problem == (
        "importing it raised ModuleNotFoundError: "
        f"No module named 'not_there_at_all' (at {where}:3)"
    )


def test_no_hook_of_a_plugin_with_a_wrong_signature_is_asked():
    class Half:
        @hookimpl
        def postprocess(self):
            return "half"

        @hookimpl
        def preprocess(self, itm): ...

    assert _ask(_load(Point("half", lambda: Half)))[0] == CORE


def test_all_broken_plugins_are_named_at_once():
    loaded = _load(Point("a", _fail(ValueError())), Point("b", _fail(ValueError())))
    with pytest.raises(PluginError) as caught:
        loaded.raise_if_broken()
    assert [line.split()[1] for line in str(caught.value).splitlines()] == ["'a'", "'b'"]


def test_one_object_under_two_names_is_told():
    plugin = Good()
    loaded = _load(Point("one", lambda: plugin), Point("two", lambda: plugin))
    [bad] = loaded.problems
    assert bad.name == "two"
    assert "same object as plugin 'one'" in bad.problem


# names


def test_a_name_claimed_twice_is_taken_by_neither():
    loaded = _load(Point("x", Good, "dist-a"), Point("x", Good, "dist-b"), Point("y", Good))
    assert _states(loaded) == {
        ("acme-tools", "y"): "loaded",
        ("dist-a", "x"): "broken",
        ("dist-b", "x"): "broken",
    }
    problems = {plugin.distribution: plugin.problem for plugin in loaded.problems}
    assert "'x' is also claimed by distribution dist-b" in problems["dist-a"]
    assert "'x' is also claimed by distribution dist-a" in problems["dist-b"]


def test_blocking_one_claimant_frees_the_name():
    points = Point("x", Good, "dist-a"), Point("x", Good, "dist-b")
    assert _states(_load(*points, blocked=["dist-b"])) == {
        ("dist-a", "x"): "loaded",
        ("dist-b", "x"): "blocked",
    }


def test_the_name_of_the_core_is_reserved():
    [bad] = _load(Point("core", Good)).problems
    assert "'core' belongs to trihook" in bad.problem


@pytest.mark.parametrize("other", ["acme-tools", "acme_tools", "Acme.Tools"])
def test_an_entry_point_that_an_editable_install_lists_twice_is_one(other):
    loaded = _load(Point("x", Good, "acme-tools"), Point("x", Good, other))
    assert [plugin.state for plugin in loaded.plugins] == ["loaded"]


def test_an_entry_point_without_a_distribution_is_loaded():
    [plugin] = _load(Point("x", Good, distribution=None)).plugins
    assert (plugin.distribution, plugin.state) == ("unknown", "loaded")


def test_the_order_does_not_depend_on_installation():
    points = [Point("b", Good, "z"), Point("a", Good, "z"), Point("c", Good, "a")]
    names = [plugin.name for plugin in _load(*points).plugins]
    assert names == [plugin.name for plugin in _load(*reversed(points)).plugins] == ["c", "a", "b"]


# block and allow


@pytest.mark.parametrize(
    "name", ["my-plugin", "My_Plugin", "my.plugin", "acme-tools", "ACME__tools"]
)
def test_a_plugin_is_blocked_by_its_name_or_its_distributions(name):
    imported = []
    point = Point("my_plugin", lambda: imported.append(1))
    assert [plugin.state for plugin in _load(point, blocked=[name]).plugins] == ["blocked"]
    assert imported == []


@pytest.mark.parametrize("name", ["my-plugin", "My_Plugin", "acme.tools"])
def test_only_what_is_allowed_is_loaded(name):
    points = Point("my_plugin", Good), Point("other", Good, "other-dist")
    assert _states(_load(*points, allowed=[name])) == {
        ("acme-tools", "my_plugin"): "loaded",
        ("other-dist", "other"): "blocked",
    }


def test_allowing_nothing_loads_nothing_but_the_core():
    loaded = _load(Point("x", Good), allowed=[])
    assert [plugin.state for plugin in loaded.plugins] == ["blocked"]
    assert _ask(loaded)[0] == CORE


def test_blocked_wins_over_allowed():
    loaded = _load(Point("x", Good), allowed=["x"], blocked=["x"])
    assert [plugin.state for plugin in loaded.plugins] == ["blocked"]


def test_a_blocked_plugin_is_no_problem():
    _load(Point("x", _fail(ValueError())), blocked=["x"]).raise_if_broken()


def test_a_plugin_s_own_arguments_may_have_defaults():
    class Scaled:
        @hookimpl
        def preprocess(self, item, *, scale=2.0):
            return {"x": [item.data * scale]}

    _load(Point("scaled", Scaled)).raise_if_broken()


def test_installed_plugins_are_found():
    installed = {point.name for point in importlib.metadata.entry_points(group="trihook")}
    assert {plugin.name for plugin in load_plugins(Defaults(), allowed=[]).plugins} == installed


def test_a_plugin_to_load_that_is_not_installed_is_an_error():
    loaded = _load(Point("good", Good), allowed=["good", "goood"])
    assert loaded.absent == ("plugin 'goood' is not installed; installed are: good",)
    with pytest.raises(ConfigError, match="plugin 'goood' is not installed; installed are: good"):
        loaded.raise_if_broken()


def test_a_plugin_to_leave_out_that_is_not_installed_is_said_and_no_error():
    loaded = _load(Point("good", Good), blocked=["other"])
    assert loaded.unblocked == ("plugin 'other' is not installed; installed are: good",)
    loaded.raise_if_broken()


def test_nothing_is_missing_where_plugins_are_named_by_distribution_or_left_out():
    points = (Point("good", Good), Point("other", Good, "acme-more"))
    loaded = _load(*points, allowed=["Acme_Tools", "other"], blocked=["acme.more"])
    assert (loaded.absent, loaded.unblocked) == ((), ())
    assert _load(blocked=["good"]).unblocked == (
        "plugin 'good' is not installed; installed are: none",
    )
