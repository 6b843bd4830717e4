"""The face over pluggy: who is asked first, who answered, who is to blame, what is accepted."""

import itertools
from dataclasses import replace
from http import HTTPStatus
from types import MappingProxyType

import numpy as np
import pluggy
import pytest
from trihook import (
    ConfigError,
    HookError,
    HookResultError,
    Inference,
    Item,
    ModelRef,
    PayloadError,
    PayloadTooLargeError,
    Reply,
    TritonUnavailableError,
    UnsupportedMediaTypeError,
    hookimpl,
    hookspecs,
)
from trihook.calls import HookCall
from trihook.defaults import Defaults
from trihook.hooks import Hooks
from trihook.testing import make_model, make_request

MODEL = make_model(inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
REQUEST = make_request(1.0)
ITEM = REQUEST.items[0]


def _hooks(**plugins):
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name, plugin in plugins.items():
        manager.register(plugin, name)
    return Hooks(manager)


def _preprocess(hooks, call=None):
    return hooks.preprocess(call or HookCall("preprocess"), ITEM, MODEL, REQUEST)


def _postprocess(hooks, call=None):
    outputs = {"y": np.zeros(1)}
    return hooks.postprocess(call or HookCall("postprocess"), outputs, ITEM, MODEL, REQUEST)


def _answers(value, **options):
    class Plugin:
        @hookimpl(**options)
        def preprocess(self):
            return value

        @hookimpl(**options)
        def postprocess(self):
            return value

        @hookimpl(**options)
        def select_model(self):
            return value

        @hookimpl(**options)
        def example(self):
            return value

    return Plugin()


def _raises(exc, **options):
    class Plugin:
        @hookimpl(**options)
        def preprocess(self):
            raise exc

    return Plugin()


def _wraps(generator, **options):
    class Plugin:
        @hookimpl(wrapper=True, **options)
        def preprocess(self):
            return (yield from generator())

    return Plugin()


# who answered


def test_the_plugin_whose_answer_is_taken_is_named():
    call = HookCall("preprocess")
    hooks = _hooks(last=_answers({"x": 2}), silent=_answers(None))
    assert _preprocess(hooks, call).inputs == {"x": 2}
    assert (call.answered, call.blamed, call.done) == ("last", "", True)


def test_without_any_answer_nobody_is_named():
    call = HookCall("preprocess")
    assert _preprocess(_hooks(silent=_answers(None)), call) is None
    assert (call.answered, call.done) == ("", True)


@pytest.mark.parametrize("order", list(itertools.permutations(["first", "middle", "last"])))
def test_order_is_told_by_marks_and_not_by_registration(order):
    plugins = {
        "first": _answers({"x": 1}, tryfirst=True),
        "middle": _answers({"x": 2}),
        "last": _answers({"x": 3}, trylast=True),
    }
    call = HookCall("preprocess")
    _preprocess(_hooks(**{name: plugins[name] for name in order}), call)
    assert call.answered == "first"


def test_the_core_comes_after_what_is_marked_last():
    call = HookCall("postprocess")
    _postprocess(_hooks(last=_answers("plugin", trylast=True), core=Defaults()), call)
    assert call.answered == "last"


def test_a_named_model_is_taken_before_what_is_marked_first():
    call = HookCall("select_model")
    request = make_request(1.0, model="m", version="2")
    hooks = _hooks(first=_answers("other", tryfirst=True), core=Defaults("default"))
    assert hooks.select_model(call, request, {}) == ModelRef("m", "2", "the request names it")
    assert call.answered == "core"


def test_the_default_model_is_taken_after_what_is_marked_last():
    call = HookCall("select_model")
    hooks = _hooks(last=_answers("other", trylast=True), core=Defaults("default"))
    assert hooks.select_model(call, REQUEST, {}).name == "other"
    assert call.answered == "last"


def test_wrappers_compose_around_the_answer():
    def around(mark):
        def run():
            answer = yield
            return {"x": [*answer["x"], mark]}

        return run

    hooks = _hooks(
        answer=_answers({"x": ["answer"]}),
        outer=_wraps(around("outer"), tryfirst=True),
        inner=_wraps(around("inner")),
    )
    assert _preprocess(hooks).inputs == {"x": ["answer", "inner", "outer"]}


def test_a_wrapper_that_passes_the_answer_on_did_not_answer():
    def look():
        return (yield)

    call = HookCall("preprocess")
    _preprocess(_hooks(answer=_answers({"x": 1}), timing=_wraps(look)), call)
    assert call.answered == "answer"


@pytest.mark.parametrize("outer", [None, "outer"])
def test_a_wrapper_that_loses_the_answer_is_named(outer):
    def lose():
        yield

    def look():
        return (yield)

    others = {outer: _wraps(look, tryfirst=True)} if outer else {}
    call = HookCall("preprocess")
    hooks = _hooks(answer=_answers({"x": 1}), wrap=_wraps(lose), **others)
    with pytest.raises(HookResultError) as caught:
        _preprocess(hooks, call)
    said = "wrapper 'wrap' was given an answer to preprocess and returned None"
    assert (str(caught.value), caught.value.plugin, call.blamed) == (said, "wrap", "wrap")


def test_a_wrapper_of_no_answer_may_have_none():
    def look():
        yield

    assert _preprocess(_hooks(silent=_answers(None), wrap=_wraps(look))) is None


def test_a_wrapper_that_replaces_the_answer_did():
    def replace():
        yield
        return {"x": 2}

    call = HookCall("preprocess")
    assert _preprocess(_hooks(answer=_answers({"x": 1}), cache=_wraps(replace)), call)
    assert call.answered == "cache"


def test_a_wrapper_may_answer_for_a_plugin_that_raised():
    def rescue():
        try:
            return (yield)
        except ValueError:
            return {"x": 0}

    call = HookCall("preprocess")
    hooks = _hooks(broken=_raises(ValueError()), rescue=_wraps(rescue))
    assert _preprocess(hooks, call).inputs == {"x": 0}
    assert call.answered == "rescue"


def test_old_style_wrappers_work():
    class Old:
        @hookimpl(hookwrapper=True)
        def preprocess(self):
            outcome = yield
            outcome.force_result({"x": outcome.get_result()["x"] + 1})

    assert _preprocess(_hooks(answer=_answers({"x": 1}), old=Old())).inputs == {"x": 2}


# who is running: a deadline that passes meanwhile blames that one


def test_who_runs_is_told_at_every_step():
    call = HookCall("preprocess")
    seen = []

    class Answer:
        @hookimpl
        def preprocess(self):
            seen.append(call.running)
            return {"x": 1}

    def look():
        seen.append(call.running)
        answer = yield
        seen.append(call.running)
        return answer

    _preprocess(_hooks(answer=Answer(), wrap=_wraps(look)), call)
    assert seen == ["wrap", "answer", "wrap"]


def test_a_wrapper_resumed_by_an_error_runs_again():
    call = HookCall("preprocess")
    seen = []

    def look():
        try:
            return (yield)
        finally:
            seen.append(call.running)

    with pytest.raises(HookError):
        _preprocess(_hooks(broken=_raises(ValueError()), wrap=_wraps(look)), call)
    assert seen == ["wrap"]


# who is to blame


class Abort(BaseException):
    """What a library may raise that is no Exception."""


@pytest.mark.parametrize(
    "exc",
    [ValueError("secret"), SystemExit(3), StopIteration(), GeneratorExit(), Abort()],
    ids=repr,
)
def test_whatever_a_plugin_raises_is_its_own_failure(exc):
    call = HookCall("preprocess")
    with pytest.raises(HookError) as caught:
        _preprocess(_hooks(silent=_answers(None, tryfirst=True), broken=_raises(exc)), call)
    error = caught.value
    assert type(error) is HookError
    assert error.message == f"plugin 'broken' raised {type(exc).__name__} in preprocess"
    assert (error.stage, error.plugin, call.blamed) == ("preprocess", "broken", "broken")
    assert error.__cause__ is exc
    assert call.done


def test_an_interrupt_from_the_keyboard_is_no_plugins_failure():
    with pytest.raises(KeyboardInterrupt):
        _preprocess(_hooks(running=_raises(KeyboardInterrupt())))


@pytest.mark.parametrize(
    "cls",
    [PayloadError, PayloadTooLargeError, UnsupportedMediaTypeError, TritonUnavailableError],
)
def test_a_scoring_error_keeps_its_class_and_names_stage_and_plugin(cls):
    refusal = cls("not a picture")
    with pytest.raises(cls, match="not a picture") as caught:
        _preprocess(_hooks(pictures=_raises(refusal)))
    assert (caught.value.stage, caught.value.plugin) == ("preprocess", "pictures")
    assert caught.traceback[-1].name == "preprocess"  # where the plugin raised it


def test_an_error_that_is_raised_again_and_again_has_the_stage_of_each_time():
    class TooWideError(PayloadError):
        def __init__(self, limit):
            super().__init__(f"over {limit}")
            self.limit = limit

    class Plugin:
        @hookimpl
        def preprocess(self):
            raise refusal

        @hookimpl
        def postprocess(self):
            raise refusal

    refusal, hooks = TooWideError(3), _hooks(pictures=Plugin())
    for ask, stage in ((_preprocess, "preprocess"), (_postprocess, "postprocess")):
        with pytest.raises(TooWideError, match="over 3") as caught:
            ask(hooks)
        assert (caught.value.stage, caught.value.limit) == (stage, 3)
    assert (refusal.stage, refusal.plugin) == ("", "")


def test_a_refusal_keeps_its_cause():
    refusal = PayloadError("not a picture")
    refusal.__cause__ = OSError("truncated")
    with pytest.raises(PayloadError) as caught:
        _preprocess(_hooks(pictures=_raises(refusal)))
    assert str(caught.value.__cause__) == "truncated"


def test_a_configuration_error_says_what_it_says():
    problem = ConfigError("option 'size' is 'big', expected a number")
    with pytest.raises(HookError) as caught:
        _preprocess(_hooks(pictures=_raises(problem)))
    assert caught.value.message == (
        "plugin 'pictures' cannot be used as it is configured: "
        "option 'size' is 'big', expected a number"
    )


def _blamed(**plugins):
    call = HookCall("preprocess")
    with pytest.raises(HookError) as caught:
        _preprocess(_hooks(**plugins), call)
    return caught.value.plugin


def test_a_wrapper_that_raises_before_is_blamed():
    def fail():
        raise ValueError
        yield

    assert _blamed(answer=_answers({"x": 1}), wrap=_wraps(fail)) == "wrap"


def test_a_wrapper_that_raises_afterwards_is_blamed():
    def fail():
        yield
        raise ValueError

    assert _blamed(answer=_answers({"x": 1}), wrap=_wraps(fail)) == "wrap"


def test_an_error_that_passes_through_wrappers_is_blamed_on_who_raised_it():
    def look():
        return (yield)

    def reraise():
        try:
            return (yield)
        except ValueError as exc:
            exc.add_note = "seen"
            raise

    wrappers = {"outer": _wraps(look, tryfirst=True), "inner": _wraps(reraise)}
    assert _blamed(broken=_raises(ValueError()), **wrappers) == "broken"


def test_a_wrapper_that_turns_an_error_into_another_is_blamed():
    def turn():
        try:
            return (yield)
        except ValueError as exc:
            raise KeyError from exc

    assert _blamed(broken=_raises(ValueError()), wrap=_wraps(turn)) == "wrap"


@pytest.mark.parametrize("yields", [0, 2])
def test_a_wrapper_that_does_not_yield_once_is_blamed(yields):
    def wrong():
        for _ in range(yields):
            yield

    assert _blamed(answer=_answers({"x": 1}), wrap=_wraps(wrong)) == "wrap"


# what is accepted


@pytest.mark.parametrize(
    ("answer", "ref"),
    [("m", ModelRef("m")), (ModelRef("m", "2", "why"), ModelRef("m", "2", "why")), (None, None)],
)
def test_a_model_is_chosen_by_name_or_reference(answer, ref):
    assert _hooks(one=_answers(answer)).select_model(HookCall("select_model"), REQUEST, {}) == ref


@pytest.mark.parametrize("answer", [3, MODEL, True, ["m"], ModelRef("m", 1), ModelRef(None)])
def test_any_other_choice_of_a_model_is_refused(answer):
    with pytest.raises(
        HookResultError, match=r"expected a model's name or a ModelRef of texts or None"
    ):
        _hooks(one=_answers(answer)).select_model(HookCall("select_model"), REQUEST, {})


@pytest.mark.parametrize("answer", [{"x": 1}, MappingProxyType({"x": 1}), Inference({"x": 1})])
def test_tensors_come_as_a_mapping_or_an_inference(answer):
    assert _preprocess(_hooks(one=_answers(answer))).inputs == {"x": 1}


@pytest.mark.parametrize("answer", [[1], np.zeros(1), "x", 0, False, Inference([1])], ids=repr)
def test_any_other_tensors_are_refused(answer):
    with pytest.raises(HookResultError, match="plugin 'one' answered preprocess with") as caught:
        _preprocess(_hooks(one=_answers(answer)))
    assert (caught.value.stage, caught.value.plugin) == ("preprocess", "one")


def test_a_wrapper_that_spoils_an_answer_is_named():
    def spoil():
        yield
        return "nonsense"

    with pytest.raises(HookResultError, match="plugin 'wrap' answered preprocess with str"):
        _preprocess(_hooks(answer=_answers({"x": 1}), wrap=_wraps(spoil)))


@pytest.mark.parametrize("answer", [0, False, "", [], {}])
def test_any_value_but_none_is_a_reply(answer):
    assert _postprocess(_hooks(one=_answers(answer))).value is answer


def test_a_reply_is_taken_as_it_is():
    reply = Reply(b"", 418, "image/png", {"X-Teapot": "yes"})
    assert _postprocess(_hooks(one=_answers(reply))) is reply


def test_no_reply_is_none():
    assert _postprocess(_hooks(one=_answers(None))) is None


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (Reply(1, status=0), "its status is 0, expected a whole number from 200 to 599"),
        (Reply(1, status=199), "its status is 199, expected"),
        (Reply(1, status=600), "its status is 600, expected"),
        (Reply(1, status="200"), "its status is '200', expected"),
        (Reply(1, status=True), "its status is True, expected"),
        (Reply(1, status=None), "its status is NoneType, expected"),
        (Reply(1, media_type="text/plain\r\nX: yes"), r"its media type is 'text/plain\r\nX: yes'"),
        (Reply(1, media_type=""), "its media type is ''"),
        (Reply(1, media_type=None), "its media type is NoneType"),
        (Reply(1, headers={"X-A": "b\r\nX: yes"}), r"header 'X-A' is 'b\r\nX: yes'"),
        (Reply(1, headers={"X-A\r\nX": "yes"}), r"a header's name is 'X-A\r\nX'"),
        (Reply(1, headers={"": "a"}), "a header's name is ''"),
        (Reply(1, headers={"X-B": "", "X-A": 1}), "header 'X-A' is 1"),
        (Reply(1, headers={1: "a"}), "a header's name is 1"),
        (Reply(1, headers={"X-A": "日本"}), "header 'X-A' is '日本'"),
        (Reply(1, headers={"Content-Length": "3"}), "header 'Content-Length' is for the host"),
        (Reply(1, headers={"transfer-encoding": "chunked"}), "header 'transfer-encoding' is for"),
        (Reply(1, headers=[("X-A", "b")]), "its headers are list, expected a mapping"),
        (Reply(1, headers=None), "its headers are NoneType, expected a mapping"),
    ],
    ids=repr,
)
def test_a_reply_that_http_cannot_carry_is_refused(reply, fault):
    with pytest.raises(HookResultError) as caught:
        _postprocess(_hooks(one=_answers(reply)))
    said = f"plugin 'one' made a reply that HTTP cannot carry: {fault}"
    assert caught.value.message.startswith(said)
    assert (caught.value.stage, caught.value.plugin) == ("postprocess", "one")


