import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from trihook_pillow import Options, Target, parse_options, prepare, resize, to_tensor

IDENTITY = Options(factor=(1.0,) * 3, offset=(0.0,) * 3)


def triangle_weights(before, after, start, length):
    """Return the matrix [after, before] of a bilinear filter that averages where it shrinks."""
    step = length / after
    reach = max(step, 1.0)
    weights = np.zeros((after, before))
    for row in range(after):
        centre = start + (row + 0.5) * step
        for column in range(before):
            weights[row, column] = max(0.0, 1 - abs(column + 0.5 - centre) / reach)
    return weights / weights.sum(axis=1, keepdims=True)


def resize_by_matrices(array, width, height, box=None):
    left, top, right, bottom = box or (0, 0, array.shape[1], array.shape[0])
    rows = triangle_weights(array.shape[0], height, top, bottom - top)
    columns = triangle_weights(array.shape[1], width, left, right - left)
    narrowed = np.einsum("lk,jkc->jlc", columns, array.astype(float))
    return np.einsum("ij,jlc->ilc", rows, narrowed)


@pytest.mark.parametrize(("width", "height"), [(32, 24), (50, 20), (7, 90), (300, 200), (1, 1)])
def test_stretching_is_a_bilinear_filter_over_the_whole_picture(scene, width, height):
    resized = np.asarray(resize(Image.fromarray(scene), width, height))
    assert resized.shape == (height, width, 3)
    assert np.abs(resized - resize_by_matrices(scene, width, height)).max() <= 1.01


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [
        (32, 32, (16, 0, 112, 96)),  # of 128 x 96 the middle 96 x 96
        (64, 16, (0, 32, 128, 64)),
        (10, 30, (48, 0, 80, 96)),
        (64, 48, (0, 0, 128, 96)),
    ],
)
def test_cropping_takes_the_largest_centred_part_of_the_wanted_proportions(
    scene, width, height, box
):
    cropped = np.asarray(resize(Image.fromarray(scene), width, height, crop=True))
    part = scene[box[1] : box[3], box[0] : box[2]]
    inner = np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR))
    assert cropped.shape == (height, width, 3)
    assert np.abs(cropped[1:-1, 1:-1].astype(int) - inner[1:-1, 1:-1]).max() <= 1


@settings(deadline=None)
@given(*[st.integers(1, 400)] * 4)
def test_cropping_any_size_to_any_other_takes_a_part_that_is_there(
    own_width, own_height, width, height
):
    picture = Image.new("L", (own_width, own_height), 77)
    cropped = resize(picture, width, height, crop=True)
    assert cropped.size == (width, height)
    assert cropped.getextrema() == (77, 77)


@pytest.mark.parametrize(("own", "wanted"), [((1, 65535), (224, 224)), ((65535, 1), (1, 2000))])
def test_the_thinnest_pictures_are_cropped(own, wanted):
    assert resize(Image.new("L", own, 77), *wanted, crop=True).getextrema() == (77, 77)


@pytest.mark.parametrize("crop", [False, True])
def test_an_open_size_keeps_the_pictures_own(scene, crop):
    picture = Image.fromarray(scene)
    assert resize(picture, None, None, crop=crop).size == (128, 96)
    assert resize(picture, 32, None, crop=crop).size == (32, 96)
    assert resize(picture, None, 32, crop=crop).size == (128, 32)


@pytest.mark.parametrize("crop", [False, True])
def test_a_picture_of_the_wanted_size_is_not_even_copied(noise, crop):
    picture = Image.fromarray(noise(20, 30, 3))
    assert resize(picture, 30, 20, crop=crop) is picture


@pytest.mark.parametrize("datatype", ["UINT8", "FP16", "FP32"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_every_layout_and_datatype_holds_the_right_value_in_the_right_place(
    noise, datatype, layout, channels, order
):
    target = Target("x", datatype, layout, channels, 5, 7)
    array = noise(5, 7, channels)
    options = {"channel_order": order}
    if datatype != "UINT8":
        options |= {"mean": list(range(10, 10 + channels)), "std": [4, 5, 6][:channels]}
    picture = Image.fromarray(array if channels == 3 else array[:, :, 0])
    tensor = to_tensor(picture, target, parse_options(options, target))
    assert tensor.dtype == {"UINT8": np.uint8, "FP16": np.float16, "FP32": np.float32}[datatype]
    assert tensor.shape == ((channels, 5, 7) if layout == "NCHW" else (5, 7, channels))
    assert tensor.flags.c_contiguous
    for row, column, channel in np.ndindex(5, 7, channels):
        source = channels - 1 - channel if order == "BGR" else channel
        expected = float(array[row, column, source])
        if datatype != "UINT8":
            expected = (expected - (10 + channel)) / (4 + channel)
        place = (channel, row, column) if layout == "NCHW" else (row, column, channel)
        assert float(tensor[place]) == pytest.approx(
            expected, rel=1e-3 if "6" in datatype else 1e-6
        )


@pytest.mark.parametrize("datatype", ["FP16", "FP32"])
def test_each_of_the_256_values_is_as_near_as_its_datatype_allows(datatype):
    target = Target("x", datatype, "NCHW", 1, 1, 256)
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    options = parse_options({"scaling": "UNIT", "mean": 0.485, "std": 0.229}, target)
    exact = (np.arange(256) / 255 - 0.485) / 0.229
    error = np.abs(to_tensor(ramp, target, options).astype(np.float64) - exact)
    assert error.max() < np.abs(exact).max() * 2.0 ** (-22 if datatype == "FP32" else -10)


def test_the_inception_range_is_exact():
    target = Target("x", "FP32", "NCHW", 1, 1, 256)
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    tensor = to_tensor(ramp, target, parse_options({}, target))
    assert (tensor.min(), tensor.max()) == (-1.0, 127 / 128)


def test_the_caller_may_write_to_the_tensor(scene):
    target = Target("x", "UINT8", "NHWC", 3, None, None)
    tensor = to_tensor(Image.fromarray(scene), target, IDENTITY)
    tensor += 1
    assert not np.array_equal(tensor, scene)


def test_preparing_is_decoding_resizing_and_scaling(encode, scene):
    target = Target("x", "FP32", "NCHW", 3, 24, 32)
    tensor = prepare(encode(scene), target, parse_options({"scaling": "VGG"}, target))
    expected = resize_by_matrices(scene, 32, 24) - [123, 117, 104]
    assert np.abs(tensor.transpose(1, 2, 0) - expected).max() <= 1.01


def test_reduced_decoding_is_close_to_full_decoding(encode, scene):
    target = Target("x", "FP32", "NCHW", 3, 24, 32)
    data = encode(scene, "JPEG", quality=95)
    full, reduced = (
        prepare(data, target, parse_options({"scaling": "NONE", "reduced_decode": value}, target))
        for value in (False, True)
    )
    assert not np.array_equal(full, reduced)
    assert np.abs(full - reduced).mean() < 3


def test_reduced_decoding_of_a_model_of_any_size_keeps_the_size(encode, scene):
    target = Target("x", "UINT8", "NCHW", 3, None, 32)
    options = parse_options({"reduced_decode": True}, target)
    assert prepare(encode(scene, "JPEG"), target, options).shape == (3, 96, 32)
