import numpy as np
import onnx
import pytest
from trihook_densenet.efficientnet import build_efficientnet, same_padding


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "pads", "after"),
    [
        (224, 3, 1, [1, 1, 1, 1], 224),
        (224, 3, 2, [0, 0, 1, 1], 112),
        (56, 5, 2, [1, 1, 2, 2], 28),
        (7, 5, 1, [2, 2, 2, 2], 7),
        (7, 3, 2, [1, 1, 1, 1], 4),
        (7, 1, 1, [0, 0, 0, 0], 7),
        (8, 1, 2, [0, 0, 0, 0], 4),
    ],
)
def test_padding_is_tensorflows_same(side, kernel, stride, pads, after):
    assert same_padding(side, kernel, stride) == (pads, after)


def test_the_model_takes_any_number_of_pictures(session):
    loaded = session("efficientnet_lite0")
    (images,), (answer,) = loaded.get_inputs(), loaded.get_outputs()
    assert (images.name, images.type, images.shape) == (
        "images", "tensor(float)", ["n", 3, 224, 224],
    )  # fmt: skip
    assert (answer.name, answer.type, answer.shape) == (
        "probabilities", "tensor(float)", ["n", 1000],
    )  # fmt: skip


def test_the_model_is_old_enough_for_older_runtimes(repository):
    model = onnx.load(repository / "efficientnet_lite0/1/model.onnx")
    assert (model.ir_version, [(o.domain, o.version) for o in model.opset_import]) == (
        8, [("", 13)],
    )  # fmt: skip


def test_no_normalisation_is_left_and_every_weight_is_used_once(repository):
    graph = onnx.load(repository / "efficientnet_lite0/1/model.onnx").graph
    operators = [node.op_type for node in graph.node]
    assert "BatchNormalization" not in operators
    assert operators.count("Conv") == 1 + 15 * 3 + 2 + 1
    assert operators.count("Add") == 9  # the second and later blocks of each stage
    used = [name for node in graph.node for name in node.input]
    names = [constant.name for constant in graph.initializer]
    assert len(names) == len(set(names))
    assert all(used.count(name) == 1 for name in names if name not in ("six", "zero"))


def test_a_missing_weight_is_named():
    with pytest.raises(KeyError, match="_bn0"):
        build_efficientnet({"_conv_stem.weight": np.zeros((32, 3, 3, 3), np.float32)})