@pytest.mark.parametrize("status", [HTTPStatus.ACCEPTED, np.int64(202)], ids=repr)
def test_a_status_may_be_any_whole_number(status):
    reply = _postprocess(_hooks(one=_answers(Reply(1, status=status, headers={"X-A": "b"}))))
    assert type(reply.status) is int
    assert (reply.value, reply.status, reply.headers) == (1, 202, {"X-A": "b"})


def test_each_plugin_is_asked_for_an_example_whatever_the_others_say():
    class Broken:
        @hookimpl(tryfirst=True)
        def example(self):
            raise ValueError

    class Other:
        @hookimpl(models=lambda model: model is not MODEL)
        def example(self): ...

    item = Item(1)
    hooks = _hooks(
        last=_answers(item, trylast=True),
        broken=Broken(),
        silent=_answers(None),
        wrong=_answers({"x": 1}),
        other=Other(),
        wrap=_wraps(lambda: (yield)),
    )
    answers = list(hooks.examples(MODEL))
    assert [plugin for plugin, _ in answers] == ["broken", "wrong", "last"]
    (_, raised), (_, refused), (_, given) = answers
    assert (type(raised), raised.plugin) == (HookError, "broken")
    assert isinstance(refused, HookResultError)
    assert "expected an Item or None" in refused.message
    assert given is item


