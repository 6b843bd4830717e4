from importlib.metadata import entry_points

import numpy as np
import pytest
import trihook
from trihook import Item, Model, TensorSpec
from trihook_pillow import plugin


def model(shape=(3, 24, 32), datatype="FP32", **facts):
    return Model("any", "1", (TensorSpec("x", datatype, shape),), (), **facts)


def test_the_plugin_is_named_by_an_entry_point():
    assert [e.load() for e in entry_points(group="trihook", name="pillow")][:1] == [plugin]


def test_a_picture_becomes_the_models_input(encode, scene):
    tensors = plugin.preprocess(Item(encode(scene), "image/png"), model())
    assert {name: array.shape for name, array in tensors.items()} == {"x": (3, 24, 32)}


@pytest.mark.parametrize("first", [1, -1])
def test_a_batch_dimension_that_the_model_declares_is_there(encode, scene, first):
    tensors = plugin.preprocess(Item(encode(scene), ""), model((first, 3, 24, 32)))
    assert tensors["x"].shape == (1, 3, 24, 32)


def test_a_model_of_any_size_gets_the_pictures_own(encode, scene):
    tensors = plugin.preprocess(Item(encode(scene), ""), model((3, -1, -1)))
    assert tensors["x"].shape == (3, 96, 128)


def test_the_models_options_are_obeyed(encode, scene):
    item = Item(encode(scene), "")
    plain = plugin.preprocess(item, model(options={"scaling": "NONE"}))["x"]
    scaled = plugin.preprocess(item, model(options={"mean": "127", "std": "128"}))["x"]
    assert np.allclose(scaled, (plain - 127) / 128)
    with pytest.raises(trihook.PayloadTooLargeError):
        plugin.preprocess(item, model(options={"max_pixels": "100"}))
    with pytest.raises(trihook.ConfigError, match="scaling"):
        plugin.preprocess(item, model(options={"scaling": "?"}))


def test_models_and_items_that_are_no_pictures_are_left_to_others(encode, scene):
    picture = Item(encode(scene), "image/png")
    assert plugin.preprocess(picture, model((8,))) is None
    assert plugin.preprocess(Item(b"text", "text/plain"), model()) is None
    assert plugin.example(model((8,))) is None


@pytest.mark.parametrize("shape", [(3, 24, 32), (24, 32, 1), (1, 3, 8, 8), (3, -1, -1)])
@pytest.mark.parametrize("datatype", ["UINT8", "FP16", "FP32"])
def test_the_example_is_taken_by_the_same_model(shape, datatype):
    taken = model(shape, datatype)
    tensor = plugin.preprocess(plugin.example(taken), taken)["x"]
    assert tensor.min() != tensor.max()
