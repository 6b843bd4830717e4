"""An answer reaches a server as the same reply whether Flask carries it or not."""

import json
import re

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from trihook import (
    DeadlineError,
    HookError,
    Item,
    ModelRef,
    OverloadedError,
    PayloadError,
    Reply,
    ScoringError,
    TritonLostError,
    TritonUnavailableError,
    UnavailableError,
)
from trihook.host.answers import (
    Answer,
    answer_outcome,
    error_answer,
    json_answer,
    to_response,
    to_wsgi,
)
from trihook.host.statuses import status_of
from trihook.outcome import Outcome, Scored
from trihook.testing import make_model
from werkzeug.test import EnvironBuilder, run_wsgi_app

MODEL = make_model("m", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
ENVIRON = EnvironBuilder("/score", method="POST").get_environ()


def _by_wsgi(answer):
    return run_wsgi_app(lambda environ, start: to_wsgi(answer, start), ENVIRON)


def _by_flask(answer):
    return run_wsgi_app(to_response(answer), ENVIRON)


def _compare(body, status, headers):
    """Return what a client makes of a reply: the reason and the headers' order say nothing."""
    return b"".join(body), status.split(" ")[0], sorted(headers.items())


def _outcome(*scored):
    return Outcome(MODEL, ModelRef("m"), "core", scored, {})


def _scored(reply=None, body=b"{}", error=None):
    return Scored(Item(1), body=body, reply=reply, error=error)


# to a server


ANSWERS = st.builds(
    Answer,
    st.binary(max_size=20),
    st.integers(200, 599).filter(lambda status: status != 304),
    st.sampled_from(["application/json", "text/plain", "image/png", "text/html; charset=x"]),
    st.lists(
        st.tuples(st.sampled_from(["X-A", "x-a", "Cache-Control"]), st.sampled_from(["", "a, b"])),
        max_size=3,
    ).map(tuple),
)


@given(ANSWERS)
def test_a_server_gets_what_flask_would_give_it(answer):
    assert _compare(*_by_wsgi(answer)) == _compare(*_by_flask(answer))


@pytest.mark.parametrize("status", [204, 304])
def test_where_http_allows_no_body_there_is_none(status):
    body, line, headers = _by_wsgi(Answer(b"null", status))
    assert (list(body), line[:4]) == ([], f"{status} ")
    assert "Content-Length" not in headers


def test_an_empty_body_has_its_length():
    body, _, headers = _by_wsgi(Answer(b""))
    assert (b"".join(body), headers["Content-Length"]) == (b"", "0")


def test_every_status_has_a_line_that_a_server_takes():
    for status in range(200, 600):
        _, line, _ = _by_wsgi(Answer(b"", status))
        assert re.fullmatch(rf"{status} [\x20-\x7e]+", line)


def test_a_status_without_a_name_is_unknown():
    assert _by_wsgi(Answer(b"", 299))[1] == "299 UNKNOWN"


def test_an_answer_goes_out_in_one_piece():
    body, _, _ = _by_wsgi(Answer(b"[" + b" " * 100_000 + b"]"))
    assert len(list(body)) == 1


# replies of plugins


def test_a_reply_keeps_its_status_media_type_and_headers():
    reply = Reply(b"", 418, "image/png", {"X-Teapot": "yes", "Cache-Control": "no-store"})
    answer = answer_outcome(_outcome(_scored(reply, b"\x89PNG")), "id", many=False)
    assert answer == Answer(
        b"\x89PNG", 418, "image/png", (("X-Teapot", "yes"), ("Cache-Control", "no-store"))
    )


@pytest.mark.parametrize("change", [str, str.lower, str.upper])
@pytest.mark.parametrize(
    "name", ["Content-Type", "Server-Timing", "X-Trihook-Model", "X-Request-Id"]
)
def test_a_plugin_does_not_speak_for_the_host(name, change):
    reply = Reply(1, headers={change(name): "forged", "X-Own": "1"})
    answer = answer_outcome(_outcome(_scored(reply)), "id", many=False)
    assert answer.headers == (("X-Own", "1"),)


def test_among_several_the_replies_status_and_headers_are_left_out():
    reply = Reply(1, 418, headers={"X-A": "1"})
    answer = answer_outcome(_outcome(_scored(reply, b"1"), _scored(reply, b"2")), "id", many=True)
    assert answer == Answer(b'{"predictions":[1,2]}')


def test_further_headers_come_after_those_that_are_there():
    answer = Answer(headers=(("X-A", "1"),)).with_headers(("X-B", "2"), ("X-C", "3"))
    assert answer.headers == (("X-A", "1"), ("X-B", "2"), ("X-C", "3"))
    assert Answer().headers == ()


# errors


@pytest.mark.parametrize("error", [TritonUnavailableError("down"), OverloadedError("full")])
def test_who_is_to_come_back_is_told_when(error):
    for answer in (
        error_answer(error, "id"),
        answer_outcome(_outcome(_scored(error=error)), "id", many=False),
        answer_outcome(_outcome(_scored(error=error), _scored(error=error)), "id", many=True),
    ):
        assert (answer.status, answer.headers) == (503, (("Retry-After", "1"),))


@pytest.mark.parametrize(
    "error",
    [
        PayloadError("bad"),
        DeadlineError("late"),
        ScoringError("bug"),
        TritonLostError("broke"),
        UnavailableError("away", stage="postprocess"),
    ],
)
def test_nobody_else_is(error):
    assert error_answer(error, "id").headers == ()


def test_the_first_errors_status_is_that_of_all_only_where_all_failed():
    late, down = _scored(error=DeadlineError("late")), _scored(error=TritonUnavailableError("down"))
    fine = _scored(Reply(1), b"1")
    both = answer_outcome(_outcome(late, down), "id", many=True)
    assert (both.status, both.headers) == (504, ())
    one = answer_outcome(_outcome(down, fine), "id", many=True)
    assert (one.status, one.headers) == (200, ())
    assert [each.get("error", {}).get("item") for each in _predictions(one, 1)] == [0]


@pytest.mark.parametrize(
    "begun",
    [
        DeadlineError("late"),
        TritonLostError("lost"),
        HookError("a bug"),
        UnavailableError("away", stage="postprocess"),
    ],
    ids=repr,
)
def test_what_may_have_run_is_not_asked_for_again_because_of_others(begun):
    down, other = _scored(error=TritonUnavailableError("down")), _scored(error=begun)
    for items in ((down, other), (other, down)):
        answer = answer_outcome(_outcome(*items), "id", many=True)
        assert (answer.status, answer.headers) == (status_of(begun), ())
    both = answer_outcome(_outcome(down, down), "id", many=True)
    assert (both.status, both.headers) == (503, (("Retry-After", "1"),))


def _predictions(answer, count):
    return json.loads(answer.body)["predictions"][:count]


def test_an_item_without_reply_or_error_is_a_bug_of_ours():
    assert answer_outcome(_outcome(_scored()), "id", many=False).status == 500


def test_an_error_is_told_as_one_object():
    answer = error_answer(PayloadError("größe", stage="preprocess", plugin="p"), "id")
    assert (answer.status, answer.media_type) == (400, "application/json")
    assert json.loads(answer.body) == {
        "message": "größe",
        "code": "bad_payload",
        "stage": "preprocess",
        "plugin": "p",
        "request_id": "id",
    }


def test_json_is_answered_as_json():
    assert json_answer({"a": 1}, 503) == Answer(b'{"a":1}', 503, "application/json")


def test_flask_gives_an_answer_on_as_it_is():
    app = Flask("test")
    app.add_url_rule("/", "home", lambda: to_response(Answer(b"\xff", 201, "a/b", (("X-A", "1"),))))
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.data, answer.content_type) == (201, b"\xff", "a/b")
    assert answer.headers["X-A"] == "1"


@pytest.mark.parametrize("name", ["Server", "date", "Keep-Alive", "Upgrade", "X-Request-Id"])
def test_what_is_the_hosts_own_to_say_is_not_a_plugins(name):
    one = _scored(reply=Reply(1, headers={name: "a plugin's", "X-Own": "a plugin's"}))
    assert answer_outcome(_outcome(one), "id", many=False).headers == (("X-Own", "a plugin's"),)