def test_a_hook_inside_a_hook_is_blamed_for_itself():
    inner = _hooks(inner=_raises(ValueError()))

    class Outer:
        @hookimpl
        def preprocess(self):
            try:
                _preprocess(inner)
            except HookError:
                return {"x": 1}

    call = HookCall("preprocess")
    assert _preprocess(_hooks(outer=Outer()), call).inputs == {"x": 1}
    assert (call.answered, call.blamed) == ("outer", "")


# what plugins say of themselves


def _counting(name, answer=None):
    """Return a plugin that answers for models of one name, and the models it was asked about."""
    asked = []

    def takes(model):
        asked.append(model.name)
        return model.name == name

    return _answers(answer, models=takes), asked


def test_a_mark_is_asked_once_for_a_model_and_a_hook_and_not_for_each_item():
    plugin, asked = _counting("model", {"x": 1})
    hooks = _hooks(one=plugin)
    for _ in range(3):
        assert hooks.are_quick("preprocess", MODEL, REQUEST, 0) is False
        assert _preprocess(hooks).inputs == {"x": 1}
    assert asked == ["model"]
    for _ in range(3):
        assert _postprocess(hooks).value == {"x": 1}
    assert asked == ["model"] * 2


def test_a_model_that_was_read_again_is_asked_for_again():
    plugin, asked = _counting("model", {"x": 1})
    hooks = _hooks(one=plugin)
    for model in (MODEL, replace(MODEL), MODEL):
        hooks.preprocess(HookCall("preprocess"), ITEM, model, REQUEST)
    assert asked == ["model"] * 2


