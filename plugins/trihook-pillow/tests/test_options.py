import math

import pytest
import trihook
from trihook_pillow import Options, Target, parse_options

COLOUR = Target("x", "FP32", "NCHW", 3, 8, 8)
GREY = Target("x", "FP32", "NCHW", 1, 8, 8)
HALF = Target("x", "FP16", "NCHW", 3, 8, 8)
BYTE = Target("x", "UINT8", "NCHW", 3, 8, 8)


def values(options, target=COLOUR, pixel=255):
    """Return what a pixel becomes in each channel."""
    parsed = parse_options(options, target)
    return [pixel * f + o for f, o in zip(parsed.factor, parsed.offset, strict=True)]


def test_the_defaults_are_the_documented_ones():
    assert parse_options({}, COLOUR) == Options(
        factor=(1 / 128,) * 3,
        offset=(-1.0,) * 3,
        bgr=False,
        resize="stretch",
        max_pixels=16_000_000,
        background=(255, 255, 255),
        reduced_decode=False,
    )
    assert parse_options({}, BYTE) == Options(factor=(1.0,) * 3, offset=(0.0,) * 3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scaling": "NONE"}, [255, 255, 255]),
        ({"scaling": "none "}, [255, 255, 255]),
        ({"scaling": "UNIT"}, [1, 1, 1]),
        ({"scaling": "INCEPTION"}, [127 / 128] * 3),
        ({"scaling": "VGG"}, [132, 138, 151]),
        ({"scaling": "VGG", "channel_order": "BGR"}, [151, 138, 132]),
        ({"mean": "127", "std": "128"}, [1, 1, 1]),
        ({"mean": 127, "std": 128.0}, [1, 1, 1]),
        ({"mean": [5, 55, 155]}, [250, 200, 100]),
        ({"mean": "[5, 55, 155]"}, [250, 200, 100]),
        ({"mean": "5,55,155"}, [250, 200, 100]),
        ({"mean": ["5", " 55", "155 "]}, [250, 200, 100]),
        ({"std": "2"}, [127.5] * 3),
        ({"scaling": "UNIT", "mean": "[0.5, 0.25, 0]", "std": "0.5"}, [1, 1.5, 2]),
        ({"scaling": "NONE", "mean": "0.5", "std": "1"}, [254.5] * 3),
        ({"scaling": "UNIT", "mean": [5, 55, 155], "channel_order": "BGR"}, [-4, -54, -154]),
    ],
)
def test_values_are_scaled_as_the_options_say(options, expected):
    assert values(options) == pytest.approx(expected, abs=1e-12)


def test_a_picture_of_one_channel_takes_one_number():
    assert values({"mean": "55", "std": [2]}, GREY) == [100]


@pytest.mark.parametrize(
    ("options", "field", "expected"),
    [
        ({"channel_order": "bgr"}, "bgr", True),
        ({"resize": "center_crop"}, "resize", "center_crop"),
        ({"max_pixels": "5000"}, "max_pixels", 5000),
        ({"max_pixels": 5000}, "max_pixels", 5000),
        ({"background": "0, 128, 255"}, "background", (0, 128, 255)),
        ({"background": [1, 2, 3]}, "background", (1, 2, 3)),
        ({"reduced_decode": "true"}, "reduced_decode", True),
        ({"reduced_decode": True}, "reduced_decode", True),
        ({"reduced_decode": False}, "reduced_decode", False),
    ],
)
def test_the_other_options_are_read(options, field, expected):
    assert getattr(parse_options(options, COLOUR), field) == expected


def test_options_that_belong_to_others_are_not_read():
    options = {"activation": "softmax", "EXECUTION_MODE": "1", "nested": {"a": 1}}
    assert parse_options(options, COLOUR) == parse_options({}, COLOUR)


