"""Models are read once, again when they change, and never because somebody asks too often."""

import json
from dataclasses import replace
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event
from trihook import DeadlineError, TritonError, TritonUnavailableError
from trihook.deadline import Deadline
from trihook.testing import FakeTriton, make_model
from trihook.triton import catalog as module
from trihook.triton.answers import Answer
from trihook.triton.catalog import Catalog

A = make_model("a", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
B = make_model("b", inputs=["x FP32 [2]"], outputs=["y FP32 [2]"])
RELOADED = replace(A, max_batch_size=8)
NEWER = replace(A, version="2", versions=("1", "2"))


class Triton(FakeTriton):
    """A fake that notes its questions, and yields to other greenlets as a network does."""

    def __init__(self, *models):
        super().__init__(models, lambda model, inputs: {})
        self.asked = []
        self.answers = {}

    def load(self, *models):
        self.models.update({model.name: model for model in models})

    def request(self, method, path, *args, **kwargs):
        self.asked.append(path.removeprefix("/v2/"))
        gevent.sleep(0)
        answer = self.answers.get(path)
        if isinstance(answer, Exception):
            raise answer
        return answer or super().request(method, path, *args, **kwargs)

    def take_questions(self):
        asked, self.asked = self.asked, []
        return asked


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def _settle():
    """Let readings in the background come to their end."""
    for _ in range(20):
        gevent.sleep(0)


def _catalog(*models, **options):
    triton = Triton(*models)
    catalog = Catalog(triton, **options)
    catalog.ensure()
    triton.take_questions()
    return triton, catalog


def test_nothing_is_asked_before_the_first_request():
    triton = Triton(A)
    assert Catalog(triton).models == {}
    assert triton.asked == []


def test_models_are_read_once():
    triton = Triton(B, A)
    catalog = Catalog(triton)
    for _ in range(3):
        catalog.ensure()
        assert catalog.find("a") == A
    _settle()
    assert triton.asked == [
        "repository/index",
        "models/a",
        "models/a/config",
        "models/b",
        "models/b/config",
    ]
    assert catalog.models == {"a": A, "b": B}


def test_the_only_model_is_that_of_one_snapshot():
    class Replaced(dict):
        def __len__(self):
            catalog._models = {}  # as the hub may do while a thread looks
            return super().__len__()

    _, catalog = _catalog(A)
    catalog._models = Replaced(catalog.models)
    assert catalog.only_model == "a"


def test_a_snapshot_is_immutable():
    _, catalog = _catalog(A)
    with pytest.raises(TypeError):
        catalog.models["b"] = B


def test_options_are_put_on_each_model():
    _, catalog = _catalog(A, B, options=lambda name: {"for": name})
    assert {name: model.options for name, model in catalog.models.items()} == {
        "a": {"for": "a"},
        "b": {"for": "b"},
    }


def test_models_that_are_not_ready_are_listed_and_not_served():
    triton = Triton(A)
    index = [
        {"name": "a", "version": "1", "state": "READY"},
        {"name": "a", "version": "2", "state": "LOADING"},
        {"name": "b", "state": "UNAVAILABLE"},
        {"name": "c"},
    ]
    triton.answers["/v2/repository/index"] = Answer(200, json.dumps(index).encode())
    catalog = Catalog(triton)
    catalog.ensure()
    assert list(catalog.models) == ["a"]
    assert [catalog.lists(name) for name in "abcd"] == [True, True, True, False]


# changes


def test_an_old_snapshot_is_read_again_in_the_background(clock):
    triton, catalog = _catalog(A, refresh_interval=10)
    triton.load(B)
    clock.now += 9
    catalog.ensure()
    _settle()
    assert triton.asked == []
    clock.now += 2
    catalog.ensure()
    assert triton.asked == []
    _settle()
    assert catalog.models == {"a": A, "b": B}


def test_an_index_without_changes_costs_one_question(clock):
    triton, catalog = _catalog(A, B)
    catalog.refresh()
    assert triton.asked == ["repository/index"]


def test_a_model_that_was_unloaded_goes(clock):
    triton, catalog = _catalog(A, B)
    del triton.models["b"]
    catalog.refresh()
    assert list(catalog.models) == ["a"]


def test_a_new_version_in_the_index_is_read():
    triton, catalog = _catalog(A, B)
    triton.load(NEWER)
    catalog.refresh()
    assert catalog.models["a"] == NEWER
    assert triton.asked == ["repository/index", "models/a", "models/a/config"]


def test_a_used_model_that_was_reloaded_in_place_is_found():
    triton, catalog = _catalog(A, B)
    catalog.find("a")
    triton.load(RELOADED, replace(B, max_batch_size=8))
    catalog.refresh()
    assert catalog.models == {"a": RELOADED, "b": B}
    assert "models/b" not in triton.asked


def test_a_model_is_used_anew_after_each_reading():
    triton, catalog = _catalog(A)
    catalog.find("a")
    catalog.refresh()
    triton.take_questions()
    catalog.refresh()
    assert triton.asked == ["repository/index"]


def test_a_reply_of_another_version_ages_the_snapshot():
    triton, catalog = _catalog(A)
    triton.load(NEWER)
    catalog.note_version(A, "1")
    catalog.note_version(A, "")
    catalog.ensure()
    _settle()
    assert triton.asked == []
    catalog.note_version(A, "2")
    catalog.ensure()
    _settle()
    assert catalog.models["a"] == NEWER


# one model


def test_a_model_loaded_since_is_found_at_once():
    triton, catalog = _catalog(A)
    triton.load(B)
    assert catalog.find("b") == B


def test_a_model_loaded_during_a_reading_is_found_at_once():
    triton, catalog = _catalog(A)
    catalog.find("a")  # so that the reading goes on after it has the index
    reading = gevent.spawn(catalog.refresh)
    while not triton.asked:
        gevent.sleep(0)
    gevent.sleep(0)
    late = gevent.spawn(catalog.find, "b")
    triton.load(B)
    gevent.joinall([reading, late], raise_error=True)
    assert late.value == B


def test_an_unknown_model_is_looked_up_once_a_second(clock):
    triton, catalog = _catalog(A)
    assert [catalog.find("none") for _ in range(5)] == [None] * 5
    assert triton.take_questions() == ["repository/index"]
    clock.now += 1.1
    catalog.find("none")
    assert triton.take_questions() == ["repository/index"]


def test_another_unknown_model_is_looked_up_too():
    triton, catalog = _catalog(A)
    assert (catalog.find("none"), catalog.find("nil")) == (None, None)
    assert triton.asked == ["repository/index"] * 2


@pytest.mark.parametrize(
    "unknown", [lambda n: (f"none-{n}", ""), lambda n: ("a", str(n + 2))], ids=["names", "versions"]
)
def test_a_flood_of_unknown_names_is_not_one_of_readings(clock, unknown):
    triton, catalog = _catalog(A)
    assert {catalog.find(*unknown(n)) for n in range(500)} == {None}
    assert len(triton.take_questions()) == 64
    clock.now += 1.1
    triton.load(B)
    assert catalog.find("b") == B


def test_a_pinned_version_is_read_once():
    triton, catalog = _catalog(NEWER)
    assert [catalog.find("a", "1").version for _ in range(3)] == ["1"] * 3
    assert triton.asked == [
        "repository/index", "models/a/versions/1", "models/a/versions/1/config",
    ]  # fmt: skip


def test_the_latest_version_needs_no_reading_when_it_is_pinned():
    triton, catalog = _catalog(NEWER)
    assert catalog.find("a", "2") == NEWER
    assert triton.asked == []


def test_an_unknown_version_is_looked_up_once_a_second(clock):
    triton, catalog = _catalog(A)
    assert [catalog.find("a", "9") for _ in range(5)] == [None] * 5
    assert triton.asked == ["repository/index"]


def test_a_pinned_version_in_use_is_read_anew_after_a_refresh(clock):
    triton, catalog = _catalog(NEWER)
    catalog.find("a", "1")
    triton.load(replace(NEWER, max_batch_size=8))
    catalog.refresh()
    clock.now += 1.1
    assert catalog.find("a", "1").max_batch_size == 8


def test_all_who_ask_for_a_model_loaded_since_get_it():
    triton, catalog = _catalog(A)
    triton.load(B)
    asking = [gevent.spawn(catalog.find, "b") for _ in range(4)]
    gevent.joinall(asking, raise_error=True)
    assert [each.value for each in asking] == [B] * 4
    assert triton.asked.count("repository/index") == 1


def test_a_pinned_version_stays_known_while_it_is_read_anew(clock):
    _, catalog = _catalog(NEWER, refresh_interval=0.5)
    catalog.find("a", "1")
    for _ in range(5):  # within the second in which it would not be looked up again
        clock.now += 0.1
        catalog.note_version(NEWER, "1")
        reading = gevent.spawn(catalog.refresh)
        while not reading.ready():
            assert catalog.find("a", "1") is not None
            gevent.sleep(0)


def test_a_pinned_version_that_was_unloaded_goes(clock):
    triton, catalog = _catalog(NEWER)
    catalog.find("a", "1")
    triton.load(replace(NEWER, versions=("2",)))
    catalog.refresh()
    clock.now += 1.1
    assert catalog.find("a", "1") is None


def test_another_name_for_a_version_is_none():
    _, catalog = _catalog(NEWER)
    assert catalog.find("a", "01") is None


def test_a_lookup_that_failed_is_no_answer_to_the_next():
    triton, catalog = _catalog(A)
    triton.load(B)
    triton.answers["/v2/repository/index"] = TritonUnavailableError("away")
    with pytest.raises(TritonUnavailableError):
        catalog.find("b")
    triton.answers.clear()
    assert catalog.find("b") == B


# a model that refused


def test_a_refused_model_that_changed_is_returned_and_kept():
    triton, catalog = _catalog(A)
    triton.load(RELOADED)
    assert catalog.changed(A) == RELOADED
    assert catalog.models["a"] == RELOADED
    assert triton.asked == ["models/a", "models/a/config"]


def test_a_model_that_changes_during_a_reading_stays_as_it_was_read_last():
    triton, catalog = _catalog(A, B)
    catalog.find("a"), catalog.find("b")
    reading = gevent.spawn(catalog.refresh)
    while "models/b" not in triton.asked:
        gevent.sleep(0)
    triton.load(RELOADED)
    assert catalog.changed(A) == RELOADED
    reading.get()
    assert dict(catalog.models) == {"a": RELOADED, "b": B}


def test_a_pinned_version_that_changes_during_a_reading_stays_as_it_was_read_last(clock):
    triton, catalog = _catalog(NEWER, replace(B, version="4", versions=("1", "2", "3", "4")))
    old = catalog.find("a", "1")
    for version in "123":
        catalog.find("b", version)
    catalog.find("a", "1")  # so that it is in use
    clock.now += 1.1
    triton.take_questions()
    reading = gevent.spawn(catalog.refresh)
    while "models/b/versions/1" not in triton.asked:  # after that of a
        gevent.sleep(0)
    triton.load(replace(NEWER, max_batch_size=8))
    changed = catalog.changed(old, pinned=True)
    reading.get()
    assert changed.max_batch_size == 8
    assert catalog.find("a", "1") == changed


def test_a_refused_model_that_did_not_change_is_none():
    _, catalog = _catalog(A)
    assert catalog.changed(A) is None


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_pinned_version_that_was_refused_and_did_not_change_is_none(version):
    _, catalog = _catalog(NEWER)
    assert catalog.changed(catalog.find("a", version), pinned=True) is None


def test_a_version_that_goes_beside_the_one_that_was_asked_is_no_change():
    triton, catalog = _catalog(NEWER)
    triton.load(replace(NEWER, versions=("2",)))
    assert catalog.changed(NEWER) is None


def test_all_who_were_refused_hear_of_the_change():
    triton, catalog = _catalog(A)
    triton.load(RELOADED)
    asking = [gevent.spawn(catalog.changed, A) for _ in range(4)]
    gevent.joinall(asking, raise_error=True)
    assert [each.value for each in asking] == [RELOADED] * 4
    assert triton.asked == ["models/a", "models/a/config"]


def test_a_flood_of_refusals_is_one_reading_a_second(clock):
    triton, catalog = _catalog(A)
    assert [catalog.changed(A) for _ in range(5)] == [None] * 5
    assert triton.take_questions() == ["models/a", "models/a/config"]
    triton.load(RELOADED)
    assert catalog.changed(A) is None
    clock.now += 1.1
    assert catalog.changed(A) == RELOADED
    assert catalog.changed(A) == RELOADED


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_pinned_version_that_changed_is_returned_and_kept(clock, version):
    triton, catalog = _catalog(NEWER)
    pinned = catalog.find("a", version)
    clock.now += 1.1
    triton.load(replace(NEWER, max_batch_size=8))
    assert catalog.changed(pinned, pinned=True).max_batch_size == 8
    assert catalog.find("a", version).max_batch_size == 8


def test_a_model_that_went_has_not_changed():
    triton, catalog = _catalog(A)
    triton.models.clear()
    assert catalog.changed(A) is None


# Triton in trouble


@pytest.mark.parametrize("error", [TritonUnavailableError("down"), DeadlineError("slow")])
def test_without_any_snapshot_the_trouble_is_told(error):
    triton = Triton(A)
    triton.answers["/v2/repository/index"] = error
    catalog = Catalog(triton)
    for _ in range(2):
        with pytest.raises(type(error)):
            catalog.ensure()
    triton.answers.clear()
    catalog.ensure()
    assert list(catalog.models) == ["a"]


def test_the_last_snapshot_is_kept_while_triton_is_down(clock):
    triton, catalog = _catalog(A)
    triton.reachable = False
    clock.now += 11
    for _ in range(3):
        catalog.ensure()
        _settle()
        assert catalog.find("a") == A
    assert triton.asked == ["repository/index"]


def test_triton_going_down_in_the_middle_keeps_all_of_the_last_snapshot():
    triton, catalog = _catalog(A, B)
    catalog.find("b")
    triton.load(NEWER)
    triton.answers["/v2/models/b"] = TritonUnavailableError("down")
    with pytest.raises(TritonUnavailableError):
        catalog.refresh()
    assert catalog.models == {"a": A, "b": B}


def test_an_unknown_model_of_a_triton_that_is_down_is_unavailable():
    triton, catalog = _catalog(A)
    triton.reachable = False
    with pytest.raises(TritonUnavailableError):
        catalog.find("none")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/b", b"[]"),
        ("/v2/models/b", b"{}"),
        ("/v2/models/b/config", b'{"max_batch_size":"x"}'),
        ("/v2/models/b", b'{"name":"b","outputs":[],"inputs":[{"name":"x","datatype":"FP8"}]}'),
    ],
)
def test_a_model_that_cannot_be_read_leaves_the_others(path, body, caplog):
    triton = Triton(A, B)
    triton.answers[path] = Answer(200, body)
    catalog = Catalog(triton)
    catalog.ensure()
    assert list(catalog.models) == ["a"]
    assert "model 'b' is left out" in caplog.text