def test_a_model_s_place_in_memory_is_no_model():
    plugin, asked = _counting("model", {"x": 1})
    hooks = _hooks(one=plugin)
    for _ in range(20):  # a freed model's place is soon that of the next
        hooks.preprocess(HookCall("preprocess"), ITEM, replace(MODEL), REQUEST)
    assert len(asked) == 20


def test_models_that_come_and_go_are_forgotten_in_the_end():
    hooks = _hooks(one=_answers({"x": 1}))
    models = [replace(MODEL) for _ in range(5000)]
    for model in models:
        assert hooks.preprocess(HookCall("preprocess"), ITEM, model, REQUEST).inputs == {"x": 1}
    assert len(hooks._chains) < len(models)


def test_whose_mark_says_no_is_not_asked():
    other, _ = _counting("other", {"x": 1})
    call = HookCall("preprocess")
    assert _preprocess(_hooks(other=other, any=_answers({"x": 2}, trylast=True)), call)
    assert call.answered == "any"
    assert _preprocess(_hooks(other=other)) is None


def test_a_choice_of_model_takes_no_notice_of_the_mark():
    plugin, asked = _counting("nobody", "m")
    call = HookCall("select_model")
    assert _hooks(one=plugin).select_model(call, REQUEST, {}).name == "m"
    assert asked == []


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("exc", [ZeroDivisionError("secret"), SystemExit("secret")], ids=repr)
def test_a_mark_that_raises_is_its_plugins_failure(exc, wrapped):
    def fail(model):
        raise exc

    def look():
        return (yield)

    plugins = {"good": _answers({"x": 1}, tryfirst=True), "broken": _answers(1, models=fail)}
    if wrapped:
        plugins["wrap"] = _wraps(look)
    hooks, call = _hooks(**plugins), HookCall("preprocess")
    assert hooks.are_quick("preprocess", MODEL, REQUEST, 0) is False
    with pytest.raises(HookError) as caught:
        _preprocess(hooks, call)
    error = caught.value
    assert error.message == f"plugin 'broken' raised {type(exc).__name__} in preprocess"
    assert (error.stage, error.plugin, call.blamed) == ("preprocess", "broken", "broken")
    assert error.__cause__ is exc
    assert call.done


