"""Marks are kept beside pluggy's options, and change where a hook runs but never an answer."""

import functools
import threading

import pluggy
import pytest
from trihook import Reply, hookimpl, hookspecs
from trihook.defaults import Defaults
from trihook.marks import HookimplMarker, Marks, marks_of
from trihook.runtime import ThreadRuntime
from trihook.testing import Harness, make_model, make_request

MODEL = make_model(inputs=["x FP32 [?]"], outputs=["y FP32 [?]"], max_batch_size=8)
PLUGGY = pluggy.HookimplMarker(hookspecs.PROJECT)


def takes(model):
    return model.name == "m"


def _options(function):
    return getattr(function, f"{hookspecs.PROJECT}_impl")


# marking


def test_a_function_that_is_only_marked_says_nothing_of_itself():
    @hookimpl
    def preprocess(item):
        return None

    assert marks_of(preprocess) == Marks(models=None, quick_below=0)
    assert _options(preprocess)["specname"] is None


def test_a_marked_function_is_the_function_itself():
    def preprocess(item):
        return None

    assert hookimpl(preprocess) is preprocess
    assert hookimpl(models=takes, quick_below=1)(preprocess) is preprocess


def test_all_marks_are_kept():
    @hookimpl(models=takes, quick_below=4096, quick_for=bool)
    def preprocess(item):
        return None

    assert marks_of(preprocess) == Marks(takes, 4096, bool)


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ({"models": "m"}, "function of a model, not 'm'"),
        ({"quick_below": None}, "bytes, not None"),
        ({"quick_for": True}, "function of a request, not True"),
        ({"quick_for": bool}, "quick_for needs quick_below"),
    ],
)
def test_a_mark_that_is_none_is_refused_where_it_is_made(mark, said):
    with pytest.raises(TypeError, match=said):
        hookimpl(**mark)


def test_what_is_no_function_is_not_marked():
    with pytest.raises(TypeError, match="hookimpl marks a function, not 'preprocess'"):
        hookimpl("preprocess")


def test_options_of_pluggy_reach_pluggy():
    given = {"specname": "preprocess", "tryfirst": True, "trylast": True}

    @hookimpl(**given, models=takes, quick_below=1)
    def first(item):
        return None

    @hookimpl(wrapper=True, quick_below=1)
    def preprocess(item):
        return (yield)

    assert {name: _options(first)[name] for name in given} == given
    assert _options(preprocess)["wrapper"] is True


def test_an_unknown_option_is_refused_where_the_function_is_marked():
    with pytest.raises(TypeError, match="quick_bellow"):

        @hookimpl(quick_bellow=1)
        def preprocess(item):
            return None


def test_pluggys_own_marker_marks_nothing():
    @PLUGGY
    def preprocess(item):
        return None

    assert marks_of(preprocess) == Marks()


def test_what_another_library_keeps_under_the_name_of_the_marks_is_no_mark():
    def preprocess(item):
        return None

    preprocess.trihook_marks = {"quick_below": 10}
    assert marks_of(preprocess) == Marks()


def test_a_marker_is_for_one_project():
    marker = HookimplMarker("other")

    @marker(quick_below=1)
    def preprocess(item):
        return None

    assert marker.project_name == "other"
    assert hasattr(preprocess, "other_impl")
    assert not hasattr(preprocess, f"{hookspecs.PROJECT}_impl")


def _count(function):
    """Wrap a function as a well-behaved decorator of anybody's does."""

    @functools.wraps(function)
    def counted(*arguments, **keywords):
        return function(*arguments, **keywords)

    return counted


MARK = hookimpl(models=takes, quick_below=7)


@pytest.mark.parametrize(
    "decorators",
    [(MARK, _count), (_count, MARK), (MARK, staticmethod), (MARK, _count, staticmethod),
     (_count, MARK, staticmethod), (_count, MARK, _count)],
)  # fmt: skip
def test_decorators_may_come_in_any_order_that_pluggy_allows(decorators):
    def preprocess(item):
        return {"x": [1.0]}

    for decorate in decorators:
        preprocess = decorate(preprocess)
    plugin = type("Plugin", (), {"preprocess": preprocess})()
    assert marks_of(plugin.preprocess) == Marks(takes, 7)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    [implementation] = manager.hook.preprocess.get_hookimpls()
    assert marks_of(implementation.function) == Marks(takes, 7)


def test_a_method_has_the_marks_of_its_function():
    class Plugin:
        @hookimpl(quick_below=3)
        def preprocess(self, item):
            return None

    assert marks_of(Plugin().preprocess) == Marks(None, 3)


def test_the_last_mark_is_the_one_that_holds():
    @hookimpl(quick_below=1)
    @hookimpl(models=takes, quick_below=2)
    def preprocess(item):
        return None

    assert marks_of(preprocess) == Marks(None, 1)


def test_the_cores_own_hooks_are_quick_but_for_large_tensors():
    core = Defaults()
    assert marks_of(core.select_named).quick_below > 2**40
    assert marks_of(core.select_default).quick_below > 2**40
    assert 0 < marks_of(core.preprocess).quick_below < 2**20
    assert 0 < marks_of(core.postprocess).quick_below < 2**20


# where a marked hook runs


@pytest.fixture
def threads():
    runtime = ThreadRuntime(1)
    yield runtime
    runtime.close()


class Where:
    """Notes in which thread each hook runs; quick below 100 bytes."""

    def __init__(self):
        self.ran = {}

    def _note(self, hook):
        self.ran[hook] = threading.current_thread()

    @hookimpl(quick_below=100)
    def select_model(self, request):
        self._note("select_model")

    @hookimpl(quick_below=100)
    def preprocess(self, item):
        self._note("preprocess")
        return {"x": item.data}

    @hookimpl(quick_below=100)
    def postprocess(self, outputs):
        self._note("postprocess")
        return len(outputs["y"])


