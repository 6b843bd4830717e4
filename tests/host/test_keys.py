"""Strangers get 401 and are told nothing, before their bodies are read; health is open to all."""

import io

import pytest
from trihook import PayloadError, UnauthorizedError, hookimpl
from trihook.config import Settings, load_settings
from trihook.host.app import create_app
from trihook.testing import Harness, make_model

VECTOR = make_model("vector", inputs=["x FP32 [1]"], outputs=["y FP32 [1]"])
OLD, NEW = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def client():
    settings = Settings.model_validate({"keys": [OLD, NEW], "metrics": True})
    harness = Harness(models=[VECTOR], infer=lambda _, x: {"y": x["x"]}, settings=settings)
    return create_app(harness.service).test_client()


def _score(client, authorization=None):
    headers = {} if authorization is None else {"Authorization": authorization}
    return client.post("/score/vector", json=[1], headers=headers)


@pytest.mark.parametrize("key", [OLD, NEW])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_who_holds_one_of_the_keys_is_answered(client, scheme, key):
    assert _score(client, scheme + key).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        OLD,
        f"Basic {OLD}",
        f"Bearer {OLD[:-1]}",
        f"Bearer {OLD}0",
        f"Bearer {OLD},{NEW}",
        f"Bearer {OLD.upper()}",
        "Bearer \u00e9",
    ],
)
def test_who_does_not_is_refused_and_told_how_it_is_done(client, authorization):
    answer = _score(client, authorization)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (answer.json["code"], answer.json["stage"]) == ("unauthorized", "request")
    assert answer.headers["X-Request-Id"] == answer.json["request_id"]


def test_the_body_of_a_stranger_is_not_read(client):
    body = io.BytesIO(b"[1]")
    answer = client.post("/score/vector", input_stream=body, content_length=3)
    assert (answer.status_code, body.tell()) == (401, 0)


@pytest.mark.parametrize("path", ["/", "/v2/health/live", "/v2/health/ready"])
def test_health_is_open_to_all(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/swagger.json", "/metrics", "/score", "/no-such-route"])
def test_everything_else_is_not(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")
    known = client.get(path, headers={"Authorization": f"Bearer {OLD}"})
    assert known.status_code in (200, 404, 405)


def test_refusals_are_counted(client):
    _score(client)
    counts = client.get("/metrics", headers={"Authorization": f"Bearer {OLD}"}).text
    assert 'trihook_requests_total{model="",status="401"} 1.0' in counts


def test_the_description_says_that_a_key_is_wanted(client):
    described = client.get("/swagger.json", headers={"Authorization": f"Bearer {OLD}"}).json
    assert described["security"] == [{"key": []}]
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_a_plugin_may_have_keys_of_its_own():
    class Careful:
        @hookimpl
        def preprocess(self, request):
            if request.headers.get("authorization") != "Bearer mine":
                raise UnauthorizedError("only mine is taken")
            raise PayloadError("and then this")

    client = create_app(Harness(Careful, models=[VECTOR], infer=dict).service).test_client()
    answer = _score(client)
    assert (answer.status_code, answer.json["plugin"]) == (401, "Careful")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert _score(client, "Bearer mine").status_code == 400


def test_keys_come_from_the_environment_and_are_not_shown():
    settings = load_settings({}, {"TRIHOOK_KEYS": f"{OLD}, {NEW}"})
    assert [key.get_secret_value() for key in settings.keys] == [OLD, NEW]
    assert OLD not in repr(settings)