@pytest.mark.parametrize(
    ("options", "target", "message"),
    [
        ({"scaling": "IMAGENET"}, COLOUR, "'scaling' must be NONE, UNIT, INCEPTION or VGG"),
        ({"scaling": 5}, COLOUR, "it is 5"),
        ({"scaling": "VGG"}, GREY, "'scaling' must be NONE, UNIT or INCEPTION"),
        ({"scaling": "UNIT"}, BYTE, "'scaling' must be NONE, as the input 'x' is UINT8"),
        ({"mean": "5"}, BYTE, "'mean' must not be given, as the input 'x' is UINT8"),
        ({"std": "5"}, BYTE, "'std' must not be given"),
        (
            {"mean": "5", "scaling": "VGG"},
            COLOUR,
            "'mean' goes with scaling NONE or UNIT, not VGG; it is '5'",
        ),
        ({"std": "5", "scaling": "INCEPTION"}, COLOUR, "'std' goes with scaling NONE or UNIT"),
        ({"mean": "1,2"}, COLOUR, "'mean' must be one number or 3, one a channel; it is '1,2'"),
        ({"mean": "1,2,3"}, GREY, "'mean' must be one number; it is '1,2,3'"),
        ({"mean": "red"}, COLOUR, "'mean' must be one number"),
        ({"mean": ""}, COLOUR, "'mean' must be one number"),
        ({"mean": []}, COLOUR, "'mean' must be one number"),
        ({"mean": True}, COLOUR, "'mean' must be one number"),
        ({"mean": {"r": 1}}, COLOUR, "'mean' must be one number"),
        ({"mean": "nan"}, COLOUR, "'mean' must be one number"),
        ({"std": math.inf}, COLOUR, "'std' must be one number"),
        ({"mean": [0, 10**309, 0]}, COLOUR, "'mean' must be one number or 3"),
        ({"std": "128,0,128"}, COLOUR, "'std' must be above 0"),
        ({"std": -1}, COLOUR, "'std' must be above 0"),
        (
            {"mean": "0.485,0.456,0.406"},
            COLOUR,
            "'mean' is at most 1, so scaling must be given: UNIT or NONE",
        ),
        ({"std": "0.25"}, COLOUR, "'std' is at most 1, so scaling must be"),
        (
            {"scaling": "NONE", "std": 0.001},
            HALF,
            "'std' must keep values within FP16",
        ),
        ({"scaling": "UNIT", "std": 1e-300}, COLOUR, "'std' must keep values within FP32"),
        ({"scaling": "UNIT", "mean": 1, "std": 5e-324}, COLOUR, "must keep values within FP32"),
        ({"mean": 1e5}, HALF, "'mean' must keep values within FP16; it is 100000.0"),
        ({"channel_order": "GRB"}, COLOUR, "'channel_order' must be RGB or BGR; it is 'GRB'"),
        ({"resize": "fit"}, COLOUR, "'resize' must be stretch or center_crop; it is 'fit'"),
        ({"max_pixels": 0}, COLOUR, "'max_pixels' must be a whole number above 0; it is 0"),
        ({"max_pixels": 10**309}, COLOUR, "'max_pixels' must be a whole number above 0"),
        ({"max_pixels": "1.5"}, COLOUR, "'max_pixels' must be a whole number above 0"),
        ({"max_pixels": "4, 5"}, COLOUR, "'max_pixels' must be a whole number above 0"),
        ({"background": "white"}, COLOUR, "'background' must be red, green and blue"),
        ({"background": "0,0"}, COLOUR, "'background' must be red, green and blue"),
        ({"background": "0,0,256"}, COLOUR, "'background' must be red, green and blue"),
        ({"background": [0.5, 0, 0]}, COLOUR, "'background' must be red, green and blue"),
        ({"reduced_decode": "maybe"}, COLOUR, "'reduced_decode' must be false or true"),
    ],
)
def test_an_impossible_option_is_named_with_what_was_expected(options, target, message):
    with pytest.raises(trihook.ConfigError) as caught:
        parse_options(options, target)
    assert message in str(caught.value)
