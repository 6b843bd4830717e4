"""The plugin takes the models and items that are its own, and says what is wrong with them."""

from importlib.metadata import entry_points

import pytest
from trihook import ConfigError, Item, Model, PayloadError, PayloadTooLargeError, TensorSpec
from trihook_nltk import Token, hooks


def model_of(*inputs, **options):
    return Model("m", "1", inputs, outputs=(), options=options)


BIDAF = (
    TensorSpec("context_word", "BYTES", (-1, 1)),
    TensorSpec("context_char", "BYTES", (-1, 1, 1, 16)),
    TensorSpec("query_word", "BYTES", (-1, 1)),
    TensorSpec("query_char", "BYTES", (-1, 1, 1, 16)),
)
WORDS = TensorSpec("words", "BYTES", (-1,))
SOLE = model_of(WORDS)


def preprocess(data, model=SOLE, **item):
    return hooks.preprocess(item=Item(data, **item), model=model)


def test_words_and_characters_have_the_declared_shapes():
    tensors = preprocess(
        {"context": "It is Antidisestablishmentarianism.", "query": "Is it?"}, model_of(*BIDAF)
    )
    assert {name: array.shape for name, array in tensors.items()} == {
        "context_word": (4, 1),
        "context_char": (4, 1, 1, 16),
        "query_word": (3, 1),
        "query_char": (3, 1, 1, 16),
    }
    assert tensors["context_word"][:, 0].tolist() == [
        "it",
        "is",
        "antidisestablishmentarianism",
        ".",
    ]
    assert tensors["context_char"][:, 0, 0].tolist() == [
        ["I", "t"] + [""] * 14,
        ["i", "s"] + [""] * 14,
        list("Antidisestablish"),
        ["."] + [""] * 15,
    ]


def test_other_places_for_the_words_and_other_widths_are_kept():
    specs = (TensorSpec("a_word", "BYTES", (1, -1)), TensorSpec("a_char", "BYTES", (-1, 2)))
    tensors = preprocess({"a": "One two"}, model_of(*specs))
    assert tensors["a_word"].tolist() == [["one", "two"]]
    assert tensors["a_char"].tolist() == [["O", "n"], ["t", "w"]]


def test_texts_and_tokens_are_left_for_postprocess():
    item = Item({"text": "So, no"})
    hooks.preprocess(item=item, model=SOLE)
    assert item.state == {
        "text_text": "So, no",
        "text_tokens": (Token("So", 0, 2), Token(",", 2, 3), Token("no", 4, 6)),
    }


def test_a_plain_text_is_the_sole_field():
    tensors = preprocess("Grüß Gott".encode(), media_type="text/plain")
    assert tensors["words"].tolist() == ["grüß", "gott"]


def test_a_byte_order_mark_is_no_part_of_a_plain_text():
    item = Item(b"\xef\xbb\xbfSo it is", "text/plain")
    tensors = hooks.preprocess(item=item, model=SOLE)
    assert tensors["words"].tolist() == ["so", "it", "is"]
    assert item.state["text_text"] == "So it is"
    assert item.state["text_tokens"][0] == Token("So", 0, 2)


def test_strings_keep_their_nuls():
    assert preprocess({"text": "a\0 b"})["words"].tolist() == ["a\0", "b"]


@pytest.mark.parametrize(
    "inputs",
    [
        (),
        (TensorSpec("words", "INT64", (-1,)),),
        (TensorSpec("words", "BYTES", (-1, -1)),),
        (TensorSpec("words", "BYTES", (8,)),),
        (TensorSpec("text", "BYTES", (-1,)),),
        (TensorSpec("_word", "BYTES", (-1,)),),
        (TensorSpec("text_word", "BYTES", (-1,)), TensorSpec("text_char", "BYTES", (-1, -1))),
        (TensorSpec("text_word", "BYTES", (-1,)), TensorSpec("text_char", "BYTES", (16,))),
        (TensorSpec("text_word", "BYTES", (-1,)), TensorSpec("mask", "BYTES", (-1,))),
        (TensorSpec("text_word", "BYTES", (-1,)), TensorSpec("text_char", "INT32", (-1, 16))),
    ],
)
def test_models_of_other_kinds_are_left_to_others(inputs):
    assert preprocess({"text": "some words"}, model_of(*inputs)) is None
    assert hooks.example(model=model_of(*inputs)) is None


def test_an_optional_input_of_another_kind_is_no_hindrance():
    flag = TensorSpec("flag", "BOOL", (1,), optional=True)
    assert list(preprocess({"text": "words"}, model_of(WORDS, flag))) == ["words"]


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        ({"words": ["some", "words"]}, "application/json"),
        ({}, "application/json"),
        ([1], "application/json"),
        ("text", "application/json"),
        (None, "application/json"),
        (b"text", "image/png"),
    ],
)
def test_items_of_other_kinds_are_left_to_others(data, media_type):
    assert preprocess(data, media_type=media_type) is None


