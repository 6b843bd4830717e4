"""The plugin: texts in, words and characters out, for models that declare such inputs.

For each field of the model ``preprocess`` leaves in ``item.state``, for ``postprocess``:

``<field>_text``
    the text as it was sent, a ``str``, without a byte order mark before a plain text
``<field>_tokens``
    its words, a tuple of :class:`~trihook_nltk.Token` in the order of the model's input
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from trihook import ConfigError, Item, PayloadError, PayloadTooLargeError, hookimpl

from trihook_nltk.fields import TextField, text_fields
from trihook_nltk.sentences import LANGUAGES, has_split_sentences
from trihook_nltk.words import tokenize

if TYPE_CHECKING:
    from trihook import Model, ScoringRequest

    from trihook_nltk.fields import Strings

# words take up to 0.4 ms then, and each text and each mark in one may add a sentence of 0.07 ms
_QUICK_BELOW = 256
_QUICK_PARTS = 7
_PLAIN = re.compile("[A-Za-z0-9 ]+")
_MAX_CHARACTERS = 100_000  # some 20,000 words
_EXAMPLES = {
    "context": "The Eiffel Tower was completed in 1889. It stands in Paris.",
    "query": "When was the Eiffel Tower completed?",
}


def takes_words(model: Model) -> bool:
    """Tell whether the model has inputs for the words or characters of a text."""
    return bool(text_fields(model))


def has_few_marks(request: ScoringRequest) -> bool:
    """Tell whether a short request is quickly cut; the first of all, which reads files, is not."""
    parts = sum([_count_parts(item.data) for item in request.items])
    return parts <= _QUICK_PARTS and has_split_sentences()


@hookimpl(models=takes_words, quick_below=_QUICK_BELOW, quick_for=has_few_marks)
def preprocess(item: Item, model: Model) -> dict[str, Strings] | None:
    """Turn ``{"<field>": "text", …}``, or a plain text for a sole field, into words."""
    fields = text_fields(model)
    texts = _texts(item, fields)
    if texts is None:
        return None
    _check_lengths(texts, _max_characters(model))
    language, lower = _language(model), _lower(model)
    tensors: dict[str, Strings] = {}
    for field in fields:
        text = texts[field.name]
        tokens = tokenize(text, language)
        if not tokens:
            raise PayloadError(f"{field.name!r} must hold at least one word, got blank text")
        item.state.update({f"{field.name}_text": text, f"{field.name}_tokens": tokens})
        tensors |= field.tensors(tokens, lower=lower)
    return tensors


@hookimpl(models=takes_words)
def example(model: Model) -> Item | None:
    """Give a short text for each of the model's fields."""
    names = [field.name for field in text_fields(model)]
    if not names:
        return None
    return Item({name: _EXAMPLES.get(name, "A few words, for example.") for name in names})


def _count_parts(data: object) -> int:
    """Count texts, and what stands in them besides plain words."""
    if isinstance(data, str):
        return 1 + len(_PLAIN.sub("", data))
    if isinstance(data, dict):
        return sum([_count_parts(value) for value in data.values()])
    return _count_parts(data.decode(errors="replace")) if isinstance(data, bytes) else 1


def _texts(item: Item, fields: tuple[TextField, ...]) -> dict[str, str] | None:
    names = [field.name for field in fields]
    if isinstance(item.data, bytes):
        if len(names) != 1 or item.media_type != "text/plain":
            return None
        return {names[0]: _decode(item.data, names[0])}
    if not isinstance(item.data, Mapping) or item.data.keys().isdisjoint(names):
        return None
    return {name: _text(item.data, name) for name in names}


def _text(data: Mapping[str, object], name: str) -> str:
    if name not in data:
        raise PayloadError(f"{name!r} is missing, expected a text")
    text = data[name]
    if not isinstance(text, str):
        raise PayloadError(f"{name!r} must be a text, got {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PayloadError(
            f"{name!r} must be Unicode text, got half a surrogate pair at offset {error.start}"
        ) from error
    return text


def _decode(data: bytes, name: str) -> str:
    try:
        # not utf-8-sig, which leaves the byte order mark out of an error's offset
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise PayloadError(
            f"{name!r} must be text in UTF-8, got other bytes at offset {error.start}"
        ) from error


def _check_lengths(texts: Mapping[str, str], limit: int) -> None:
    for name, text in texts.items():
        if len(text) > limit:
            raise PayloadTooLargeError(
                f"{name!r} has {len(text)} characters, over the limit of {limit}"
            )


def _language(model: Model) -> str:
    language = model.options.get("language", "english")
    if not isinstance(language, str) or language not in LANGUAGES:
        raise ConfigError(
            f"option 'language' of model {model.name!r} must be one of "
            f"{', '.join(sorted(LANGUAGES))}, got {language!r}"
        )
    return language


def _lower(model: Model) -> bool:
    lower = model.options.get("lower", True)
    # parameters of config.pbtxt are always strings
    value = {"true": True, "false": False}.get(lower) if isinstance(lower, str) else lower
    if not isinstance(value, bool):
        raise ConfigError(
            f"option 'lower' of model {model.name!r} must be true or false, got {lower!r}"
        )
    return value


def _max_characters(model: Model) -> int:
    if "max_characters" not in model.options:
        return _MAX_CHARACTERS
    given = model.options["max_characters"]
    try:
        limit = int(str(given))
    except ValueError:
        limit = 0
    if limit < 1:
        raise ConfigError(
            f"option 'max_characters' of model {model.name!r} must be a whole number above 0, "
            f"got {given!r}"
        )
    return limit