def test_a_model_that_goes_while_it_is_read_leaves_the_others():
    triton = Triton(A, B)
    triton.answers["/v2/models/b/config"] = Answer(404, b"{}")
    catalog = Catalog(triton)
    catalog.ensure()
    assert list(catalog.models) == ["a"]


# many at once


def test_requests_at_the_same_time_share_one_reading():
    triton = Triton(A)
    catalog = Catalog(triton)
    gevent.joinall([gevent.spawn(catalog.ensure) for _ in range(10)], raise_error=True)
    assert triton.asked == ["repository/index", "models/a", "models/a/config"]


def test_requests_at_the_same_time_share_one_failure():
    triton = Triton(A)
    triton.answers["/v2/repository/index"] = DeadlineError("slow")
    catalog = Catalog(triton)

    def ask():
        with pytest.raises(DeadlineError):
            catalog.ensure()

    gevent.joinall([gevent.spawn(ask) for _ in range(10)], raise_error=True)
    assert triton.asked == ["repository/index"]


def test_one_who_is_killed_while_waiting_takes_the_reading_from_nobody():
    triton = Triton(A)
    catalog = Catalog(triton)
    doomed = gevent.spawn(catalog.ensure)
    gevent.sleep(0)
    other = gevent.spawn(catalog.ensure)
    gevent.sleep(0)
    doomed.kill()
    other.get()
    assert catalog.models == {"a": A}