def test_a_plain_text_for_two_fields_is_left_to_others():
    assert preprocess(b"text", model_of(*BIDAF), media_type="text/plain") is None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "'query' is missing, expected a text"),
        ({"query": 7}, "'query' must be a text, got int"),
        ({"query": None}, "'query' must be a text, got NoneType"),
        ({"query": ""}, "'query' must hold at least one word, got blank text"),
        ({"query": " \n\u3000"}, "'query' must hold at least one word, got blank text"),
        (
            {"query": "a\ud800"},
            "'query' must be Unicode text, got half a surrogate pair at offset 1",
        ),
    ],
)
def test_a_bad_field_is_named(query, message):
    with pytest.raises(PayloadError) as caught:
        preprocess({"context": "A context."} | query, model_of(*BIDAF))
    assert caught.value.message == message


def test_a_plain_text_in_another_encoding_is_refused():
    with pytest.raises(
        PayloadError, match="'text' must be text in UTF-8, got other bytes at offset 2"
    ):
        preprocess("Grüß Gott".encode("latin-1"), media_type="text/plain")


def test_where_other_bytes_are_is_counted_from_the_start_of_what_was_sent():
    with pytest.raises(PayloadError, match="got other bytes at offset 5"):
        preprocess(b"\xef\xbb\xbfGr\xfc\xdf", media_type="text/plain")


@pytest.mark.parametrize("limit", [5, "5"])
def test_a_text_over_the_limit_is_refused_by_its_length(limit):
    model = model_of(WORDS, max_characters=limit)
    assert preprocess({"text": "so it"}, model)["words"].tolist() == ["so", "it"]
    with pytest.raises(PayloadTooLargeError) as caught:
        preprocess({"text": "so it "}, model)
    assert caught.value.message == "'text' has 6 characters, over the limit of 5"


def test_the_limit_is_one_of_characters_for_each_text():
    texts = {"context": "日本語", "query": "日本語"}
    assert preprocess(texts, model_of(*BIDAF, max_characters=3))


def test_a_plain_text_over_the_limit_is_refused():
    with pytest.raises(PayloadTooLargeError, match="'text' has 3 characters, over the limit of 2"):
        preprocess(b"a b", model_of(WORDS, max_characters=2), media_type="text/plain")


def test_no_text_is_cut_if_another_is_over_the_limit():
    item = Item({"context": "It is.", "query": "Is it so?"})
    with pytest.raises(PayloadTooLargeError, match="'query' has 9 characters"):
        hooks.preprocess(item=item, model=model_of(*BIDAF, max_characters=8))
    assert item.state == {}


def test_texts_have_a_limit_if_none_is_given():
    assert preprocess({"text": "x" * 100_000})
    with pytest.raises(PayloadTooLargeError, match="over the limit of 100000"):
        preprocess({"text": "x" * 100_001})


@pytest.mark.parametrize("lower", [False, "false"])
def test_words_stay_as_written_on_request(lower):
    assert preprocess({"text": "So IT is"}, model_of(WORDS, lower=lower))["words"].tolist() == [
        *("So", "IT", "is"),
    ]


def test_the_language_decides_where_sentences_end():
    text = {"text": "Approx. five."}
    assert preprocess(text)["words"][0] == "approx."
    assert preprocess(text, model_of(WORDS, language="french"))["words"][0] == "approx"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"language": "klingon"},
            "option 'language' of model 'm' must be one of czech, .*'klingon'",
        ),
        ({"language": 3}, "option 'language' of model 'm' must be one of czech, .* got 3"),
        ({"lower": "no"}, "option 'lower' of model 'm' must be true or false, got 'no'"),
        ({"lower": 1}, "option 'lower' of model 'm' must be true or false, got 1"),
        (
            {"max_characters": 0},
            "option 'max_characters' of model 'm' must be a whole number above 0, got 0",
        ),
        ({"max_characters": "-1"}, "option 'max_characters' .* above 0, got '-1'"),
        ({"max_characters": "many"}, "option 'max_characters' .* above 0, got 'many'"),
        ({"max_characters": 1.5}, "option 'max_characters' .* above 0, got 1.5"),
        ({"max_characters": True}, "option 'max_characters' .* above 0, got True"),
    ],
)
def test_an_impossible_option_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        preprocess({"text": "words"}, model_of(WORDS, **options))


@pytest.mark.parametrize("model", [SOLE, model_of(*BIDAF)], ids=["words", "bidaf"])
def test_the_example_is_an_item_that_the_plugin_takes(model):
    tensors = hooks.preprocess(item=hooks.example(model=model), model=model)
    assert tensors.keys() == {spec.name for spec in model.inputs}


def test_the_plugin_is_found_by_its_entry_point():
    (found,) = entry_points(group="trihook", name="nltk")
    assert found.load() is hooks
