"""The API describes the routes that are there, the models that are loaded, the errors told."""

import json

from trihook import PayloadError
from trihook.host.app import create_app
from trihook.host.openapi import describe_api
from trihook.host.statuses import STATUSES
from trihook.replies import encode_json, error_object
from trihook.testing import Harness, make_model


def _service(*names):
    models = [make_model(name, inputs=["x FP32 [1]"], outputs=["y FP32 [1]"]) for name in names]
    return Harness(models=models, infer=lambda model, inputs: {"y": [1]}).service


def test_every_loaded_model_has_a_path():
    service = _service("a", "b")
    service.catalog.ensure()
    paths = describe_api(service)["paths"]
    versions = [f"/score/{name}/versions/{{version}}" for name in "ab"]
    assert set(paths) == {"/score", "/score/a", "/score/b", *versions}
    [version] = paths[versions[0]]["post"]["parameters"]
    assert (version["in"], version["required"], version["schema"]["enum"]) == ("path", True, ["1"])
    assert [each["name"] for each in paths["/score"]["post"]["parameters"]] == ["model", "version"]


def test_every_status_of_an_error_is_described():
    [operation] = describe_api(_service())["paths"]["/score"].values()
    assert set(operation["responses"]) == {"200", *map(str, STATUSES.values())}


def test_the_schema_of_an_error_is_what_is_told():
    schema = describe_api(_service())["components"]["schemas"]["Error"]
    told = error_object(PayloadError("m"), "id")
    assert schema["required"] == list(schema["properties"]) == list(told)


def test_operations_have_names_of_their_own():
    service = _service("a", "b")
    service.catalog.ensure()
    operations = [path["post"]["operationId"] for path in describe_api(service)["paths"].values()]
    assert len(set(operations)) == len(operations) == 5


def test_it_is_json_of_openapi_3():
    document = json.loads(encode_json(describe_api(_service("a"))))
    assert document["openapi"].startswith("3.")
    assert document["info"]["title"] == "trihook"


def test_it_is_served_with_the_models_before_any_request():
    document = create_app(_service("a")).test_client().get("/swagger.json").json
    assert "/score/a" in document["paths"]


def test_it_is_served_while_triton_is_down():
    service = _service("a")
    service.client.reachable = False
    answer = create_app(service).test_client().get("/swagger.json")
    assert (answer.status_code, list(answer.json["paths"])) == (200, ["/score"])