def _where(runtime, *items, plugin=None, factor=1, **sent):
    """Return, by hook, whether it ran in the thread that asked."""
    plugin = plugin or Where()
    harness = Harness(
        plugin,
        models=[MODEL],
        infer=lambda model, inputs: {"y": inputs["x"].repeat(factor, axis=1)},
        runtime=runtime,
    )
    outcome = harness.score(make_request(*items, **sent))
    assert [one.error for one in outcome.scored] == [None] * len(items)
    return {hook: thread is threading.current_thread() for hook, thread in plugin.ran.items()}


@pytest.mark.parametrize(("size", "is_here"), [(0, True), (99, True), (100, False), (101, False)])
def test_a_quick_hook_runs_where_it_is_asked_below_its_size(threads, size, is_here):
    ran = _where(threads, [1.0], size=size)
    assert ran == {"select_model": is_here, "preprocess": is_here, "postprocess": True}


@pytest.mark.parametrize(("factor", "is_here"), [(24, True), (25, False)])
def test_a_reply_is_made_where_the_size_of_the_outputs_says(threads, factor, is_here):
    ran = _where(threads, [1.0], factor=factor)  # each of four bytes
    assert ran == {"select_model": True, "preprocess": True, "postprocess": is_here}


def test_the_outputs_of_all_items_count_together(threads):
    assert _where(threads, [1.0], [2.0], factor=12)["postprocess"] is True
    assert _where(threads, [1.0], [2.0], factor=13)["postprocess"] is False


def test_the_outputs_of_items_that_failed_do_not_count(threads):
    class Fussy(Where):
        @hookimpl(quick_below=100)
        def preprocess(self, item):
            if item.data == "bad":
                raise ValueError
            return {"x": item.data}

    harness = Harness(
        plugin := Fussy(),
        models=[MODEL],
        infer=lambda model, inputs: {"y": inputs["x"]},
        runtime=threads,
    )
    outcome = harness.score(make_request([1.0] * 24, "bad"))
    assert [one.error is None for one in outcome.scored] == [True, False]
    assert plugin.ran["postprocess"] is threading.current_thread()


@pytest.mark.parametrize("is_here", [True, False])
def test_a_quick_hook_runs_where_it_is_asked_if_it_says_so_of_the_request(threads, is_here):
    asked = []

    def says(request):
        asked.append(request.id)
        return is_here

    class Choosy(Where):
        mark = hookimpl(quick_below=100, quick_for=says)

        @mark
        def select_model(self, request):
            super().select_model(request)

        @mark
        def preprocess(self, item):
            return super().preprocess(item)

        @mark
        def postprocess(self, outputs):
            return super().postprocess(outputs)

    ran = _where(threads, [1.0], plugin=Choosy(), id="a")
    assert ran == dict.fromkeys(("select_model", "preprocess", "postprocess"), is_here)
    assert asked == ["a", "a", "a"]


def test_a_hook_that_does_not_say_that_it_is_quick_runs_in_a_thread(threads):
    class Unmarked(Where):
        @hookimpl
        def preprocess(self, item):
            return super().preprocess(item)

    ran = _where(threads, [1.0], plugin=Unmarked())
    assert ran == {"select_model": True, "preprocess": False, "postprocess": True}


def test_one_that_is_not_quick_sends_all_to_a_thread_even_if_it_does_not_answer(threads):
    class Slow:
        @hookimpl(trylast=True)
        def preprocess(self):
            """Leave the item to others."""

    plugin = Where()
    harness = Harness(
        plugin, Slow(), models=[MODEL], infer=lambda m, i: {"y": i["x"]}, runtime=threads
    )
    harness.score(make_request([1.0]))
    assert plugin.ran["preprocess"] is not threading.current_thread()


def test_one_that_does_not_take_the_model_sends_nobody_to_a_thread(threads):
    class Slow:
        @hookimpl(models=lambda model: model.name == "other")
        def preprocess(self):
            raise AssertionError

    plugin = Where()
    harness = Harness(
        plugin, Slow(), models=[MODEL], infer=lambda m, i: {"y": i["x"]}, runtime=threads
    )
    harness.score(make_request([1.0]))
    assert plugin.ran["preprocess"] is threading.current_thread()


def _answer_of(threads, size, **marks):
    class Plugin:
        @hookimpl(**marks)
        def preprocess(self, item):
            return {"x": [1 / item.data]}

        @hookimpl(**marks)
        def postprocess(self, outputs, item):
            return Reply(float(outputs["y"][0]) / (item.data - 2), 299)

    harness = Harness(Plugin, models=[MODEL], infer=lambda m, i: {"y": i["x"] * 2}, runtime=threads)
    outcome = harness.score(make_request(0, 1, 2, 4, size=size))
    return [
        (one.body, one.reply and one.reply.status, one.preprocessed_by, str(one.error))
        for one in outcome.scored
    ]


def test_the_answer_and_the_blame_are_the_same_wherever_a_hook_runs(threads):
    quick = _answer_of(threads, 0, models=lambda model: True, quick_below=100)
    assert quick == _answer_of(threads, 100, quick_below=100) == _answer_of(threads, 0)
    assert [error for *_, error in quick] == [
        "plugin 'Plugin' raised ZeroDivisionError in preprocess",
        "None",
        "plugin 'Plugin' raised ZeroDivisionError in postprocess",
        "None",
    ]
