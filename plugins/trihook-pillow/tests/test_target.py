import pytest
from trihook import Model, TensorSpec
from trihook_pillow import Target, find_target


def model(*inputs, **facts):
    return Model("any", "1", tuple(inputs), (), **facts)


def target(shape, layout="", datatype="FP32"):
    return find_target(model(TensorSpec("x", datatype, shape, layout=layout)))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 224, 256), ("NCHW", 3, 224, 256, False)),
        ((224, 256, 3), ("NHWC", 3, 224, 256, False)),
        ((1, 28, 30), ("NCHW", 1, 28, 30, False)),
        ((28, 30, 1), ("NHWC", 1, 28, 30, False)),
        ((3, -1, -1), ("NCHW", 3, None, None, False)),
        ((-1, 640, 3), ("NHWC", 3, None, 640, False)),
        ((1, 3, 224, 256), ("NCHW", 3, 224, 256, True)),
        ((-1, 3, 224, 256), ("NCHW", 3, 224, 256, True)),
        ((1, 224, 256, 3), ("NHWC", 3, 224, 256, True)),
        ((-1, 28, 30, 1), ("NHWC", 1, 28, 30, True)),
        ((3, 10, 3), ("NCHW", 3, 10, 3, False)),
        ((1, 10, 3), ("NHWC", 3, 1, 10, False)),
        ((3, 10, 1), ("NCHW", 3, 10, 1, False)),
        ((1, 10, 1), ("NCHW", 1, 10, 1, False)),
    ],
)
def test_layout_and_size_are_read_from_the_shape(shape, expected):
    layout, channels, height, width, leading = expected
    assert target(shape) == Target("x", "FP32", layout, channels, height, width, leading)


@pytest.mark.parametrize("shape", [(3, 10, 3), (1, 10, 3), (3, 10, 1), (1, 10, 1)])
def test_a_declared_layout_goes_before_what_the_shape_suggests(shape):
    first, last = target(shape, "NCHW"), target(shape, "NHWC")
    assert (first.layout, first.channels) == ("NCHW", shape[0])
    assert (last.layout, last.channels) == ("NHWC", shape[2])


@pytest.mark.parametrize(
    "shape",
    [(), (3,), (3, 224), (224, 224), (2, 224, 224), (4, 8, 8), (2, 3, 8, 8), (1, 1, 3, 8, 8),
     (-1, -1, -1), (3, 0, 8), (8, 0, 3)],
)  # fmt: skip
def test_other_shapes_are_no_pictures(shape):
    assert target(shape) is None


def test_a_declared_layout_that_the_shape_denies_is_no_picture():
    assert target((3, 224, 224), "NHWC") is None
    assert target((224, 224, 3), "NCHW") is None


@pytest.mark.parametrize("datatype", ["FP64", "BF16", "INT8", "UINT16", "BOOL", "BYTES"])
def test_other_datatypes_are_no_pictures(datatype):
    assert target((3, 8, 8), datatype=datatype) is None


@pytest.mark.parametrize("datatype", ["UINT8", "FP16", "FP32"])
def test_three_datatypes_are_taken(datatype):
    assert target((3, 8, 8), datatype=datatype).datatype == datatype


def test_a_picture_must_be_the_only_input_that_is_required():
    picture = TensorSpec("picture", "FP32", (3, 8, 8))
    other = TensorSpec("threshold", "FP32", (1,))
    optional = TensorSpec("threshold", "FP32", (1,), optional=True)
    assert find_target(model()) is None
    assert find_target(model(picture, other)) is None
    assert find_target(model(picture, picture)) is None
    assert find_target(model(optional, picture)).input == "picture"
    assert find_target(model(TensorSpec("picture", "FP32", (3, 8, 8), optional=True))) is None
