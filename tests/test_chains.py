"""A hook's implementations are resolved once for a model, and asked as pluggy would ask them."""

import itertools
from types import SimpleNamespace

import pluggy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trihook import HookError, PayloadError, hookimpl, hookspecs
from trihook.calls import HookCall
from trihook.chains import build_chain, find_implementations
from trihook.hooks import Hooks
from trihook.testing import make_model, make_request

MODEL = make_model("m", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
OTHER = make_model("other", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
REQUEST = make_request(1.0)
ARGUMENTS = {"item": REQUEST.items[0], "model": MODEL, "request": REQUEST}


def only(name):
    """Return a mark that takes models of one name, and the models that it was asked for."""
    asked = []

    def takes(model):
        asked.append(model)
        return model.name == name

    return takes, asked


def _plugin(deed, **marks):
    @hookimpl(**marks)
    def preprocess(item):
        return deed(item)

    return SimpleNamespace(preprocess=preprocess)


def _answers(value, **marks):
    return _plugin(lambda item: value, **marks)


def _raises(exc, **marks):
    def deed(item):
        raise exc

    return _plugin(deed, **marks)


def _wrapper(**marks):
    @hookimpl(wrapper=True, **marks)
    def preprocess(item):
        return (yield)

    return SimpleNamespace(preprocess=preprocess)


def _manager(plugins):
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name, plugin in plugins.items():
        manager.register(plugin, name)
    return manager


def _chain(plugins, model=MODEL):
    hook = _manager(plugins).hook.preprocess
    return build_chain(HookCall("preprocess"), hook, find_implementations(hook), model)


def _names(chain):
    return [step.plugin for step in chain.steps]


def _ask(chain, arguments=ARGUMENTS):
    """Return what a chain answers or raises, and what the call was told."""
    call = HookCall("preprocess")
    try:
        answer = chain.ask(call, arguments)
    except ValueError as exc:
        answer = exc
    return answer, call.answered


# who is asked


@pytest.mark.parametrize("order", list(itertools.permutations(["first", "middle", "last"])))
def test_implementations_stand_in_the_order_in_which_they_are_asked(order):
    plugins = {
        "first": _answers(None, tryfirst=True),
        "middle": _answers(None),
        "last": _answers(None, trylast=True),
    }
    assert _names(_chain({name: plugins[name] for name in order})) == ["first", "middle", "last"]


def test_those_whose_mark_says_no_are_not_asked():
    takes, _ = only("other")
    plugins = {"other": _raises(ValueError(), models=takes), "any": _answers({"x": 1})}
    assert _names(_chain(plugins)) == ["any"]
    assert _ask(_chain(plugins)) == ({"x": 1}, "any")


def test_without_a_model_the_mark_is_not_asked():
    takes, asked = only("other")
    assert _names(_chain({"other": _answers(1, models=takes)}, None)) == ["other"]
    assert asked == []


@pytest.mark.parametrize("said", [0, "", None, []])
def test_a_mark_may_say_no_in_any_way_that_python_has(said):
    assert _names(_chain({"p": _answers(1, models=lambda model: said)})) == []


def test_without_implementations_there_is_no_answer_and_nothing_is_quick():
    chain = _chain({})
    assert (_ask(chain), chain.quick_below) == ((None, ""), 0)


@pytest.mark.parametrize(
    ("preprocess", "names"),
    [
        (lambda: (), ()),
        (lambda item: (item,), ("item",)),
        (lambda model, item: (model, item), ("model", "item")),
        (lambda request, model, item: (request, model, item), ("request", "model", "item")),
    ],
)
def test_an_implementation_gets_the_arguments_that_it_names(preprocess, names):
    chain = _chain({"p": SimpleNamespace(preprocess=hookimpl(preprocess))})
    assert _ask(chain) == (tuple(ARGUMENTS[name] for name in names), "p")


def test_nobody_is_asked_after_the_one_that_answered():
    plugins = {"late": _raises(ValueError()), "early": _answers(0, tryfirst=True)}
    assert _ask(_chain(plugins)) == (0, "early")


# what is quick


@pytest.mark.parametrize(
    ("sizes", "least"), [([], 0), ([5], 5), ([5, 3, 9], 3), ([5, 0], 0), ([None, 5], 0)]
)
def test_a_chain_is_as_quick_as_its_slowest(sizes, least):
    marks = [{} if size is None else {"quick_below": size} for size in sizes]
    plugins = {f"p{n}": _answers(None, **each) for n, each in enumerate(marks)}
    assert _chain(plugins).quick_below == least


@pytest.mark.parametrize(
    ("said", "is_quick"), [((), True), ((1,), True), ((1, 1), True), ((1, 0), False)]
)
def test_a_chain_is_quick_for_a_request_if_all_say_so(said, is_quick):
    plugins = {
        f"p{n}": _answers(None, quick_below=9, quick_for=lambda request, one=one: one)
        for n, one in enumerate(said)
    }
    chain = _chain({"p": _answers(None, quick_below=9), **plugins})
    assert chain.is_quick(REQUEST, 8) is is_quick


def test_nobody_is_asked_about_a_request_that_is_too_large_to_be_quick():
    asked = []
    chain = _chain({"p": _answers(None, quick_below=9, quick_for=asked.append)})
    assert not chain.is_quick(REQUEST, 9)
    assert asked == []
    assert not chain.is_quick(REQUEST, 8)
    assert asked == [REQUEST]


def test_those_that_are_not_asked_do_not_make_it_slow():
    takes, _ = only("other")
    slow = _answers(1, models=takes, quick_below=9, quick_for=lambda request: False)
    plugins = {"slow": slow, "quick": _answers(1, quick_below=9)}
    assert _chain(plugins).is_quick(REQUEST, 8)
    assert not _chain(plugins, OTHER).is_quick(REQUEST, 8)


def test_a_wrapper_that_does_not_say_so_is_not_quick():
    plugins = {"quick": _answers(1, quick_below=9), "wrap": _wrapper()}
    assert _chain(plugins).quick_below == 0
    plugins["wrap"] = _wrapper(quick_below=7)
    assert _chain(plugins).quick_below == 7


# with a wrapper pluggy asks, and nobody can tell


def test_only_a_wrapper_that_is_asked_lets_pluggy_ask():
    takes, _ = only("other")
    plugins = {"any": _answers(1), "wrap": _wrapper(models=takes)}
    assert not _chain(plugins).wrapped
    assert _chain(plugins, OTHER).wrapped
    assert _ask(_chain(plugins)) == _ask(_chain(plugins, OTHER)) == (1, "any")


def test_beside_a_wrapper_those_whose_mark_says_no_do_not_run():
    takes, _ = only("other")
    plugins = {
        "any": _answers({"x": 1}),
        "skipped": _raises(ValueError(), models=takes, tryfirst=True),
        "wrap": _wrapper(),
    }
    chain = _chain(plugins)
    assert chain.wrapped
    assert {each.plugin_name for each in chain.skipped} == {"skipped"}
    assert _ask(chain) == ({"x": 1}, "any")


def test_a_wrapper_whose_mark_says_no_does_not_run_beside_another():
    ran = []
    takes, _ = only("other")

    class Skipped:
        @hookimpl(wrapper=True, models=takes)
        def preprocess(self):
            ran.append("before")
            try:
                return (yield)
            finally:
                ran.append("after")

    plugins = {"any": _answers(1), "skipped": Skipped(), "wrap": _wrapper()}
    assert _ask(_chain(plugins)) == (1, "any")
    failing = {"any": _raises(ValueError()), "skipped": Skipped(), "wrap": _wrapper()}
    assert isinstance(_ask(_chain(failing))[0], ValueError)
    assert ran == []


def test_one_call_s_skipped_ones_are_asked_again_in_the_next():
    takes, _ = only("other")
    hook = _manager({"p": _answers(1, models=takes), "wrap": _wrapper()}).hook.preprocess
    found = find_implementations(hook)
    chains = [build_chain(HookCall("preprocess"), hook, found, m) for m in (MODEL, OTHER, MODEL)]
    assert [_ask(chain)[0] for chain in chains] == [None, 1, None]


MARKS = st.fixed_dictionaries(
    {
        "models": st.sampled_from([None, lambda model: True, lambda model: False]),
        "order": st.sampled_from([{}, {"tryfirst": True}, {"trylast": True}]),
        "deed": st.sampled_from(["answer", "silent", "raise", "refuse"]),
    }
)


@given(st.lists(MARKS, max_size=5))
def test_a_wrapper_that_only_looks_changes_nothing(drawn):
    def plugins():
        deeds = {
            "answer": lambda n: lambda item: {"x": n},
            "silent": lambda n: lambda item: None,
            "raise": lambda n: _throw(ValueError(n)),
            "refuse": lambda n: _throw(PayloadError(f"not {n}")),
        }
        return {
            f"p{n}": _plugin(deeds[each["deed"]](n), models=each["models"], **each["order"])
            for n, each in enumerate(drawn)
        }

    assert _outcome(plugins()) == _outcome({**plugins(), "wrap": _wrapper()})


def _throw(exc):
    def deed(item):
        raise exc

    return deed


def _outcome(plugins):
    """Return all that can be told of a call through the face over pluggy."""
    hooks, call = Hooks(_manager(plugins)), HookCall("preprocess")
    try:
        inference = hooks.preprocess(call, ARGUMENTS["item"], MODEL, REQUEST)
        answer = inference and inference.inputs
    except (HookError, PayloadError) as exc:
        answer = (type(exc), exc.message, exc.stage, exc.plugin, repr(exc.__cause__))
    return answer, call.answered, call.blamed, call.done
