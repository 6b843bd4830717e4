"""Over HTTP: every route, every status, and what is told of an error."""

import io
import json
import logging
import re
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import quote, unquote

import numpy as np
import pytest
from flask import Flask, Request
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trihook import (
    DeadlineError,
    OverloadedError,
    PayloadError,
    PayloadTooLargeError,
    Reply,
    TritonUnavailableError,
    hookimpl,
)
from trihook.config import Settings
from trihook.defaults import Defaults
from trihook.host.answers import Answer
from trihook.host.app import create_app
from trihook.host.headers import Headers
from trihook.host.scoring import Scorer
from trihook.plugins import load_plugins
from trihook.service import build_service
from trihook.testing import FakeTriton, Harness, InlineRuntime, make_model
from werkzeug.datastructures import EnvironHeaders

DOUBLE = make_model("double", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"], max_batch_size=8)
OTHER = make_model("other", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
ERROR_KEYS = ["message", "code", "stage", "plugin", "request_id"]
SECRET = "/home/secret/path"


class Deeds:
    """Does what a text item says."""

    @hookimpl
    def preprocess(self, item):
        match item.data:
            case "raise":
                raise ValueError(SECRET)
            case "refuse":
                raise PayloadError("not this one") from OSError(SECRET)
            case "too large":
                raise PayloadTooLargeError("over 16 Mpx")
            case "nonsense":
                return 3
            case "misfit":
                return {"x": [1, 2]}
            case str():
                return {"x": [float(item.data)]}

    @hookimpl
    def postprocess(self, item, outputs):
        match item.data:
            case "1000":
                return Reply(b"\x89PNG", 201, "image/png", {"X-Extra": "yes"})
            case "1001":
                return object()
            case "1002":
                raise SystemExit(SECRET)


def infer(model, inputs):
    for value, error in {
        -1: ValueError(SECRET),
        -2: TritonUnavailableError("model 'double' is not ready"),
        -3: DeadlineError("Triton did not answer in time"),
    }.items():
        if (inputs["x"] == value).any():
            raise error
    return {"y": inputs["x"] * 2}


def _harness(settings=None, models=(DOUBLE,), infer=infer, **more):
    settings = {**(settings or {}), **more}
    return Harness(Deeds, models=models, infer=infer, settings=Settings.model_validate(settings))


def _client(**options):
    return create_app(_harness(**options).service).test_client()


@pytest.fixture
def client():
    return _client()


# routes


def test_home_says_healthy(client):
    answer = client.get("/")
    assert (answer.status_code, answer.text) == (200, "Healthy")


def test_live_says_nothing_about_triton():
    harness = _harness()
    harness.triton.reachable = False
    assert create_app(harness.service).test_client().get("/v2/health/live").status_code == 200


def test_ready_is_so_when_all_is():
    answer = _client().get("/v2/health/ready")
    assert answer.status_code == 200
    assert answer.json == {"ready": True, "reasons": [], "skipped_plugins": []}


@pytest.mark.parametrize(
    ("settings", "models", "reachable", "reason"),
    [
        ({}, [DOUBLE], False, "Triton is not ready"),
        ({}, [], True, "no model is loaded"),
        ({"default_model": "none"}, [DOUBLE], True, "model 'none' is not ready"),
        ({"models": {"none": {}}}, [DOUBLE], True, "model 'none' is not ready"),
    ],
)
def test_ready_says_what_is_not(settings, models, reachable, reason):
    harness = _harness(settings, models)
    harness.triton.reachable = reachable
    answer = create_app(harness.service).test_client().get("/v2/health/ready")
    assert (answer.status_code, answer.json["ready"]) == (503, False)
    assert answer.json["reasons"] == [reason]


def test_ready_names_the_plugins_that_were_skipped():
    broken = SimpleNamespace(name="broken", dist=None, load=lambda: None)
    settings = Settings.model_validate({"skip_broken_plugins": True})
    plugins = load_plugins(Defaults(), entry_points=[broken])
    service = build_service(settings, InlineRuntime(), plugins, FakeTriton([DOUBLE], infer))
    answer = create_app(service).test_client().get("/v2/health/ready")
    assert answer.json["skipped_plugins"] == ["broken"]


@pytest.mark.parametrize(
    "path",
    [
        "/score",
        "/score/double",
        "/score/double/versions/1",
        "/score?model=double",
        "/score?model=double&version=1",
    ],
)
def test_every_scoring_route_scores(path):
    client = _client(models=[DOUBLE])
    answer = client.post(path, json=[1.5])
    assert (answer.status_code, answer.json) == (200, {"outputs": {"y": [3.0]}})
    assert answer.content_type == "application/json"
    assert answer.headers["X-Trihook-Model"] == "double/1"


def test_the_path_wins_over_the_query():
    client = _client(models=[DOUBLE, OTHER])
    answer = client.post("/score/other?model=double", json=[1])
    assert answer.headers["X-Trihook-Model"] == "other/1"


def test_a_models_name_may_be_of_any_letters():
    client = _client(models=[make_model("模 型", inputs=DOUBLE.inputs, outputs=DOUBLE.outputs)])
    answer = client.post("/score", json=[1])
    assert answer.headers["X-Trihook-Model"] == "%E6%A8%A1%20%E5%9E%8B/1"


def test_the_stages_are_timed(client):
    timing = client.post("/score", json=[1]).headers["Server-Timing"]
    names = re.findall(r"(\w+);dur=\d+\.\d\d", timing)
    assert names == ["select_model", "preprocess", "infer", "postprocess"]


def test_what_the_request_holds_reaches_the_plugins():
    seen = []

    class Curious:
        @hookimpl
        def preprocess(self, item, request):
            seen.append((item, request))

    harness = Harness(Curious, models=[DOUBLE], infer=infer)
    create_app(harness.service).test_client().post(
        "/score/double/versions/1?top=3&top=4",
        data=b"raw",
        headers={"Content-Type": "Image/PNG; q=1", "X-Custom": "yes", "X-Request-Id": "id-1"},
    )
    [(item, request)] = seen
    assert (item.data, item.media_type) == (b"raw", "image/png")
    assert (request.model, request.version, request.id) == ("double", "1", "id-1")
    assert request.query == {"top": "3"}
    assert request.headers["x-custom"] == "yes"
    assert not request.many


# several items


def test_instances_are_answered_by_predictions_in_order(client):
    answer = client.post("/score", json={"instances": ["1", "2", "3"]})
    assert answer.status_code == 200
    values = [one["outputs"]["y"] for one in answer.json["predictions"]]
    assert values == [[2.0], [4.0], [6.0]]


def test_no_instances_are_no_predictions(client):
    answer = client.post("/score", json={"instances": []})
    assert (answer.status_code, answer.json) == (200, {"predictions": []})


def test_a_failed_item_has_its_error_in_its_place(client):
    answer = client.post(
        "/score", json={"instances": ["1", "refuse", "3"]}, headers={"X-Request-Id": "id-1"}
    )
    assert answer.status_code == 200
    first, second, third = answer.json["predictions"]
    assert [first["outputs"]["y"], third["outputs"]["y"]] == [[2.0], [6.0]]
    assert second == {
        "error": {
            "message": "not this one",
            "code": "bad_payload",
            "stage": "preprocess",
            "plugin": "Deeds",
            "request_id": "id-1",
            "item": 1,
        }
    }


def test_where_every_item_fails_the_first_errors_status_is_given(client):
    answer = client.post("/score", json={"instances": ["too large", "refuse"]})
    assert answer.status_code == 413
    assert [one["error"]["code"] for one in answer.json["predictions"]] == [
        "payload_too_large",
        "bad_payload",
    ]


def test_items_that_all_have_to_come_back_say_when(client):
    answer = client.post("/score", json={"instances": ["-2"]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_the_files_of_a_form_are_items():
    class Length:
        @hookimpl
        def preprocess(self, item, request):
            if item.name == "bad":
                raise PayloadError("bad file")
            return {"x": [len(item.data) + float(request.fields["add"])]}

    harness = Harness(Length, models=[DOUBLE], infer=infer)
    form = {
        "add": "0.5",
        "files": [
            (io.BytesIO(b"abc"), "a.png"),
            (io.BytesIO(b""), "bad"),
            (io.BytesIO(b"a"), "c.png"),
        ],
    }
    answer = create_app(harness.service).test_client().post("/score", data=form)
    first, second, third = answer.json["predictions"]
    assert (first["outputs"]["y"], third["outputs"]["y"]) == ([7.0], [3.0])
    assert (second["error"]["item"], second["error"]["code"]) == (1, "bad_payload")


# replies of other kinds


def test_a_reply_may_have_status_media_type_and_headers(client):
    answer = client.post("/score", json="1000")
    assert (answer.status_code, answer.data) == (201, b"\x89PNG")
    assert (answer.content_type, answer.headers["X-Extra"]) == ("image/png", "yes")


def test_among_several_such_a_reply_is_the_plugins_error(client):
    answer = client.post("/score", json={"instances": ["1000", "1"]})
    assert answer.status_code == 200
    assert answer.json["predictions"][0]["error"]["code"] == "plugin_result"


# statuses


def _error(answer):
    assert answer.content_type == "application/json"
    assert list(answer.json) == ERROR_KEYS
    assert all(isinstance(value, str) for value in answer.json.values())
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert SECRET not in answer.text
    assert SECRET not in str(answer.headers)
    assert "Traceback" not in answer.text
    return answer.status_code, answer.json["code"], answer.json["stage"], answer.json["plugin"]


@pytest.mark.parametrize(
    ("item", "status", "code", "stage", "plugin"),
    [
        ("raise", 500, "plugin_failed", "preprocess", "Deeds"),
        ("refuse", 400, "bad_payload", "preprocess", "Deeds"),
        ("too large", 413, "payload_too_large", "preprocess", "Deeds"),
        ("nonsense", 500, "plugin_result", "preprocess", "Deeds"),
        ("misfit", 500, "plugin_result", "preprocess", "Deeds"),
        ({"z": 1}, 400, "bad_payload", "preprocess", "core"),
        ("-1", 502, "triton_error", "infer", ""),
        ("-2", 503, "triton_unavailable", "infer", ""),
        ("-3", 504, "deadline_exceeded", "infer", ""),
        ("1001", 500, "plugin_result", "postprocess", "Deeds"),
        ("1002", 500, "plugin_failed", "postprocess", "Deeds"),
    ],
    ids=str,
)
def test_what_happened_has_its_status(client, item, status, code, stage, plugin):
    assert _error(client.post("/score", json=item)) == (status, code, stage, plugin)


@pytest.mark.parametrize("body", [b"{", b"", b"NaN", b"\xff", b"[" * 100_000])
def test_a_malformed_body_is_400(client, body):
    answer = client.post("/score", data=body, content_type="application/json")
    assert _error(answer) == (400, "bad_payload", "request", "")


def test_a_body_that_ends_early_is_400(client):
    answer = client.post("/score", data=b"[1", headers={"Content-Length": "5"},
                         content_type="application/json")  # fmt: skip
    assert _error(answer) == (400, "bad_payload", "request", "")


def test_a_media_type_that_no_plugin_takes_is_415(client):
    answer = client.post("/score", data=b"raw", content_type="image/png")
    assert _error(answer) == (415, "unsupported_media_type", "preprocess", "")
    assert "'image/png'" in answer.json["message"]


@pytest.mark.parametrize("path", ["/score/none", "/score/double/versions/9", "/score?model=none"])
def test_an_unknown_model_is_404(client, path):
    assert _error(client.post(path, json=[1])) == (404, "unknown_model", "select_model", "")


def test_no_choice_among_several_models_is_404():
    answer = _client(models=[DOUBLE, OTHER]).post("/score", json=[1])
    assert _error(answer)[:2] == (404, "unknown_model")


def test_a_body_over_the_limit_is_413():
    client = _client(max_body_bytes=10)
    assert client.post("/score", json=[1]).status_code == 200
    answer = client.post("/score", data=b"[" + b" " * 20 + b"1]", content_type="application/json")
    assert _error(answer) == (413, "payload_too_large", "request", "")


def test_too_many_items_are_413():
    answer = _client(max_items=2).post("/score", json={"instances": ["1"] * 3})
    assert _error(answer) == (413, "payload_too_large", "request", "")


def test_a_triton_that_is_down_is_503_with_a_time_to_come_back():
    harness = _harness()
    harness.triton.reachable = False
    answer = create_app(harness.service).test_client().post("/score", json=[1])
    assert _error(answer) == (503, "triton_unavailable", "select_model", "")
    assert answer.headers["Retry-After"] == "1"


def test_other_errors_say_no_time_to_come_back(client):
    assert "Retry-After" not in client.post("/score", json="raise").headers


def test_a_bug_of_our_own_is_500_and_told_to_the_log_only(monkeypatch, caplog):
    harness = _harness()
    monkeypatch.setattr(harness.service.catalog, "ensure", lambda *_: 1 / 0)
    answer = create_app(harness.service).test_client().post("/score", json=[1])
    assert _error(answer) == (500, "error", "request", "")
    assert answer.json["message"] == "an unexpected error occurred"
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/score/a/b", 404, "not_found"),
        ("POST", "/score/", 404, "not_found"),
        ("GET", "/score", 405, "method_not_allowed"),
        ("PUT", "/score/double", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_served_is_told_in_the_same_shape(client, method, path, status, code):
    answer = client.open(path, method=method)
    assert _error(answer) == (status, code, "request", "")
    assert answer.json["message"] == f"{method} {path} is not served here"


def test_a_wrong_method_is_told_the_right_ones(client):
    assert set(client.get("/score").headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


# overload


class Unread(io.BytesIO):
    """A body that notes when somebody reads it."""

    was_read = False

    def read(self, *size):
        self.was_read = True
        return super().read(*size)

    def read1(self, *size):
        return self.read(*size)


def test_overload_is_told_before_the_body_is_read():
    answers, body = [], Unread(b"[1]")

    def busy(model, inputs):
        answers.append(client.post("/score", input_stream=body, content_length=3))
        return {"y": inputs["x"]}

    client = _client(infer=busy, max_requests=1)
    assert client.post("/score", json=[1]).status_code == 200
    [answer] = answers
    assert not body.was_read
    assert _error(answer) == (503, OverloadedError.code, "request", "")
    assert answer.headers["Retry-After"] == "1"


def test_health_is_told_under_overload():
    answers = []

    def busy(model, inputs):
        answers.append(client.get("/v2/health/live").status_code)
        answers.append(client.get("/v2/health/ready").status_code)
        return {"y": inputs["x"]}

    client = _client(infer=busy, max_requests=1)
    client.post("/score", json=[1])
    assert answers == [200, 200]


@pytest.mark.parametrize("item", ["1", "raise", "1002", {"z": 1}])
def test_a_request_that_ends_makes_room_for_the_next(item):
    client = _client(max_requests=1)
    statuses = {client.post("/score", json=item).status_code for _ in range(3)}
    assert statuses != {503}
    assert client.post("/score", json="1").status_code == 200


def test_a_body_that_cannot_be_read_makes_room_for_the_next():
    client = _client(max_requests=1)
    for _ in range(2):
        assert client.post("/score", data=b"{", content_type="application/json").status_code == 400
    assert client.post("/score", json="1").status_code == 200


# request ids


@pytest.mark.parametrize("given", ["id-1", "a" * 100, "!~"])
def test_the_callers_id_is_echoed(client, given):
    for answer in (
        client.post("/score", json=[1], headers={"X-Request-Id": given}),
        client.get("/nowhere", headers={"X-Request-Id": given}),
        client.get("/", headers={"X-Request-Id": given}),
    ):
        assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "a b", "a" * 101, "größe", "a\tb"])
def test_an_id_that_could_do_harm_is_replaced(client, given):
    answer = client.post("/score", json=[1], headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_ids_that_are_made_up_differ(client):
    assert client.get("/").headers["X-Request-Id"] != client.get("/").headers["X-Request-Id"]


# the log


@pytest.mark.parametrize(
    ("item", "level", "words"),
    [
        ("raise", logging.ERROR, SECRET),
        ("-1", logging.INFO, "refused an inference"),
        ("refuse", logging.INFO, "not this one"),
    ],
)
def test_an_error_is_logged_once_with_its_id(client, caplog, item, level, words):
    caplog.set_level(logging.INFO, "trihook")
    client.post("/score", json=item, headers={"X-Request-Id": "id-1"})
    [record] = [each for each in caplog.records if "request id-1" in each.getMessage()]
    assert record.levelno == level
    assert words in caplog.text


def test_what_triton_said_is_logged_in_one_line_and_once_for_all_items(client, caplog):
    caplog.set_level(logging.INFO, "trihook")
    client.post("/score", json={"instances": ["-1", "1", "-1", "refuse"]})
    refused, plugin = (each.getMessage() for each in caplog.records if each.levelno == logging.INFO)
    assert "(2 items): " in refused
    assert SECRET in refused
    assert "items" not in plugin
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("encoding", ["gzip", "br, gzip"])
def test_an_encoded_body_is_refused_and_the_encoding_named(client, encoding):
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = client.post("/score", data=b"\x1f\x8b", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")
    assert f"Content-Encoding {encoding!r} is not taken" in answer.json["message"]


def test_identity_is_no_encoding(client):
    answer = client.post("/score", json="1", headers={"Content-Encoding": "Identity"})
    assert answer.status_code == 200


def test_the_cause_of_a_refusal_by_a_plugin_is_not_logged(client, caplog):
    caplog.set_level(logging.INFO, "trihook")
    client.post("/score", json="refuse")
    assert "Traceback" not in caplog.text


def test_replies_of_numpy_are_json(client):
    class Numbers:
        @hookimpl
        def postprocess(self, outputs):
            return {"array": outputs["y"], "nan": np.float32("nan")}

    harness = Harness(Numbers, models=[DOUBLE], infer=infer)
    answer = create_app(harness.service).test_client().post("/score", json=[1])
    assert json.loads(answer.data) == {"array": [2.0], "nan": None}


# the short way of scoring requests, which is to be told from Flask's by its speed alone


def _by_routing(path):
    """Return what Flask's own routing makes of a POST to a path: model and version, or a status."""
    app = Flask("oracle")
    app.url_map.merge_slashes = False
    app.add_url_rule("/", "home", lambda: "")

    def score(model="", version=""):
        return [model, version]

    for rule in ("/score", "/score/<model>", "/score/<model>/versions/<version>"):
        app.add_url_rule(rule, "score", score, methods=["POST"])
    answer = _post_to(app, path)
    return answer.json if answer.status_code == 200 else answer.status_code


def _by_the_short_way(path):
    """Return the same of our application, in which any model scores."""
    taken = []
    app = _client().application
    app._scorer = SimpleNamespace(
        answer=lambda environ, request_id, *named: taken.append([*named]) or Answer()
    )
    answer = _post_to(app, path)
    return taken[0] if taken else answer.status_code


def _post_to(app, path):
    """Post to a path as it is after a server has decoded it."""
    raw = path if isinstance(path, bytes) else path.encode()
    return app.test_client().post("/", environ_overrides={"PATH_INFO": raw.decode("latin-1")})


PATHS = st.lists(
    st.sampled_from(
        ["/", "//", "score", "versions", "a", ".", "..", "模", "%2F", " ", "1", "?", ";"]
    ),
    max_size=8,
).map("".join)


@given(PATHS)
@example("/score")
@example("/score/")
@example("//score/a")
@example("/score//a")
@example("/score/a/")
@example("/score/a/versions")
@example("/score/a/versions/")
@example("/score/a/versions/1")
@example("/score/a/versions/1/")
@example("/score/versions/versions/versions")
@example("/scores")
@example("/score/..")
@example("score")
@example("")
@example("/score/größe/versions/ü")
@example(b"/score/\xff\xe6")
@settings(max_examples=200, deadline=None)
def test_a_path_names_the_model_that_flasks_routing_would_find(path):
    assert _by_the_short_way(path) == _by_routing(path)


@pytest.mark.parametrize(
    "name", ["größe", "模型", "a b", "a.b", "..", "a%b", "é", "versions", "\u2028"]
)
@pytest.mark.parametrize("place", ["path", "query"])
def test_a_name_of_any_letters_is_found_percent_encoded(name, place):
    client = _client(models=[replace(DOUBLE, name=name), OTHER])
    quoted = quote(name, safe="")
    path = f"/score/{quoted}/versions/1" if place == "path" else f"/score?model={quoted}&version=1"
    answer = client.post(path, json=[1])
    assert (answer.status_code, answer.json) == (200, {"outputs": {"y": [2.0]}})
    assert unquote(answer.headers["X-Trihook-Model"]) == f"{name}/1"


@pytest.mark.parametrize("path", ["/score", "/score/double", "/score/none/versions/9"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_only_post_scores(client, method, path):
    answer = client.open(path, method=method, json=[1])
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert answer.headers["X-Request-Id"]
    assert (answer.data == b"") is (method == "HEAD")


@pytest.mark.parametrize("path", ["/score", "/score/double", "/score/double/versions/1"])
def test_options_are_told(client, path):
    answer = client.options(path)
    assert (answer.status_code, answer.data) == (200, b"")
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize(
    ("query", "model", "version"),
    [
        ("model=double", "double", ""),
        ("model=double&model=other", "double", ""),
        ("model=&version=", "", ""),
        ("model", "", ""),
        ("version=1&version=2", "", "1"),
        ("model=do%75ble&version=%31", "double", "1"),
        ("model=a+b", "a b", ""),
        ("Model=double", "", ""),
        ("", "", ""),
    ],
)
def test_the_query_names_the_model_by_the_first_value_of_each_name(query, model, version):
    [request] = _seen_by_plugins(f"/score?{query}")
    assert (request.model, request.version) == (model, version)
    assert request.query == Request({"QUERY_STRING": query}).args.to_dict()


@pytest.mark.parametrize("query", ["model=other&version=7", "model=&version="])
def test_path_and_query_are_told_apart_name_by_name(query):
    [request] = _seen_by_plugins(f"/score/double?{query}")
    assert (request.model, request.version) == ("double", "7" if "7" in query else "")


def _seen_by_plugins(path, **sent):
    """Return the requests that reach ``select_model``, whatever they name."""
    seen = []

    class Curious:
        @hookimpl(wrapper=True)
        def select_model(self, request):
            seen.append(request)
            yield
            return "double"

    harness = Harness(Curious, models=[DOUBLE], infer=infer)
    client = create_app(harness.service).test_client()
    client.post(path, **{"data": b"[1]", "content_type": "application/json", **sent})
    return seen


@given(
    st.dictionaries(
        st.from_regex(r"(HTTP_)?(X_|CONTENT_)?[A-Z]{1,6}(_[A-Z0-9]{1,4})?", fullmatch=True)
        | st.sampled_from(["CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_CONTENT_TYPE",
                           "HTTP_CONTENT_LENGTH", "HTTP_HOST", "HTTP_COOKIE", "HTTP_X__A"]),
        st.sampled_from(["", "1", "a, b", "\xe9"]),
    )
)  # fmt: skip
def test_plugins_see_the_headers_that_flask_would_show(environ):
    assert Headers(environ) == {n.lower(): v for n, v in EnvironHeaders(environ).items()}


@pytest.mark.parametrize("content_type", [None, ""])
def test_a_body_without_a_media_type_is_bytes(content_type):
    [request] = _seen_by_plugins("/score", content_type=content_type)
    [item] = request.items
    assert (item.data, item.media_type) == (b"[1]", "")
    assert "content-type" not in request.headers
    assert request.size == 3


def test_the_size_is_that_of_the_body():
    [request] = _seen_by_plugins("/score", data=b"  [1]  ")
    assert request.size == 7


def test_a_reply_of_a_plugin_reaches_the_caller_with_the_hosts_own_headers():
    class Forger:
        @hookimpl
        def postprocess(self):
            forged = ["content-type", "Server-Timing", "x-trihook-model", "X-Request-ID"]
            return Reply(b"!", 299, "a/b", {**dict.fromkeys(forged, "forged"), "X-Own": "1"})

    harness = Harness(Forger, models=[DOUBLE], infer=infer)
    client = create_app(harness.service).test_client()
    answer = client.post("/score", json=[1], headers={"X-Request-Id": "mine"})
    assert (answer.status, answer.data) == ("299 UNKNOWN", b"!")
    names = [name.lower() for name, _ in answer.headers]
    assert sorted(names) == sorted({*names}), "a header came twice"
    assert "forged" not in answer.headers.values()
    assert answer.headers["X-Request-Id"] == "mine"
    assert answer.headers["X-Own"] == "1"
    assert answer.content_type == "a/b"


def test_a_bug_of_our_own_in_reading_the_request_is_500_as_well(monkeypatch, caplog):
    client = _client()
    monkeypatch.setattr(Scorer, "_read_request", lambda *_: 1 / 0)
    assert _error(client.post("/score/double", json=[1])) == (500, "error", "request", "")
    assert "ZeroDivisionError" in caplog.text


# a full queue


def _full(settings=None, models=(DOUBLE,), name="double", version=""):
    """Return a client of a host in which as many items wait for a model as may."""
    harness = _harness(settings, models)
    service = harness.service
    service.unready()  # has the models read
    lane = service.batcher._lane(harness.triton.models[name], version)
    lane.waiting = service.settings.max_queue
    return create_app(service).test_client(), lane


@pytest.mark.parametrize(
    ("path", "settings", "models"),
    [
        ("/score/double", {}, (DOUBLE, OTHER)),
        ("/score?model=double", {}, (DOUBLE, OTHER)),
        ("/score", {"default_model": "double"}, (DOUBLE, OTHER)),
        ("/score", {}, (DOUBLE,)),
    ],
)
def test_a_full_queue_is_told_before_the_body_is_read(path, settings, models):
    client, lane = _full(settings, models)
    body = Unread(b"[1]")
    answer = client.post(path, input_stream=body, content_length=3)
    assert not body.was_read
    assert _error(answer) == (503, OverloadedError.code, "request", "")
    assert answer.json["message"] == "as many items wait for model 'double' as may"
    assert answer.headers["Retry-After"] == "1"
    lane.waiting -= 1
    assert client.post(path, json=[1]).status_code == 200


def test_a_full_queue_of_one_model_is_nothing_to_another():
    client, _ = _full(models=(DOUBLE, OTHER))
    assert client.post("/score/other", json=[1]).status_code == 200
    assert client.post("/score/double/versions/1", json=[1]).status_code == 200


def test_a_version_has_a_queue_of_its_own():
    client, _ = _full(version="1")
    assert client.post("/score/double/versions/1", json=[1]).status_code == 503
    assert client.post("/score/double", json=[1]).status_code == 200


def test_a_full_queue_of_the_model_that_a_plugin_chooses_is_told_as_well():
    class Chooser:
        @hookimpl
        def select_model(self):
            return "double"

    harness = Harness(Chooser, models=[DOUBLE, OTHER], infer=infer)
    harness.service.unready()
    lane = harness.service.batcher._lane(DOUBLE, "")
    lane.waiting = harness.service.settings.max_queue
    answer = create_app(harness.service).test_client().post("/score", json=[1])
    assert _error(answer) == (503, OverloadedError.code, "infer", "")
    assert answer.headers["Retry-After"] == "1"


def test_a_full_queue_of_the_default_is_nothing_to_what_a_plugin_may_choose():
    class Router:
        @hookimpl
        def select_model(self, request):
            return request.query.get("to")

    harness = Harness(
        Router, models=[DOUBLE, OTHER], infer=infer, settings=Settings(default_model="double")
    )
    harness.service.unready()
    lane = harness.service.batcher._lane(DOUBLE, "")
    lane.waiting = harness.service.settings.max_queue
    client = create_app(harness.service).test_client()
    assert client.post("/score?to=other", json=[1]).status_code == 200
    assert client.post("/score", json=[1]).status_code == 503


def test_health_is_told_while_a_queue_is_full():
    client, _ = _full()
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 200
