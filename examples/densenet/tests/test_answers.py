"""The models, asked through both plugins, about pictures whose answers are known."""

import numpy as np
import pytest
import trihook_pillow.plugin
from trihook import Item, Model, ScoringRequest, TensorSpec
from trihook_densenet import plugin

EFFICIENTNET = Model(
    "efficientnet_lite0",
    "1",
    (TensorSpec("images", "FP32", (3, 224, 224), layout="NCHW"),),
    (TensorSpec("probabilities", "FP32", (1000,)),),
    max_batch_size=8,
    options={"scaling": "NONE", "mean": "127", "std": "128"},
)
DENSENET = Model(
    "densenet_onnx",
    "1",
    (TensorSpec("data_0", "FP32", (1, 3, 224, 224)),),
    (TensorSpec("fc6_1", "FP32", (1, 1000, 1, 1)),),
)
PHOTOS = ("chelsea.png", "coffee.png", "motorcycle_left.png")


def tensor_of(data, model):
    (tensor,) = trihook_pillow.plugin.preprocess(Item(data, ""), model).values()
    return tensor


def reply_to(values, model):
    return plugin.postprocess({model.outputs[0].name: values}, model, ScoringRequest(()))


@pytest.mark.parametrize(
    ("name", "label", "score"),
    [
        ("chelsea.png", "Egyptian cat", 0.79),
        ("coffee.png", "espresso", 0.90),
        ("motorcycle_left.png", "moped", 0.49),
    ],
)
def test_efficientnet_knows_what_it_sees(session, photo, name, label, score):
    images = tensor_of(photo(name), EFFICIENTNET)[np.newaxis]
    (answers,) = session("efficientnet_lite0").run(None, {"images": images})
    reply = reply_to(answers[0], EFFICIENTNET)
    assert reply["label"] == label
    assert reply["score"] == pytest.approx(score, abs=0.01)


def test_efficientnet_answers_a_batch_as_it_answers_its_pictures(session, photo):
    loaded = session("efficientnet_lite0")
    images = np.stack([tensor_of(photo(name), EFFICIENTNET) for name in PHOTOS])
    (together,) = loaded.run(None, {"images": images})
    alone = [loaded.run(None, {"images": image[np.newaxis]})[0][0] for image in images]
    assert np.abs(together - np.stack(alone)).max() < 1e-5


def test_the_config_file_says_what_these_tests_take_for_granted(repository):
    config = (repository / "efficientnet_lite0/config.pbtxt").read_text()
    for name, value in EFFICIENTNET.options.items():
        assert f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}' in config
    assert "max_batch_size: 8" in config
    assert "dims: [ 3, 224, 224 ]" in config
    assert "dims: [ 1000 ]" in config


def test_densenet_has_the_right_shapes_and_knows_nothing(session, photo):
    loaded = session("densenet_onnx")
    assert [(i.name, i.shape) for i in loaded.get_inputs()] == [("data_0", [1, 3, 224, 224])]
    assert [(o.name, o.shape) for o in loaded.get_outputs()] == [("fc6_1", [1, 1000, 1, 1])]
    (values,) = loaded.run(None, {"data_0": tensor_of(photo("chelsea.png"), DENSENET)})
    reply = reply_to(values, DENSENET)
    assert [entry["score"] for entry in reply["top"]] == pytest.approx([0.001] * 5)
