from importlib.metadata import entry_points

import numpy as np
import pytest
import trihook
from trihook import Model, ScoringRequest, TensorSpec
from trihook_densenet import plugin, sorts_pictures

PICTURE = TensorSpec("data_0", "FP32", (3, 224, 224))


def model(shape=(1000,), inputs=(PICTURE,), **facts):
    return Model("any", "1", inputs, (TensorSpec("scores", "FP32", shape),), **facts)


def asked(**query):
    return ScoringRequest((), query=query)


def reply_to(values, request=None, **facts):
    return plugin.postprocess({"scores": values}, model(**facts), request or asked())


def scores_with(**peaks):
    values = np.zeros(1000, np.float32)
    for index, value in peaks.items():
        values[int(index[1:])] = value
    return values


def test_the_plugin_is_named_by_an_entry_point():
    assert [e.load() for e in entry_points(group="trihook", name="densenet")][:1] == [plugin]


def test_the_reply_is_the_best_label_and_five_in_order():
    reply = reply_to(scores_with(_285=0.7, _282=0.2, _281=0.1))
    assert (reply["label"], reply["index"]) == ("Egyptian cat", 285)
    assert reply["score"] == pytest.approx(0.7)
    assert [entry["label"] for entry in reply["top"]] == [
        "Egyptian cat", "tiger cat", "tabby", "tench", "goldfish",
    ]  # fmt: skip
    assert reply["top"][0] == {key: reply[key] for key in ("label", "index", "score")}


@pytest.mark.parametrize("top", [1, 7, 1000])
def test_the_caller_says_how_many(top):
    assert len(reply_to(scores_with(_3=1), asked(top=str(top)))["top"]) == top


@pytest.mark.parametrize("top", ["0", "1001", "-1", "1.5", "five", "", " 5", "٣", "9" * 5000])
def test_another_number_is_the_callers_error(top):
    with pytest.raises(trihook.PayloadError, match="'top' must be a whole number from 1 to 1000"):
        reply_to(scores_with(_3=1), asked(top=top))


@pytest.mark.parametrize("shape", [(1000,), (1, 1000), (1000, 1, 1), (1, 1000, 1, 1), (-1, 1000)])
def test_outputs_of_a_thousand_values_are_taken(shape):
    assert sorts_pictures(model(shape))
    values = scores_with(_967=1).reshape([max(size, 1) for size in shape])
    assert reply_to(values, shape=shape)["label"] == "espresso"


@pytest.mark.parametrize("shape", [(), (1,), (999,), (1001,), (10, 100), (2, 1000), (1000, -1)])
def test_other_outputs_are_left_to_others(shape):
    assert not sorts_pictures(model(shape))
    assert reply_to(scores_with(_3=1), shape=shape) is None


def test_models_that_take_no_picture_or_answer_twice_are_left_to_others():
    assert not sorts_pictures(model(inputs=(TensorSpec("tokens", "INT64", (128,)),)))
    assert not sorts_pictures(model(inputs=(PICTURE, PICTURE)))
    output = TensorSpec("scores", "FP32", (1000,))
    assert not sorts_pictures(Model("any", "1", (PICTURE,), (output, output)))


def test_the_models_option_decides_about_the_softmax():
    values = scores_with(_3=4)
    assert reply_to(values)["score"] == pytest.approx(np.exp(4) / (np.exp(4) + 999))
    assert reply_to(values, options={"activation": "none"})["score"] == 4
    forced = reply_to(scores_with(_3=1), options={"activation": "softmax"})
    assert forced["score"] == pytest.approx(np.e / (np.e + 999))


def test_an_unknown_activation_is_named():
    with pytest.raises(trihook.ConfigError, match=r"'activation' of any must be .*'sigmoid'"):
        reply_to(scores_with(_3=1), options={"activation": "sigmoid"})


def test_tritons_own_classification_is_taken_too():
    entries = np.array([b"12.5:285", b"9:967:strong coffee"], object)
    assert reply_to(entries) == {
        "label": "Egyptian cat",
        "index": 285,
        "score": 12.5,
        "top": [
            {"label": "Egyptian cat", "index": 285, "score": 12.5},
            {"label": "strong coffee", "index": 967, "score": 9.0},
        ],
    }


@pytest.mark.parametrize("shape", [(1000,), (-1, 1000), (1000, 1, 1)])
@pytest.mark.parametrize("rows", [0, 2, 3])
def test_several_pictures_in_one_tensor_are_left_to_others(shape, rows):
    values = np.zeros((rows, *[size for size in shape if size > 0]), np.float32)
    assert reply_to(values, shape=shape) is None


def test_one_picture_in_a_tensor_for_several_is_named():
    assert reply_to(scores_with(_967=1)[np.newaxis])["label"] == "espresso"
    assert reply_to(np.array([[b"9:967", b"1:3"]], object))["label"] == "espresso"


def test_tritons_own_classification_of_several_pictures_is_left_to_others():
    assert reply_to(np.array([[b"12.5:285"], [b"9:967"]], object)) is None


@pytest.mark.parametrize(
    "values",
    [
        np.array([b"nonsense"], object),
        np.array([b"0.5:1000"], object),
        np.array([], object),
        np.full(1000, np.nan, np.float32),
    ],
)
def test_an_output_without_scores_is_blamed_on_the_model(values):
    with pytest.raises(trihook.TritonError, match="output 'scores' of any/1 holds no scores"):
        reply_to(values)