def test_a_mark_that_may_refuse_does():
    def refuse(model):
        raise PayloadError("not this model")

    call = HookCall("preprocess")
    with pytest.raises(PayloadError, match="not this model") as caught:
        _preprocess(_hooks(one=_answers(1, models=refuse)), call)
    assert (caught.value.stage, caught.value.plugin) == ("preprocess", "one")


def test_a_mark_that_has_recovered_is_believed():
    says = iter([ValueError, True])

    def takes(model):
        answer = next(says)
        if answer is not True:
            raise answer
        return answer

    hooks = _hooks(one=_answers({"x": 1}, models=takes))
    with pytest.raises(HookError):
        _preprocess(hooks)
    assert _preprocess(hooks).inputs == {"x": 1}


@pytest.mark.parametrize(
    ("marks", "size", "are_quick"),
    [
        ([10, 20], 9, True),
        ([10, 20], 10, False),
        ([0, 20], 0, False),
        ([], 0, False),
    ],
)
def test_hooks_are_quick_below_the_least_size_of_those_that_are_asked(marks, size, are_quick):
    plugins = {f"p{n}": _answers(None, quick_below=below) for n, below in enumerate(marks)}
    hooks = _hooks(**plugins)
    for hook in ("preprocess", "postprocess"):
        assert hooks.are_quick(hook, MODEL, REQUEST, size) is are_quick
    assert hooks.are_quick("select_model", None, REQUEST, size) is are_quick


def test_what_does_not_take_the_model_says_nothing_about_its_speed():
    other, _ = _counting("other")
    hooks = _hooks(slow=other, quick=_answers(None, quick_below=9))
    assert hooks.are_quick("preprocess", MODEL, REQUEST, 8) is True
    assert hooks.are_quick("preprocess", replace(MODEL, name="other"), REQUEST, 8) is False
    assert hooks.are_quick("select_model", None, REQUEST, 8) is False


def test_a_hook_whose_mark_cannot_tell_of_a_request_is_not_quick_for_it():
    def fail(request):
        raise ZeroDivisionError

    hooks = _hooks(one=_answers({"x": 1}, quick_below=9, quick_for=fail))
    assert hooks.are_quick("preprocess", MODEL, REQUEST, 8) is False
    assert _preprocess(hooks).inputs == {"x": 1}


def test_an_interrupt_from_the_keyboard_in_a_mark_is_no_plugins_failure():
    def interrupt(model):
        raise KeyboardInterrupt

    hooks = _hooks(one=_answers(1, models=interrupt))
    with pytest.raises(KeyboardInterrupt):
        hooks.are_quick("preprocess", MODEL, REQUEST, 0)
    with pytest.raises(KeyboardInterrupt):
        _preprocess(hooks)
