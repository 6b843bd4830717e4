"""The whole way of a request, on a real Triton behind a real host."""

import base64
import io
import json

import numpy as np
import pytest
from onnx_models import linear_weights
from PIL import Image
from servers import multipart, photograph, recording_proxy, running_host, statistics, wait_until

CONTEXT = (
    "The observatory on Mount Arden was founded in 1921 by Clara Voss. "
    "It keeps about 40 telescopes, and most of them are open to visitors in summer."
)


@pytest.mark.parametrize(
    ("picture", "label"), [("chelsea.png", "Egyptian cat"), ("coffee.png", "espresso")]
)
def test_a_photograph_gets_its_true_label(host, picture, label):
    answer = host.post("/score/efficientnet_lite0", photograph(picture), Content_Type="image/png")
    assert answer.status == 200
    assert answer.json["label"] == label
    assert answer.json["top"][0] == {k: answer.json[k] for k in ("label", "index", "score")}
    assert len(answer.json["top"]) == 5


def test_top_says_how_many_labels_come_back(host, cat):
    answer = host.post("/score/efficientnet_lite0?top=2", cat, Content_Type="image/png")
    assert [entry["label"] for entry in answer.json["top"]] == ["Egyptian cat", "tiger cat"]


def test_the_real_graph_of_densenet_answers_with_a_distribution(host, cat):
    answer = host.post("/score/densenet_onnx?top=1000", cat, Content_Type="image/png")
    assert answer.status == 200
    assert sum(entry["score"] for entry in answer.json["top"]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("Who founded the observatory?", "Clara Voss"),
        ("When was the observatory founded?", "1921"),
    ],
)
def test_a_question_is_answered_by_a_piece_of_the_text(host, query, answer):
    got = host.post("/score/bidaf_onnx", {"context": CONTEXT, "query": query})
    assert got.status == 200
    assert got.json["answer"] == answer
    assert CONTEXT[got.json["start"] : got.json["end"]] == answer
    assert got.json["words"] == answer.split()


def test_the_reply_says_which_model_answered_and_how_long_each_stage_took(host, cat):
    answer = host.post("/score/efficientnet_lite0", cat, Content_Type="image/png")
    assert answer.headers["x-trihook-model"] == "efficientnet_lite0/1"
    stages = [entry.split(";")[0] for entry in answer.headers["server-timing"].split(", ")]
    assert stages == ["select_model", "preprocess", "infer", "postprocess"]


def test_one_damaged_file_among_eight_fails_alone(host, jpeg):
    half = jpeg[: len(jpeg) // 2]
    pictures = [("cat.jpg", "image/jpeg", half if i == 2 else jpeg) for i in range(8)]
    body, content_type = multipart(*pictures)
    answer = host.post("/score/efficientnet_lite0?top=1", body, Content_Type=content_type)
    assert answer.status == 200
    predictions = answer.json["predictions"]
    assert [p.get("label") for p in predictions] == ["Egyptian cat"] * 2 + [None] + [
        "Egyptian cat"
    ] * 5
    error = predictions[2]["error"]
    assert (error["item"], error["code"], error["stage"]) == (2, "bad_payload", "preprocess")
    assert error["plugin"] == "pillow"


@pytest.mark.parametrize("model", ["vector", "fixed"])
def test_twenty_instances_come_back_in_order(host, model):
    vectors = np.arange(60, dtype=np.float32).reshape(20, 3)
    instances = [{"inputs": {"x": vector.tolist()}} for vector in vectors]
    answer = host.post(f"/score/{model}", {"instances": instances})
    assert answer.status == 200
    outputs = [np.squeeze(p["outputs"]["y"]) for p in answer.json["predictions"]]
    np.testing.assert_allclose(outputs, vectors @ linear_weights(3))


def test_twenty_items_take_five_inferences_where_four_fit_into_one(host, triton):
    def counted(what):
        return statistics(triton.url, "moody")[what]

    inferred, executed = counted("inference_count"), counted("execution_count")
    assert host.post("/score/moody", {"instances": [{"x": [0.0]}] * 20}).status == 200
    # Triton counts a moment after it has answered
    wait_until(
        lambda: (
            (counted("inference_count"), counted("execution_count"))
            == (inferred + 20, executed + 5)
        )
    )


def test_a_vector_model_without_a_plugin_takes_and_gives_json_tensors(host):
    answer = host.post("/score/vector", {"inputs": {"x": [[1, 2, 3]]}})
    assert (answer.status, answer.json) == (200, {"outputs": {"y": [[8.0, 14.0]]}})


def test_texts_and_bytes_go_through_as_they_are(host):
    texts = ["å", "", {"b64": base64.b64encode(b"\xff\x00").decode()}]
    answer = host.post("/score/texts", {"x": ["å", "", "日本"]})
    assert answer.json == {"outputs": {"y": ["å", "", "日本"]}}
    # ONNX's strings are UTF-8, so its runtime refuses other bytes; they do get there
    assert host.post("/score/texts", {"x": texts}).status == 502


def test_a_picture_model_that_nobody_wrote_code_for_is_served_from_its_metadata(host, cat):
    answer = host.post("/score/grey", cat, Content_Type="image/png")
    assert answer.status == 200
    [grey] = answer.json["outputs"]["grey"]
    assert grey == pytest.approx(_mean_grey(cat), abs=1.0)


def test_a_picture_may_come_inside_json(host, cat):
    picture = {"image": {"b64": base64.b64encode(cat).decode()}}
    answer = host.post("/score/efficientnet_lite0?top=1", {"instances": [picture, picture]})
    assert [p["label"] for p in answer.json["predictions"]] == ["Egyptian cat"] * 2


def test_curl_s_own_media_type_is_no_obstacle(host, cat):
    form = "application/x-www-form-urlencoded"
    assert host.post("/score/efficientnet_lite0", cat, Content_Type=form).status == 200
    body = json.dumps({"x": [1, 2, 3]}).encode()
    assert host.post("/score/vector", body, Content_Type=form).status == 200


def test_a_version_can_be_named_in_the_path(host):
    body = {"x": [1, 2, 3]}
    answer = host.post("/score/vector/versions/1", body)
    assert (answer.status, answer.headers["x-trihook-model"]) == (200, "vector/1")
    assert host.post("/score/vector/versions/7", body).status == 404


def test_metadata_is_not_fetched_per_request(triton):
    with recording_proxy(triton.url) as (url, paths), running_host(url) as host:
        for _ in range(200):
            assert host.post("/score/vector", {"x": [1, 2, 3]}).status == 200
    assert paths.count("/v2/models/vector/infer") == 200
    assert paths.count("/v2/models/vector") <= 2  # at the start, and if ten seconds have passed
    assert paths.count("/v2/models/vector/config") <= 2


def _mean_grey(picture):
    small = (
        Image.open(io.BytesIO(picture)).convert("L").resize((128, 96), Image.Resampling.BILINEAR)
    )
    return float(np.asarray(small, np.float32).mean())