def test_an_old_snapshot_is_read_by_one(clock):
    triton, catalog = _catalog(A)
    clock.now += 11
    for _ in range(5):
        catalog.ensure()
    _settle()
    assert triton.asked == ["repository/index"]


def test_an_index_that_is_none_is_tritons_error():
    triton = Triton(A)
    triton.answers["/v2/repository/index"] = Answer(200, b'[{"nom":"a"}]')
    with pytest.raises(TritonError):
        Catalog(triton).ensure()


# deadlines


class Held(Triton):
    """Answers nothing until ``go`` is set."""

    def __init__(self, *models):
        super().__init__(*models)
        self.go = Event()

    def request(self, *args, **kwargs):
        self.go.wait()
        return super().request(*args, **kwargs)


@pytest.mark.parametrize(
    "ask",
    [
        lambda catalog, deadline: catalog.ensure(deadline),
        lambda catalog, deadline: catalog.find("a", deadline=deadline),
        lambda catalog, deadline: catalog.changed(A, deadline=deadline),
    ],
    ids=["ensure", "find", "changed"],
)
def test_nobody_waits_longer_than_its_deadline(ask):
    triton = Held(A)
    catalog = Catalog(triton)
    with gevent.Timeout(20), pytest.raises(DeadlineError):
        ask(catalog, Deadline.after(0.05))
    triton.go.set()
    catalog.ensure()  # the reading went on
    assert catalog.models == {"a": A}
    assert triton.asked.count("repository/index") == 1
